#!/usr/bin/python3
"""What it costs to follow requests through a runtime: kernel programs and service, with and without a switch of the agent.

`cost.py --binary HADAL` runs each service under a load of sixteen connections, in rounds with the switch on, off, and without an
agent. Kernel programs count their own time (`kernel.bpf_stats_enabled`, which adds some 30 ns to each run); what probes take
beyond that is time of the service. Printed is the median of the rounds, in microseconds per request of the service.
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "tests"))

from harness import Test, free_port
from runtimes import RUNTIMES
from scenario import Scenario

SWITCHES = {
    "python-aiohttp": "python_coroutines",
    "python-gevent": "python_coroutines",
    "node-agent": "event_loops",
    "rust-tokio": "tokio_hand_over",
    "go-parallel": "go_hand_over",
    "java-pools": "thread_hand_over",
    "python-executor": "thread_hand_over",
}
STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
CONCURRENCY = 16
TICKS = os.sysconf("SC_CLK_TCK")


def kernel_us(agent):
    """Time of the programs that a process has loaded, and how often they ran."""
    time_ns = runs = 0
    for path in pathlib.Path(f"/proc/{agent}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            time_ns += int(fields.get("run_time_ns", 0))
            runs += int(fields.get("run_cnt", 0))
    return time_ns / 1000, runs


def cpu_us(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000 / TICKS


def measured(binary, name, agent_config, requests):
    """CPU of kernel programs and of the service, and runs of programs, per request."""
    test = Test(binary)
    try:
        hadal = test.hadal(config=agent_config).ready() if agent_config is not None else None
        scenario = Scenario(test, 5, False)
        port = free_port()
        service = scenario.listen(name, RUNTIMES[name].command, scenario.environment(port, test.work / "ledger"), port)
        # Programs are met, and probes put on, before it counts.
        scenario.load(port, CONCURRENCY, requests // 4, 1)
        time.sleep(1.5)
        scenario.load(port, CONCURRENCY, requests // 4, 2)
        agent = hadal and hadal.child("agent")
        before = (*(kernel_us(agent) if agent else (0, 0)), cpu_us(service.pid))
        done = len(scenario.load(port, CONCURRENCY, requests, 3))
        after = (*(kernel_us(agent) if agent else (0, 0)), cpu_us(service.pid))
        return [(late - early) / done for early, late in zip(before, after)]
    finally:
        test.cleanup.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/hadal")
    parser.add_argument("--runtime", type=lambda names: names.split(","), default=list(SWITCHES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    was = STATS.read_text()
    STATS.write_text("1")
    try:
        print("runtime          kernel µs on   off  runs on   off  service µs on   off  no agent", flush=True)
        for name in options.runtime:
            RUNTIMES[name].build()
            configs = {"on": "[agent]\n", "off": f"[agent]\n{SWITCHES[name]} = false\n", "none": None}
            rounds = {kind: [] for kind in configs}
            for _ in range(options.rounds):
                for kind, config in configs.items():
                    rounds[kind].append(measured(options.binary, name, config, options.requests))
            on, off, none = ([statistics.median(column) for column in zip(*rounds[kind])] for kind in configs)
            print(f"{name:16} {on[0]:12.2f} {off[0]:5.2f} {on[1]:8.1f} {off[1]:5.1f} {on[2]:13.0f} {off[2]:5.0f} {none[2]:9.0f}", flush=True)
    finally:
        STATS.write_text(was)


if __name__ == "__main__":
    main()
