"""Loads that are meant to break the agent: it lives, its memory has a bound, and what it did not record it has counted.

Programs of `tests/load` make the loads. What they asked must be in the metrics, at both ends; what is missing there must be
in the ledger of losses, for each request that is missing has lost an event, at least.
"""

import json
import os
import pathlib
import re
import signal
import time

from harness import ROOT, check, equal, settle, wait_for

PROGRAMS = ROOT / "tests/load"
# What the agent may use with its default limits.
MEMORY = 192 << 20
# The ring buffer is mapped twice, and counts once it was used.
RINGS = 16 << 20
# What the allocator may keep of a load that is over.
SLACK = 16 << 20
# Limit of bytes in hand where a load goes beyond it.
BUFFERED = 16 << 20
# How long closed sockets are remembered after the metrics are there.
LINGER_SECONDS = 2
# What the kernel side or a table had no room for.
MISSING = ("ring_full", "socket_unannounced", "connection_table_full", "map_full", "recursion")


def memory(pid):
    """Resident bytes of a process now, and the most there ever were."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)[1]) << 10 for name in ("VmRSS", "VmHWM"))


def mib(size):
    return f"{size / (1 << 20):.0f} MiB"


class Load:
    """A Hadal under load, and servers to ask."""

    def __init__(self, t, config="", servers=4):
        self.t = t
        self.hadal = t.hadal(config=config).ready()
        self.agent = self.hadal.child("agent")
        self.start = memory(self.agent)[0]
        self.ports = [int(port) for port in self.serve(servers)]
        self.made = 0
        self.before = self.losses()

    def program(self, name, *arguments):
        binary = self.t.work / name
        if not binary.exists():
            command = ["gcc", "-O2", "-Wall", "-Werror", "-pthread", "-o", binary, PROGRAMS / f"{name}.c"]
            equal(self.t.spawn(f"gcc-{name}", command).wait(60), 0, f"exit code of gcc for {name}.c")
        return self.t.spawn(name, [binary, *arguments])

    def serve(self, processes):
        program = self.program("serve", processes)
        return wait_for("the servers say their ports", lambda: re.findall(r"\d+(?= )", program.output()), 10, 0.05)

    def run(self, name, *arguments, seconds=90):
        """Runs a load to its end; what it says of itself."""
        program = self.program(name, *arguments)
        equal(program.wait(seconds), 0, f"exit code of {name} ({program.output()[-300:]!r})")
        return json.loads(program.output().splitlines()[-1])

    def losses(self):
        rows = self.hadal.sql("SELECT cause, sum(count) AS n FROM loss GROUP BY cause", "hadal")
        return {row["cause"]: row["n"] for row in rows}

    def lost(self):
        """Losses since the start, by cause."""
        since = {cause: count - self.before.get(cause, 0) for cause, count in self.losses().items()}
        return {cause: count for cause, count in since.items() if count}

    def counted(self, ports):
        """Requests in the metrics, by observation point."""
        rows = self.hadal.sql(
            "SELECT observation_point AS point, sum(request) AS n FROM `application_map.1s` "
            f"WHERE server_port IN ({', '.join(map(str, ports))}) GROUP BY point",
            "flow_metrics",
        )
        return {"c-p": 0, "s-p": 0} | {row["point"]: row["n"] for row in rows}

    def settled(self):
        """Requests in the metrics once nothing is under way, neither in the ring nor on the way to the server."""
        done = int(time.time()) + 2
        reported = lambda: self.hadal.value("SELECT toUnixTimestamp(max(time)) FROM self_metric", "hadal") >= done
        wait_for("the agent has caught up", reported, 90)
        return settle("requests in the metrics", lambda: self.counted(self.ports), 60, 2.5)

    def lives(self, what, limit=MEMORY):
        """The agent is the same one, and its memory has not been above the limit."""
        equal(self.hadal.child("agent"), self.agent, f"pid of the agent after {what}")
        now, peak = memory(self.agent)
        check(peak <= limit, f"the agent used {mib(peak)} in {what}, now {mib(now)}; at the start {mib(self.start)}")
        return now, peak

    def accounts(self, what, made):
        """So many more requests were made; what is not in the metrics is in the ledger of losses.

        Both are of all loads until now: a request whose connection's end was lost comes when all sockets are listed again.
        """
        self.made += made
        found = self.settled()
        lost = self.lost()
        explained = sum(lost.get(cause, 0) for cause in MISSING)
        for point, count in found.items():
            missing = self.made - count
            check(missing >= 0, f"{what}: {self.made} requests made, {count} counted at {point} ({lost})")
            check(missing <= explained, f"{what}: {missing} of {self.made} missing at {point}, only {explained} lost: {lost}")
        self.say(what, made, found, lost)
        return found, lost

    def say(self, what, *figures):
        if os.environ.get("LOAD_FIGURES"):
            now, peak = memory(self.agent)
            print(f"    {what}: start {mib(self.start)} now {mib(now)} peak {mib(peak)}", *figures, flush=True)

    def goes_on(self, what):
        """A few more requests are all there."""
        ports = self.serve(1)
        self.run("short", 100, 100, *ports)
        found = settle("further requests", lambda: self.counted(ports), 30)
        equal(found, {"c-p": 100, "s-p": 100}, f"requests after {what}")
        equal(self.hadal.child("agent"), self.agent, f"pid of the agent after {what}")


def test_short(t):
    """100 000 connections that live for a moment, at a pace that the agent can follow; more of them take no more memory."""
    load = Load(t)
    load.run("short", 100_000, 4500, *load.ports)
    found, lost = load.accounts("100 000 connections", 100_000)
    check(min(found.values()) >= 50_000, f"only {found} of 100 000 counted, with time enough ({lost})")
    time.sleep(LINGER_SECONDS)
    before = load.lives("100 000 connections")[0]
    load.run("short", 20_000, 4500, *load.ports)
    load.accounts("20 000 more", 20_000)
    time.sleep(LINGER_SECONDS)
    after = load.lives("20 000 more")[0]
    check(after <= before + SLACK, f"memory grows: {mib(before)} after 100 000 connections, {mib(after)} after 20 000 more")
    load.goes_on("120 000 connections")


def test_rush(t):
    """As many connections per second as there can be: what the ring buffer had no room for is counted."""
    load = Load(t)
    load.run("short", 20_000, 0, *load.ports)
    load.accounts("a rush", 20_000)
    time.sleep(LINGER_SECONDS)
    left = load.lives("a rush")[0]
    check(left <= load.start + RINGS + 3 * SLACK, f"{mib(left)} after the rush, {mib(load.start)} before")
    load.goes_on("a rush")


def test_open(t):
    """50 000 connections at the same time, both ends here: more than the agent's table has room for."""
    load = Load(t)
    program = load.program("hold", 50_000, 4000, 50, *load.ports)
    wait_for("all are open", lambda: "open" in program.output(), 60)
    first, _ = load.accounts("50 000 open connections", 50_000)
    os.kill(program.pid, signal.SIGUSR1)
    equal(program.wait(30), 0, "exit code of hold")
    asked = json.loads(program.output().splitlines()[-1])["asked"]
    load.accounts("a sample of them", asked)
    check(sum(first.values()) >= 20_000, f"a table of 65 536 sockets has recorded only {first}")
    load.lives("50 000 open connections")
    load.goes_on("50 000 open connections")


def test_processes(t):
    """500 processes per second, each of which executes a program that asks once; then 10 000 threads at the same time."""
    load = Load(t, servers=2)
    made = load.run("forks", 20, 500, load.ports[0])
    equal(made["failed"], 0, "processes that failed")
    check(made["requests"] >= 8000, f"only {made['requests']} processes in 20 s")
    load.accounts("processes", made["requests"])
    clients = load.hadal.sql(
        f"SELECT process_name_0 AS client, count() AS n FROM l7_flow_log WHERE server_port = {load.ports[0]} AND "
        "observation_point = 'c-p' GROUP BY client"
    )
    equal([row["client"] for row in clients], ["forks"], "who asked")
    load.lives("processes")
    made = load.run("threads", 2, 5000, load.ports[1])
    load.accounts("threads", made["requests"])
    load.lives("threads")
    load.goes_on("processes and threads")


def test_garbage(t):
    """Heads of 1 MiB, heads and lines without end, more half heads than there may be bytes in hand; then random datagrams
    from 100 000 addresses to one socket, which leave room for others in the table of sockets."""
    load = Load(t, config=f"[agent]\nmax_buffered_bytes = {BUFFERED}\n")
    for kind in ("long", "endless"):
        load.run("heads", kind, 100, 1 << 20, *load.ports)
        load.accounts(f"{kind} heads", 100)
    load.run("heads", "inline", 100, 1 << 20, *load.ports)
    load.run("heads", "half", 4000, 12_000, *load.ports)
    lost = wait_for("bytes given up", lambda: load.losses().get("stream_buffer_full"), 15)
    load.say("half heads", lost, load.lost())
    load.lives("heads", load.start + RINGS + BUFFERED + 2 * SLACK)
    sent = load.run("datagrams", 100_000, 2)
    load.lives("datagrams")
    load.say("datagrams", sent, load.lost())
    load.goes_on("garbage")
