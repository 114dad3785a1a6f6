"""`hadal up` keeps its two processes running, with few rights, and records neither itself nor who asks it."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import stat
import time

from cases.counts import EDGES
from harness import Failed, check, children_of, equal, is_alive, own, settle, wait_for

END_WITHIN_S = 10
CRASHES = ("Segmentation fault", "panicked", "SIGSEGV", "SIGABRT", "core dumped", "terminate called")


def count(hadal, condition="1"):
    """Rows of the log; `None` while nobody answers."""
    with contextlib.suppress(OSError, Failed):
        return hadal.value(f"SELECT count() FROM l7_flow_log WHERE {condition}")
    return None


def check_no_crash(hadal):
    found = [line for line in hadal.log.splitlines() if any(word in line for word in CRASHES)]
    equal(found, [], "lines of the log about crashes")


def test_restarts(t):
    hadal = t.hadal().ready()
    mine = t.endless_demo(60)
    wait_for("rows", lambda: (count(hadal, mine) or 0) > 200, 20)
    for role in ("agent", "server", "agent"):
        pid = hadal.child(role)
        other = hadal.child("server" if role == "agent" else "agent")
        before = count(hadal, mine)
        mark = time.time()
        os.kill(pid, signal.SIGKILL)
        wait_for(f"another {role}", lambda: hadal.child(role) not in (None, pid), 15)
        check(
            hadal.child("server" if role == "agent" else "agent") == other,
            f"the other process did not stay when the {role} was killed",
        )
        after = wait_for("answers", lambda: count(hadal, mine), 20)
        check(after >= before, f"{before} rows became {after} when the {role} was killed")
        wait_for(
            f"new rows after the {role} was killed",
            lambda: (count(hadal, f"{mine} AND start_time > fromUnixTimestamp64Micro({int((mark + 3) * 1e6)})") or 0) > 100,
            30,
        )
        check(hadal.running_agents(), "no agent runs")
    edges = hadal.get("/v1/map", **{"from": time.time() - 5, "to": time.time()})["edges"]
    names = {(edge["client"], edge["server"]) for edge in edges}
    for pair in (edge.split(" → ") for edge in EDGES):
        check(tuple(pair) in names, f"{pair} is not on the map after the restarts, only {sorted(names)}")
    check_no_crash(hadal)


def test_server_away(t):
    """What is recorded while the server is away arrives when it is back, once."""
    hadal = t.hadal().ready()
    server = hadal.child("server")
    demo = t.demo("--requests", "2000", "--rate", "200")
    wait_for("rows", lambda: (count(hadal) or 0) > 500, 20)
    os.kill(server, signal.SIGKILL)
    equal(demo.wait(60), 0, "the demo's exit code")
    ledger = json.loads(demo.output().splitlines()[-1])
    wait_for("answers", lambda: count(hadal) is not None, 20)
    for edge, counts in ledger["edges"].items():
        client, server_name = edge.split(" → ")
        condition = (
            f"process_name_0 = '{client}' AND process_name_1 = '{server_name}' AND server_port = {ledger['ports'][server_name]}"
        )
        found = settle("rows", lambda: count(hadal, condition), 40, 4)
        equal(found, 2 * counts["requests"], f"rows of {edge} at both ends")


def test_end(t):
    """A signal ends all in order; the next start finds the rows."""
    hadal = t.hadal().ready()
    demo = t.demo("--requests", "600", "--rate", "300")
    equal(demo.wait(60), 0, "the demo's exit code")
    mine = own(json.loads(demo.output().splitlines()[-1]))
    rows = settle("rows", lambda: count(hadal, mine))
    check(rows > 1000, f"only {rows} rows")
    children = children_of(hadal.program.pid)
    equal(len(children), 2, "children of hadal up")
    start = time.monotonic()
    hadal.program.process.terminate()
    equal(hadal.program.wait(END_WITHIN_S), 0, f"exit code of hadal up ({time.monotonic() - start:.1f} s)")
    equal([pid for pid in children if is_alive(pid)], [], "children that are left")
    check_no_crash(hadal)
    again = t.hadal(data=hadal.data).ready()
    equal(count(again, mine), rows, "rows after a restart")


def test_interrupt_during_start(t):
    hadal = t.hadal()
    time.sleep(0.15)
    hadal.program.process.send_signal(signal.SIGINT)
    equal(hadal.program.wait(END_WITHIN_S), 0, "exit code of hadal up")
    check_no_crash(hadal)


def test_supervisor_killed(t):
    """Without their supervisor the processes end too, and the data can be opened again."""
    hadal = t.hadal().ready()
    children = children_of(hadal.program.pid)
    os.kill(hadal.program.pid, signal.SIGKILL)
    wait_for("the children end", lambda: not any(map(is_alive, children)), END_WITHIN_S)
    t.hadal(data=hadal.data).ready()


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def listening_addresses(pid):
    """Local addresses of listening TCP sockets of a process, as the kernel writes them."""
    inodes = set()
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(link).removeprefix("socket:[").rstrip("]"))
    found = []
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.append(fields[1].split(":")[0])
    return found


def test_rights(t):
    hadal = t.hadal().ready()
    server = status_of(hadal.child("server"))
    check("0" not in server["Uid"].split(), f"the server's user ids are {server['Uid']}")
    check(
        "0" not in server["Gid"].split() and not server["Groups"].strip(),
        f"the server's groups are {server['Gid']}, {server['Groups']}",
    )
    equal({server[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}, {"0" * 16}, "the server's capabilities")
    equal(server["NoNewPrivs"], "1", "NoNewPrivs of the server")
    mode = hadal.data.stat()
    equal(stat.S_IMODE(mode.st_mode), 0o700, "mode of the data directory")
    equal(str(mode.st_uid), server["Uid"].split()[0], "owner of the data directory")
    equal(listening_addresses(hadal.child("server")), ["0100007F"] * 2, "addresses the server listens on")
    equal(listening_addresses(hadal.child("agent")), [], "addresses the agent listens on")
    maps = pathlib.Path(f"/proc/{hadal.child('agent')}/maps").read_text()
    check("libchdb" not in maps and "chdb" not in maps, "the agent has loaded libchdb")


def check_not_recorded(hadal, where):
    ports = f"{hadal.http}, {hadal.agents}"
    for table, db in (
        ("l7_flow_log", "flow_log"),
        ("`application_map.1s`", "flow_metrics"),
        ("`network_map.1s`", "flow_metrics"),
    ):
        rows = hadal.sql(
            f"SELECT process_name_0, process_name_1, observation_point, server_port, count() AS n FROM {table} WHERE server_port IN ({ports}) "
            "OR process_name_0 = 'hadal' OR process_name_1 = 'hadal' GROUP BY ALL",
            db,
        )
        equal(rows, [], f"rows of {table} about hadal itself {where}")
    equal(
        hadal.value("SELECT count() FROM entity WHERE tags['process_name'] = 'hadal'", "meta"),
        0,
        f"entities that are hadal {where}",
    )


ASKER = """
import http.client, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
print(1, flush=True)
while True:
    try:
        connection.request("GET", "/v1/agents")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        connection.close()
    time.sleep(0.02)
"""


def test_own_traffic(t):
    """Neither hadal nor the connections to it are in the data, whoever was there first."""
    hadal = t.hadal()
    t.serve("asker.py", ASKER, str(hadal.http))
    hadal.ready()
    mine = t.endless_demo(50)
    wait_for("rows of the demo", lambda: (count(hadal, mine) or 0) > 500, 20)
    check_not_recorded(hadal, "after a start")
    # A connection that is older than the agent.
    agent = hadal.child("agent")
    os.kill(agent, signal.SIGKILL)
    wait_for("another agent", lambda: hadal.child("agent") not in (None, agent), 15)
    rows = count(hadal, mine)
    wait_for("new rows", lambda: (count(hadal, mine) or 0) > rows + 200, 20)
    check_not_recorded(hadal, "after another agent started")
    # A server that is younger than the agent.
    server = hadal.child("server")
    os.kill(server, signal.SIGKILL)
    wait_for("another server", lambda: hadal.child("server") not in (None, server), 15)
    wait_for("answers", lambda: count(hadal) is not None, 20)
    rows = count(hadal, mine)
    wait_for("new rows", lambda: (count(hadal, mine) or 0) > rows + 300, 20)
    check_not_recorded(hadal, "after another server started")


def test_other_name(t):
    """The same under another name of the binary."""
    binary = shutil.copy(t.binary, t.work / "watcher")
    t.binary = str(binary)
    hadal = t.hadal()
    t.serve("asker.py", ASKER, str(hadal.http))
    hadal.ready()
    mine = t.endless_demo(50)
    wait_for("rows of the demo", lambda: (count(hadal, mine) or 0) > 500, 20)
    check_not_recorded(hadal, "under another name")
    server = hadal.child("server")
    os.kill(server, signal.SIGKILL)
    wait_for("another server", lambda: hadal.child("server") not in (None, server), 15)
    wait_for("answers", lambda: count(hadal) is not None, 20)
    rows = count(hadal, mine)
    wait_for("new rows", lambda: (count(hadal, mine) or 0) > rows + 300, 20)
    check_not_recorded(hadal, "under another name after another server started")
    equal(hadal.value("SELECT count() FROM entity WHERE tags['process_name'] = 'watcher'", "meta"), 0, "entities that are hadal")
