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
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "tests")]

import builds
import table
from harness import Failed, Test, check, free_port, settle, wait_for
from runtimes import RUNTIMES
from scenario import Scenario
from score import Ports, Score, Scorer, read_ledger, rows_of

CONFIG = "[agent]\nobfuscate = false\n"


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
    parser.add_argument("--requests", type=int, default=1000, help="of each concurrency (default %(default)s)")
    parser.add_argument("--sample", type=int, default=200, help="requests of each concurrency that are scored (default %(default)s)")
    parser.add_argument("--wait-ms", type=float, default=20, help="median of the leaf's waits (default %(default)s)")
    parser.add_argument("--request-id", action="store_true", help="nginx sets X-Request-ID, and the services hand it on")
    parser.add_argument("--without", type=names, default=[], metavar="MECHANISM,…", help="ways to find a parent that Hadal must not use")
    parser.add_argument("--seed", type=int, default=1, help="of the load's ids and the sample")
    parser.add_argument("--binary", default=os.environ.get("HADAL_BIN", "target/release/hadal"), help="of Hadal")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="each call's score")
    options = parser.parse_args()
    unknown = set(options.runtime) - set(RUNTIMES)
    if unknown:
        parser.error(f"there is no runtime {', '.join(unknown)}")
    return options


def measure(test, name, options):
    """Runs one service under load; a run for each concurrency, and one for nginx."""
    runtime = RUNTIMES[name]
    scenario = Scenario(test, options.wait_ms, options.request_id)
    ledger = test.work / "ledger"
    ledger.touch()
    ledger.chmod(0o666)
    port = free_port()
    scenario.listen(name, runtime.command, scenario.environment(port, ledger), port)
    ports = Ports(scenario.front(port, runtime.fastcgi_script), port, scenario.next, scenario.leaf, scenario.redis, scenario.postgresql)
    without = {"HADAL_TRACE_WITHOUT": ",".join(options.without)} if options.without else {}
    hadal = test.hadal(config=CONFIG, env=without).ready()
    roots = {}
    for concurrency in options.concurrency:
        start = time.monotonic()
        roots[concurrency] = scenario.load(ports.front, concurrency, options.requests, options.seed)
        rate = len(roots[concurrency]) / (time.monotonic() - start)
        print(f"     {name} {concurrency}: {len(roots[concurrency])} requests, {rate:.0f} a second", file=sys.stderr, flush=True)
    listed = ", ".join(map(str, ports.all()))
    count = f"SELECT count() FROM l7_flow_log WHERE server_port IN ({listed})"
    wait_for("rows", lambda: hadal.value(count) > 0, 120)
    settle("the log", lambda: hadal.value(count), 300, still=4)
    return scored(name, Scorer(hadal, ports, read_ledger(ledger), rows_of(hadal, ports)), roots, options)


def scored(name, scorer, roots, options):
    runs, start = [], time.monotonic()
    for concurrency, of_concurrency in roots.items():
        scores = scorer.score(of_concurrency, options.sample, options.seed)
        runs.append(Run(name, concurrency, [one for one in scores if one.call.kind != "proxy"]))
        runs.append(Run("nginx", concurrency, [one for one in scores if one.call.kind == "proxy"]))
    traces = scorer.traces
    each = 1000 * (time.monotonic() - start) / max(traces.looked_up, 1)
    print(f"     {name}: {traces.looked_up} look-ups of {each:.0f} ms, {traces.truncated} cut", file=sys.stderr, flush=True)
    return runs


def joined(runs):
    """nginx is one runtime, whatever was behind it."""
    return [
        Run(runtime, concurrency, [one for run in group for one in run.scores])
        for (runtime, concurrency), group in table.grouped(runs, lambda run: (run.runtime, run.concurrency)).items()
    ]


def as_json(runs):
    flat = lambda run, one: {"runtime": run.runtime, "concurrency": run.concurrency, **dataclasses.asdict(one.call), **dataclasses.asdict(one)}
    lines = [flat(run, one) for run in runs for one in run.scores]
    for line in lines:
        del line["call"]
    return json.dumps(lines)


def main():
    options = arguments()
    # So that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binary = str(pathlib.Path(options.binary).resolve())
    builds.CACHE.mkdir(parents=True, exist_ok=True)
    builds.go()
    runs, failed = [], False
    for name in options.runtime:
        try:
            RUNTIMES[name].build()
            test = Test(binary)
            try:
                runs += measure(test, name, options)
            except Failed:
                print(test.logs(), file=sys.stderr)
                raise
            finally:
                test.cleanup.close()
        except Failed as error:
            print(f"{name} failed: {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        print(table.by_run([run for run in runs[-2 * len(options.concurrency) :]]), flush=True)
    if options.json:
        options.json.write_text(as_json(runs))
    print("\n" + table.report(joined(runs)), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
