"""The figures as text."""

import collections

import score

OUTCOMES = ["right", "orphan", "wrong", "unseen"]


def table(head, lines):
    """Columns of text: the first to the left, numbers to the right."""
    cells = [head, *([str(cell) for cell in line] for line in lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    shown = (
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(line, widths)))
        for line in cells
    )
    return "\n".join(line.rstrip() for line in shown)


def share(part, whole):
    return f"{100 * part / whole:.1f}" if whole else "-"


def counts(scores):
    """How many calls there are of each outcome."""
    found = collections.Counter(one.outcome for one in scores)
    return {outcome: found[outcome] for outcome in OUTCOMES}


def outcomes(scores):
    """How many calls, and the share of each outcome in percent."""
    return [len(scores), *(share(count, len(scores)) for count in counts(scores).values())]


def grouped(scores, key):
    groups = collections.defaultdict(list)
    for one in scores:
        groups[key(one)].append(one)
    return dict(sorted(groups.items()))


def by_run(runs):
    """A line for each runtime and concurrency, with the mean of requests that were open when a call was made."""
    lines = []
    for run in runs:
        overlap = sum(one.overlap for one in run.scores) / max(len(run.scores), 1)
        lines.append([f"{run.runtime} {run.concurrency}", f"{overlap:.1f}", *outcomes(run.scores)])
    return table(["runtime, concurrency", "open", "calls", *OUTCOMES], lines)


def by(title, runs, key):
    """A line for each group of calls of each runtime, all concurrencies together."""
    lines = []
    for runtime, of_runtime in grouped(runs, lambda run: run.runtime).items():
        scores = [one for run in of_runtime for one in run.scores]
        lines += [[f"{runtime} {name}", *outcomes(group)] for name, group in grouped(scores, key).items()]
    return table([title, "calls", *OUTCOMES], lines)


def by_evidence(title, runs, key):
    """How often links are wrong."""
    linked = [(run, one) for run in runs for one in run.scores if one.outcome in ("right", "wrong")]
    lines = []
    for group, links in grouped(linked, lambda link: key(*link)).items():
        wrong = sum(one.outcome == "wrong" for _, one in links)
        lines.append([" ".join(group), len(links) - wrong, wrong, share(wrong, len(links))])
    return table([title, "right", "wrong", "wrong %"], lines)


def report(runs):
    tables = [
        by_run(runs),
        by("runtime, open at least", runs, lambda one: score.bucket(one.overlap)),
        by("runtime, kind", runs, lambda one: one.call.kind),
        by_evidence("evidence, confidence at least", runs, lambda _, one: (one.evidence, score.sure(one.confidence))),
        by_evidence("runtime, evidence", runs, lambda run, one: (run.runtime, one.evidence)),
    ]
    return "\n\n".join(tables)
