#!/usr/bin/python3
"""What `hadal agent` costs nginx: throughput when saturated, CPU and latency at 5000 requests per second.

Rounds of variants in rotating order: baseline A (no agent), agent, the agent forced to each other capture level that works here, and
baseline B (no agent again, the control: its ratio to A is the noise). nginx has one worker on CPU 1 and a file of 612 bytes; the client (wrk saturated, bench/paced.c paced), the agent and the
server are on CPU 0. The server runs in all variants, or in none with --server none (then nothing can be said about coverage and
losses, and the agent keeps its rows in memory). Only loopback. HADAL_BIN names the binary, a release build.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
from harness import Failed, Test, children_of, equal, free_port, wait_for

CLIENT_CPU, NGINX_CPU = 0, 1
VARIANTS = ["baseline A", "agent", "level B", "level C", "baseline B"]
RATE = 5000

NGINX_CONFIG = """\
daemon off;
{user}
worker_processes 1;
worker_cpu_affinity 10;
pid {work}/nginx.pid;
error_log {work}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {work}/www;
    }}
}}
"""


def on_cpu(cpu, *command):
    return ["taskset", "-c", str(cpu), *map(str, command)]


def cpu_seconds(pid):
    """CPU time of all threads of a process, from the scheduler's nanoseconds."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def rss_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Bench:
    """nginx, the paced client and perhaps a server; an agent comes and goes."""

    def __init__(self, test, options):
        self.test, self.options = test, options
        self.paced = test.work / "paced"
        gcc = test.spawn("gcc", ["gcc", "-O2", "-Wall", "-Wextra", "-o", self.paced, HERE / "paced.c"])
        equal(gcc.wait(60), 0, f"exit code of gcc ({gcc.output()})")
        self.port, self.worker = self.start_nginx()
        self.server = None
        if options.server == "all":
            self.server = test.hadal("server", prefix=["taskset", "-c", str(CLIENT_CPU)]).ready(agent=False)

    def start_nginx(self):
        work, port = self.test.folder("nginx"), free_port()
        (work / "www").mkdir()
        (work / "www/file").write_bytes(b"x" * 612)
        config = work / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(work=work, port=port, user="user root;" if os.geteuid() == 0 else ""))
        nginx = self.test.spawn("nginx", ["nginx", "-c", config, "-p", work, "-e", work / "nginx-error.log"])
        worker = wait_for("nginx has a worker", lambda: children_of(nginx.pid), 10)[0]
        return port, worker

    def wrk(self, seconds):
        """Requests per second and p99 of as many requests as go."""
        wrk = self.test.spawn(
            "wrk",
            on_cpu(
                CLIENT_CPU,
                "wrk",
                "-t1",
                f"-c{self.options.connections}",
                f"-d{seconds}s",
                "--latency",
                f"http://127.0.0.1:{self.port}/file",
            ),
        )
        equal(wrk.wait(seconds + 30), 0, f"exit code of wrk ({wrk.output()})")
        text = wrk.output()
        scale = {"us": 1, "ms": 1e3, "s": 1e6}
        micros = lambda share: next(
            float(value) * scale[unit] for value, unit in re.findall(share + r"%\s+([\d.]+)(us|ms|s)", text)
        )
        requests, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
        return {"requests": int(requests), "seconds": float(took), "p50_us": micros("50"), "p99_us": micros("99")}

    def pace(self, seconds):
        paced = self.test.spawn("paced", on_cpu(CLIENT_CPU, self.paced, self.port, RATE, seconds))
        equal(paced.wait(seconds + 60), 0, f"exit code of the paced client ({paced.output()})")
        return json.loads(paced.output())

    def measure(self, load, agent):
        """One load; what it and the programs took meanwhile."""
        pids = {"nginx": self.worker, "agent": agent and agent.pid, "server": self.server and self.server.program.pid}
        pids = {name: pid for name, pid in pids.items() if pid}
        # The clock of the rows, so that the server can be asked what it has of this load.
        begin, start, before = time.time(), time.monotonic(), {name: cpu_seconds(pid) for name, pid in pids.items()}
        result = load(self.options.seconds)
        took = time.monotonic() - start
        used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        result["rate"] = result["requests"] / result["seconds"]
        result["nginx_us"] = used["nginx"] / result["requests"] * 1e6
        # What one core would serve if nothing but nginx were the limit.
        result["capacity"] = 1e6 / result["nginx_us"]
        result |= {f"{name}_cpu": used[name] / took * 100 for name in used}
        if agent:
            result["agent_rss"] = rss_mib(agent.pid)
            if self.server:
                result |= self.recorded(begin, result.get("made", result["requests"]))
        return result

    def recorded(self, begin, made):
        """What the server has of a load: share of requests counted, rows logged, losses, events."""
        time.sleep(2.5)
        since = f"time >= toDateTime({int(begin)})"
        mine = f"{since} AND server_port = {self.port} AND observation_point = 's-p'"
        counted = self.server.value(f"SELECT sum(request) FROM `application_map.1s` WHERE {mine}", "flow_metrics")
        logged = self.server.value(f"SELECT count() FROM l7_flow_log WHERE {mine}")
        lost = self.server.sql(f"SELECT cause, sum(count) AS lost FROM loss WHERE {since} GROUP BY cause", "hadal")
        events = self.server.value(
            f"SELECT toUInt64(max(value)) FROM self_metric WHERE {since} AND name = 'agent_events_rate'", "hadal"
        )
        return {
            "counted": counted / made * 100,
            "logged": logged / made * 100,
            "events": events,
            "lost": {row["cause"]: row["lost"] for row in lost},
        }

    def variant(self, name):
        """Both loads, with or without an agent."""
        agent = None
        if not name.startswith("baseline"):
            server = f"http://127.0.0.1:{self.server.agents if self.server else free_port()}"
            level = ["--capture-level", name[-1]] if name.startswith("level") else []
            command = [self.test.binary, "agent", "--server", server, "--name", "bench", *level]
            agent = self.test.spawn("agent", on_cpu(CLIENT_CPU, *command))
            wait_for("the agent captures", lambda: "capturing socket calls" in agent.output(), 20)
        time.sleep(1)
        results = {"saturated": self.measure(self.wrk, agent)}
        time.sleep(1)
        results["paced"] = self.measure(self.pace, agent)
        if agent:
            agent.stop()
            time.sleep(1)
        return results


def median(rounds, variant, load, key):
    values = [results[variant][load][key] for results in rounds if key in results[variant][load]]
    return statistics.median(values) if values else None


def ratio(rounds, variant, load, key):
    """Median over rounds of the ratio to baseline A of the same round."""
    return statistics.median(results[variant][load][key] / results["baseline A"][load][key] for results in rounds)


def table(rounds):
    variants = [name for name in VARIANTS if name in rounds[0]]
    observed = [name for name in variants if not name.startswith("baseline")]
    lines = []
    for load in ("saturated", "paced"):
        ratios = [*observed, "baseline B"]
        titles = [f"{name.replace('baseline ', '')} / A" for name in ratios]
        lines.append(f"\n{load:<28}" + "".join(f"{title:>14}" for title in [*variants, *titles]))
        for title, key, digits in (
            ("requests/s", "rate", 0),
            ("p50 µs", "p50_us", 0),
            ("p99 µs", "p99_us", 0),
            ("nginx CPU µs per request", "nginx_us", 2),
            ("requests/s of a full core", "capacity", 0),
            ("nginx CPU % of a core", "nginx_cpu", 0),
        ):
            values = "".join(f"{median(rounds, variant, load, key):>14.{digits}f}" for variant in variants)
            lines.append(f"{title:<28}{values}" + "".join(f"{ratio(rounds, name, load, key):>14.3f}" for name in ratios))
        for title, key, digits in (
            ("agent CPU % of a core", "agent_cpu", 1),
            ("agent RSS MiB", "agent_rss", 0),
            ("server CPU % of a core", "server_cpu", 1),
            ("kernel events/s", "events", 0),
            ("requests counted %", "counted", 2),
            ("requests logged %", "logged", 2),
        ):
            values = {name: median(rounds, name, load, key) for name in observed}
            if any(value is not None for value in values.values()):
                cells = [f"{values[name]:.{digits}f}" if values.get(name) is not None else "" for name in variants]
                lines.append(f"{title:<28}" + "".join(f"{cell:>14}" for cell in cells))
        for name in observed:
            lost = {}
            for results in rounds:
                for cause, count in results[name][load].get("lost", {}).items():
                    lost[cause] = lost.get(cause, 0) + count
            words = ", ".join(f"{cause} {count}" for cause, count in sorted(lost.items())) or "nothing"
            lines.append(f"{f'lost, {name}, all rounds':<28}{words}")
    return "\n".join(lines)


def works(binary, level):
    """Whether a capture level loads on this kernel."""
    said = subprocess.run([binary, "doctor", "--json", "--capture-level", level], capture_output=True, text=True).stdout
    checks = [json.loads(line) for line in said.splitlines()]
    return any(check["name"] == "socket capture" and check["state"] != "missing" for check in checks)


def other_agents():
    """Pids of agents that run already: their hooks would be in the baseline too."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0]) == b"hadal" and words[1:2] == [b"agent"]:
            found.append(int(path.parent.name))
    return found


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8, help="length of each load (default 8)")
    parser.add_argument("--connections", type=int, default=32, help="of wrk (default 32)")
    parser.add_argument("--quick", action="store_true", help="three rounds of three seconds: a look, not a measurement")
    parser.add_argument(
        "--server", choices=["all", "none"], default="all", help="whether the server runs in all variants or in none"
    )
    parser.add_argument("--json", help="file for all figures of all rounds")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 3, 3
    return options


def main():
    options = parse_arguments()
    binary = pathlib.Path(os.environ.get("HADAL_BIN", "~/.cache/hadal/target/release/hadal")).expanduser()
    if not binary.is_file():
        sys.exit(f"there is no {binary}: build one with `cargo build --release -p hadal`, or set HADAL_BIN")
    if os.cpu_count() < 2:
        sys.exit("this needs two CPUs")
    if others := other_agents():
        print(f"warning: process {others[0]} is another agent: the baseline is none", file=sys.stderr, flush=True)
    test, rounds = Test(str(binary)), []
    try:
        variants = [name for name in VARIANTS if not name.startswith("level") or works(binary, name[-1])]
        missing = [name for name in VARIANTS if name not in variants]
        bench = Bench(test, options)
        for number in range(options.rounds):
            turn = number % len(variants)
            order = variants[turn:] + variants[:turn]
            rounds.append({name: bench.variant(name) for name in order})
            figures = ", ".join(
                f"{name} {rounds[-1][name]['saturated']['rate']:.0f}/s {rounds[-1][name]['paced']['nginx_us']:.1f} µs"
                for name in order
            )
            print(f"round {number + 1}: {figures}", file=sys.stderr, flush=True)
    except Failed as failure:
        print(f"{failure}\n{test.logs()}", file=sys.stderr)
        return 1
    finally:
        test.cleanup.close()
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rounds, indent=1))
    print(
        f"{options.rounds} rounds of {options.seconds} s, medians; server in {options.server}; kernel {os.uname().release}, {os.cpu_count()} CPUs"
    )
    if missing:
        print(f"not run, for they do not load on this kernel: {', '.join(missing)}")
    print(table(rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
