#!/usr/bin/env python3
"""How much of the truth Hadal's traces tell: services of many runtimes that write down which call belongs to which request.

For each runtime a Hadal of its own watches load → nginx → service → nginx → leaf, Redis and PostgreSQL; then each call's place in
its trace is compared with what the service wrote. Needs root. `--binary` names a release build.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests")]

import builds
import table
from harness import Failed, Hadal, Test, free_port, settle, wait_for
from runtimes import RUNTIMES
from scenario import Scenario
from score import Ports, Score, Scorer, read_ledger

CONFIG = "[agent]\nobfuscate = false\n"
AGENT_SWITCHES = ("go_hand_over", "python_coroutines", "tokio_hand_over", "thread_hand_over", "event_loops")
# Of a busy machine, on which everything may stand still for minutes.
PATIENCE_S = 600
TRIES = 3
# One request after the other takes long.
MOST_OF_A_CONNECTION = 100


@dataclasses.dataclass
class Record:
    """What is needed to score a service that ran: Hadal's data, the ledger, and who was asked what."""

    runtime: str
    folder: pathlib.Path
    ports: Ports
    # Ids of the requests by concurrency.
    roots: dict[int, list[str]]

    def data(self):
        return self.folder / "data"

    def ledger(self):
        return self.folder / "ledger"

    def save(self):
        text = json.dumps({"ports": dataclasses.asdict(self.ports), "roots": self.roots})
        (self.folder / "record.json").write_text(text)

    @classmethod
    def load(cls, folder):
        kept = json.loads((folder / "record.json").read_text())
        roots = {int(concurrency): ids for concurrency, ids in kept["roots"].items()}
        return cls(folder.name, folder, Ports(**kept["ports"]), roots)


@dataclasses.dataclass
class Run:
    """One runtime at one concurrency; what nginx did there is a run of its own."""

    runtime: str
    concurrency: int
    scores: list[Score]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = lambda text: text.split(",")
    parser.add_argument("--runtime", type=names, default=list(RUNTIMES), metavar="NAME,…", help=", ".join(RUNTIMES))
    parser.add_argument("--concurrency", type=lambda text: [int(word) for word in text.split(",")], default=[1, 16, 64], metavar="N,…")
    requests = f"of each concurrency, at most {MOST_OF_A_CONNECTION} of a connection (default %(default)s)"
    parser.add_argument("--requests", type=int, default=1000, help=requests)
    parser.add_argument("--sample", type=int, default=100, help="requests of each concurrency that are scored (default %(default)s)")
    parser.add_argument("--wait-ms", type=float, default=20, help="median of the leaf's waits (default %(default)s)")
    parser.add_argument("--request-id", action="store_true", help="nginx sets X-Request-ID, and the services hand it on")
    parser.add_argument("--without", type=names, default=[], metavar="MECHANISM,…", help="kinds of evidence, and switches of the agent, that Hadal does without")
    parser.add_argument("--from-calls", action="store_true", help="look each call up by its own row, not by its request's")
    parser.add_argument("--seed", type=int, default=1, help="of the load's ids and the sample")
    parser.add_argument("--binary", default=os.environ.get("HADAL_BIN", "target/release/hadal"), help="of Hadal")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER", help="where what is recorded stays")
    parser.add_argument("--again", type=pathlib.Path, metavar="FOLDER", help="score what was kept there, without a load")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="figures and each call's score")
    options = parser.parse_args()
    if options.again:
        options.runtime = [name for name in options.runtime if (options.again / name / "record.json").exists()]
    unknown = set(options.runtime) - set(RUNTIMES)
    if unknown:
        parser.error(f"there is no runtime {', '.join(unknown)}")
    return options


def say(text):
    print(f"     {text}", file=sys.stderr, flush=True)


def record(test, hadal, made, options):
    """Runs a service under load; notes in `made` who listens where and what was asked. Whether all of it was captured."""
    runtime = RUNTIMES[made.runtime]
    scenario = Scenario(test, options.wait_ms, options.request_id)
    port = free_port()
    scenario.listen(made.runtime, runtime.command, scenario.environment(port, made.ledger()), port)
    front = scenario.front(port, runtime.fastcgi_script)
    made.ports = Ports(front, port, scenario.next, scenario.leaf, scenario.redis, scenario.postgresql)
    hadal.ready()
    for concurrency in options.concurrency:
        start = time.monotonic()
        requests = min(options.requests, MOST_OF_A_CONNECTION * concurrency)
        made.roots[concurrency] = scenario.load(front, concurrency, requests, options.seed)
        rate = len(made.roots[concurrency]) / (time.monotonic() - start)
        say(f"{made.runtime} {concurrency}: {len(made.roots[concurrency])} requests, {rate:.0f} a second")
    catch_up(hadal, scenario, front, options.seed)
    listed = ", ".join(map(str, made.ports.all()))
    settle("the log", lambda: hadal.value(f"SELECT count() FROM l7_flow_log WHERE server_port IN ({listed})"), PATIENCE_S)
    losses = hadal.sql("SELECT cause, sum(`count`) AS n FROM hadal.loss GROUP BY cause")
    for loss in losses:
        say(f"{made.runtime}: lost {loss['n']}: {loss['cause']}")
    return not any(loss["cause"] == "ring_full" for loss in losses)


def catch_up(hadal, scenario, front, seed):
    """Waits until a request is recorded that was made after all others."""
    asked = []

    def is_recorded():
        asked.extend(scenario.load(front, 1, 1, seed + 1 + len(asked)))
        paths = ", ".join(f"'/r/{own}'" for own in asked)
        return hadal.value(f"SELECT count() FROM l7_flow_log WHERE request_resource IN ({paths})")

    wait_for("the last request is recorded", is_recorded, PATIENCE_S, 2)


def scored(hadal, made, options):
    """A run for each concurrency, and one for nginx."""
    runs, scorer = [], Scorer(hadal, made.ports, read_ledger(made.ledger()), options.from_calls)
    for concurrency, roots in made.roots.items():
        if concurrency not in options.concurrency:
            continue
        scores = scorer.score(roots, options.sample, options.seed)
        runs.append(Run(made.runtime, concurrency, [one for one in scores if one.call.kind != "proxy"]))
        runs.append(Run("nginx", concurrency, [one for one in scores if one.call.kind == "proxy"]))
    traces = scorer.traces
    each = 1000 * statistics.median(traces.seconds)
    say(f"{made.runtime}: {len(traces.seconds)} look-ups of {each:.0f} ms, {traces.truncated} cut")
    return runs


def measure(test, name, options, is_last):
    """Records and scores one service; nothing if another program kept Hadal too busy and this is not the last try."""
    folder = options.keep / name if options.keep else test.folder(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = Record(name, folder, None, {})
    made.data().mkdir()
    hadal = test.hadal(config=config(options), data=made.data())
    is_whole = record(test, hadal, made, options)
    made.save()
    return scored(hadal, made, options) if is_whole or is_last else []


def measure_again(test, name, options):
    """Scores what was recorded."""
    made = Record.load(options.again / name)
    hadal = test.hadal("server", config=config(options), data=made.data()).ready(agent=False)
    return scored(hadal, made, options)


def config(options):
    """What is not a switch of the agent is a kind of evidence."""
    switches = [name for name in options.without if name in AGENT_SWITCHES]
    evidence = [name for name in options.without if name not in AGENT_SWITCHES]
    agent = "".join(f"{name} = false\n" for name in switches)
    return f"[server]\ntrace_without = {json.dumps(evidence)}\n{CONFIG}{agent}"


def joined(runs):
    """nginx is one runtime, whatever was behind it."""
    return [
        Run(runtime, concurrency, [one for run in group for one in run.scores])
        for (runtime, concurrency), group in table.grouped(runs, lambda run: (run.runtime, run.concurrency)).items()
    ]


def as_json(runs):
    """How many calls of each run have which outcome, and each call."""
    of_run = lambda run: {"runtime": run.runtime, "concurrency": run.concurrency}
    figures = [{**of_run(run), **table.counts(run.scores)} for run in joined(runs)]
    calls = [{**of_run(run), **dataclasses.asdict(one)} for run in runs for one in run.scores]
    return json.dumps({"runs": figures, "calls": calls})


def main():
    options = arguments()
    # So that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binary = str(pathlib.Path(options.binary).resolve())
    Hadal.patience = PATIENCE_S
    builds.CACHE.mkdir(parents=True, exist_ok=True)
    builds.go()
    runs, failed = [], False
    for name in options.runtime:
        try:
            runs += run(binary, name, options)
        except Failed as error:
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)
            failed = True
    if options.json:
        options.json.write_text(as_json(runs))
    print("\n" + table.report(joined(runs)), flush=True)
    return 1 if failed else 0


def run(binary, name, options):
    """Builds and measures one service; prints its lines."""
    if options.again:
        runs = in_a_world(binary, lambda test: measure_again(test, name, options))
    else:
        RUNTIMES[name].build()
        tries = (in_a_world(binary, lambda test: measure(test, name, options, attempt == TRIES)) for attempt in range(1, TRIES + 1))
        runs = next(filter(None, tries))
    print(table.by_run(runs), flush=True)
    return runs


def in_a_world(binary, body):
    """Runs it; whatever it started is stopped."""
    test = Test(binary)
    try:
        return body(test)
    except Failed:
        print(test.logs(), file=sys.stderr)
        raise
    finally:
        test.cleanup.close()


if __name__ == "__main__":
    sys.exit(main())
