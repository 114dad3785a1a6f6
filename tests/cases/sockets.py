"""Unix sockets, io_uring, forced capture levels and the CPU budget, with the whole of Hadal."""

import socket
import subprocess

from harness import ROOT, check, equal, free_port, settle, wait_for

REQUESTS = 50

# Asks over a Unix socket.
UNIX_CLIENT = """
import sys
import redis
client = redis.Redis(unix_socket_path=sys.argv[1], single_connection_client=True)
print(1, flush=True)
for number in range(50):
    client.set("depth", number)
    assert client.get("depth") == str(number).encode()
"""


def test_redis_over_a_unix_socket(t):
    hadal = t.hadal().ready()
    path = t.work / "redis.sock"
    server = t.spawn("redis-server", ["redis-server", "--port", 0, "--unixsocket", path, "--dir", t.work, "--save", ""])
    wait_for("redis-server is ready", lambda: "ready to accept" in server.output().lower(), 15, 0.05)
    client, _ = t.serve("unix_client.py", UNIX_CLIENT, path)
    equal(client.wait(20), 0, "the client's exit code")
    sql = (
        "SELECT observation_point, request_type, auto_service_0 AS client, auto_service_1 AS server, count() AS n FROM l7_flow_log"
        " WHERE l7_protocol_str = 'Redis' AND request_type IN ('SET', 'GET') AND process_name_0 LIKE 'unix_client%' AND type = 'session'"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2"
    )
    rows = settle("rows of the Unix socket", lambda: hadal.sql(sql))
    equal([(row["observation_point"], row["request_type"], row["n"]) for row in rows],
          [(point, kind, REQUESTS) for point in ("c-p", "s-p") for kind in ("GET", "SET")], f"rows, of {rows}")
    for row in rows:
        equal(row["server"], "redis-server", "the server's name")


def test_io_uring_has_payload(t):
    """The client sends and receives by io_uring only; the requests are understood all the same."""
    hadal = t.hadal().ready()
    program = t.work / "uring_client"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, ROOT / "tests/capture/uring_client.c"], check=True)
    port = t.redis()
    client = t.spawn("uring_client", [program, port, REQUESTS])
    equal(client.wait(20), 0, f"the client's exit code, {client.output()}")
    sql = (
        "SELECT observation_point, request_type, request_resource, count() AS n FROM l7_flow_log"
        f" WHERE server_port = {port} AND type = 'session' GROUP BY 1, 2, 3 ORDER BY 1"
    )
    rows = settle("rows of the io_uring client", lambda: hadal.sql(sql))
    equal([(row["observation_point"], row["request_type"], row["n"]) for row in rows], [("c-p", "GET", REQUESTS), ("s-p", "GET", REQUESTS)],
          f"rows, of {rows}")


def counted(hadal, ports):
    sql = f"SELECT observation_point, sum(request) AS n FROM flow_metrics.`application_map.1s` WHERE server_port IN ({ports}) GROUP BY 1"
    return {row["observation_point"]: row["n"] for row in hadal.sql(sql)}


def test_level_c_forced(t):
    """Level C counts the demo's requests as level A does, and says what it is."""
    hadal = t.hadal(config='[agent]\ncapture_level = "C"\n').ready()
    (agent,) = hadal.get("/v1/agents")["agents"]
    equal(agent["capture_level"], "C", "the level on the agents page")
    ledger = t.demo_ledger("--requests", 400, "--rate", 100)
    ports = ", ".join(map(str, ledger["ports"].values()))
    wanted = sum(edge["requests"] for edge in ledger["edges"].values())
    found = settle("counts at level C", lambda: counted(hadal, ports))
    equal(found, {"c-p": wanted, "s-p": wanted}, "requests at both ends")


def test_level_d_says_what_it_does_not_see(t):
    hadal = t.hadal(config='[agent]\ncapture_level = "D"\n').ready()
    (agent,) = hadal.get("/v1/agents")["agents"]
    equal((agent["capture_level"], agent["state"]), ("D", "running"), "the agent")
    lacking = [found for found in agent["capabilities"] if found["name"] == "socket capture"]
    equal([found["state"] for found in lacking], ["missing"], f"the capability, of {agent['capabilities']}")
    check(lacking[0]["what_to_do"], "it does not say what to do")


def test_unknown_level_is_refused(t):
    hadal = t.spawn("hadal", [t.binary, "agent", "--capture-level", "E"])
    check(hadal.wait(20) != 0, "it runs at a level that there is not")
    check("no capture level E" in hadal.output(), f"it says {hadal.output()!r}")


def test_the_budget_sheds_in_order_and_says_so(t):
    """A budget that any traffic exceeds: payload, unimportant sockets, logs; the metrics stay complete."""
    hadal = t.hadal(config="[agent]\ncpu_percent = 0.01\ncpu_hard_percent = 1000\nshed_payload_bytes = 128\n").ready()
    own = t.endless_demo(100)

    def stage():
        (agent,) = hadal.get("/v1/agents")["agents"]
        return agent["shedding"]

    seen = []
    def reached():
        now = stage()
        if not seen or seen[-1] != now:
            seen.append(now)
        return "request log" in now
    wait_for("the log is shed", reached, 60)
    order = ["", "payload", "payload, unimportant sockets", "payload, unimportant sockets, request log"]
    equal([name for name in seen if name in order], sorted(seen, key=order.index), f"stages in order, of {seen}")
    losses = lambda: {row["cause"]: row["n"] for row in hadal.sql("SELECT cause, sum(`count`) AS n FROM hadal.loss GROUP BY 1")}
    wait_for("what was shed is counted", lambda: {"log_shed", "payload_shed"} <= losses().keys(), 20)
    # The last seconds: no log, and metrics go on.
    recent = "time >= now() - 4"
    wait_for("no rows any more", lambda: hadal.value(f"SELECT count() FROM l7_flow_log WHERE {own} AND {recent}") == 0, 20)
    check(hadal.value(f"SELECT sum(request) FROM flow_metrics.`application_map.1s` WHERE {own} AND {recent}") > 0, "metrics stopped")
