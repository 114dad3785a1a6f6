"""Garbage at every port and in every query: an error to whoever sent it, and nothing else."""

import contextlib
import json
import pathlib
import random
import socket
import time
import urllib.parse

from harness import check, equal, is_alive, own, settle

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, payload, flags=0, stream=0, length=None):
    """An HTTP/2 frame; its length may lie."""
    return (
        (len(payload) if length is None else length).to_bytes(3, "big")
        + bytes([kind, flags])
        + stream.to_bytes(4, "big")
        + payload
    )


def garbage():
    """What is sent, by name. Seeded: the same each time."""
    rng = random.Random(7)
    head = b"POST /v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    yield "random bytes", rng.randbytes(100_000)
    yield "10 MB of zeros", b"\0" * 10_000_000
    yield "10 MB of one line", b"GET /" + b"a" * 10_000_000
    yield "a preface and random bytes", PREFACE + rng.randbytes(50_000)
    yield "a preface and a frame that lies", PREFACE + frame(4, b"") + frame(0, b"x", length=0xFFFFFF)
    yield "a preface and odd settings", PREFACE + frame(4, b"\0\4\xff\xff\xff\xff" * 100) + frame(4, b"\0")
    yield "a preface and headers of nonsense", PREFACE + frame(4, b"") + frame(1, rng.randbytes(2000), flags=4, stream=1)
    yield (
        "a preface and 10 000 resets",
        PREFACE + frame(4, b"") + b"".join(frame(3, b"\0\0\0\0", stream=2 * n + 1) for n in range(10_000)),
    )
    yield "a preface alone", PREFACE
    yield "half a request line", b"GET /v1/m"
    yield "half a head", b"GET /v1/map HTTP/1.1\r\nHost: x\r\nX-"
    yield "half a body", head + b'Content-Length: 1000\r\n\r\n{"db":'
    yield "a length that lies", head + b"Content-Length: 18446744073709551615\r\n\r\n{}"
    yield "a length below zero", head + b"Content-Length: -1\r\n\r\n{}"
    yield "two lengths", head + b"Content-Length: 2\r\nContent-Length: 100\r\n\r\n{}"
    yield "chunks of nonsense", head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + rng.randbytes(1000)
    yield "a thousand headers", b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n"
    yield "a TLS hello", bytes.fromhex("16030100a5010000a10303") + rng.randbytes(160)


def send(port, data):
    """Sends all that the other side takes, and reads what it says."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(3)
        with contextlib.suppress(OSError):
            connection.sendall(data)
        connection.settimeout(0.3)
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass


def test_ports(t):
    """Processes live, data stays, and the next client is served."""
    hadal = t.hadal().ready()
    ledger = t.demo_ledger("--requests", "600", "--rate", "300")
    rows = f"SELECT count() AS n, sum(cityHash64(*)) AS hash FROM l7_flow_log WHERE {own(ledger)}"
    before = settle("rows", lambda: hadal.sql(rows))
    children = {role: hadal.child(role) for role in ("server", "agent")}
    for name, data in garbage():
        for port in (hadal.http, hadal.agents):
            send(port, data)
            check(
                all(map(is_alive, children.values())), f"a process died of {name} at {'http' if port == hadal.http else 'agents'}"
            )
        check(hadal.request("GET", "/healthz", seconds=5).status == 200, f"no answer after {name}")
    with contextlib.ExitStack() as many:
        for _ in range(300):
            connection = many.enter_context(socket.create_connection(("127.0.0.1", hadal.http), 5))
            connection.sendall(b"GET /v1/map HTTP/1.1\r\nHost:")
        check(hadal.request("GET", "/v1/agents", seconds=5).status == 200, "no answer beside 300 half requests")
    equal({role: hadal.child(role) for role in ("server", "agent")}, children, "pids")
    equal(settle("rows", lambda: hadal.sql(rows)), before, "rows of the log")
    check(hadal.running_agents(), "the agent is gone")
    ledger = t.demo_ledger("--requests", "300", "--rate", "300")
    wanted = sum(2 * counts["requests"] for counts in ledger["edges"].values())
    equal(
        settle("rows", lambda: hadal.value(f"SELECT count() FROM l7_flow_log WHERE {own(ledger)}")),
        wanted,
        "rows of a load after the garbage",
    )


EATER = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
def eat(connection):
    try:
        while data := connection.recv(65536):
            connection.sendall(data[:100][::-1])
    except OSError:
        pass
while True:
    threading.Thread(target=eat, args=(server.accept()[0],), daemon=True).start()
"""


def test_observed(t):
    """Programs that talk nonsense to each other do not disturb the agent."""
    hadal = t.hadal().ready()
    _, port = t.serve("eater.py", EATER)
    agent = hadal.child("agent")
    half = b"*3\r\n$3\r\nSET\r\n$1000000000\r\n"
    for name, data in [
        *garbage(),
        ("half a command", half),
        ("commands of nonsense", b"*1\r\n$-5\r\nx\r\n" * 1000),
        ("an array without end", b"*1\r\n" * 100_000),
    ]:
        send(port, data)
        equal(hadal.child("agent"), agent, f"pid of the agent after {name}")
    ledger = t.demo_ledger("--requests", "600", "--rate", "300")
    found = settle("rows", lambda: hadal.value(f"SELECT count() FROM l7_flow_log WHERE server_port = {ledger['ports']['nginx']}"))
    equal(found, 1200, "rows of a load after the nonsense")
    equal(hadal.child("agent"), agent, "pid of the agent")


REFUSED = [
    "",
    ";",
    "SELEC 1",
    "SELECT",
    "SELECT * FROM nothing_like_this",
    "SELECT nothing FROM l7_flow_log",
    "SELECT 'x",
    "SELECT /* x",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE flow_log.l7_flow_log",
    "DROP TABLE flow_log.l7_flow_log",
    "TRUNCATE TABLE flow_log.l7_flow_log",
    "INSERT INTO hadal.loss VALUES (now(), 'x', 'y', 1)",
    "INSERT INTO FUNCTION file('{work}/stolen', 'CSV', 'a String') SELECT 'x'",
    "SET readonly = 0",
    "SYSTEM SHUTDOWN",
    "CREATE TABLE flow_log.x (a Int8) ENGINE = Memory",
    "ALTER TABLE hadal.loss DELETE WHERE 1",
    "ATTACH TABLE x",
    "KILL QUERY WHERE 1",
    "GRANT ALL ON *.* TO default",
    "OPTIMIZE TABLE flow_log.l7_flow_log FINAL",
    "USE system",
    "SELECT * FROM file('/etc/shadow', 'LineAsString')",
    "SELECT * FROM file('/etc/passwd', 'LineAsString') SETTINGS readonly = 0",
    "WITH x AS (SELECT * FROM file('/etc/passwd', 'LineAsString')) SELECT * FROM x",
    "SELECT * FROM url('http://127.0.0.1:{http}/healthz', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', 'flow_log.l7_flow_log')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM sqlite('{data}/catalog.sqlite', 'agent')",
    "SELECT 1 INTO OUTFILE '{work}/stolen'",
    "SELECT 1 INTO/**/OUTFILE '{work}/stolen' FORMAT CSV",
    "select 1 into\noutfile '{work}/stolen'",
    "EXPLAIN SELECT 1 INTO OUTFILE '{work}/stolen'",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_memory_usage = 0",
    "SELECT sleepEachRow(3) FROM numbers(100)",
    "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash128(number))",
    "SELECT groupArray(number) FROM numbers(3000000000)",
    "SELECT * FROM numbers(100000000)",
    "SELECT throwIf(1)",
    "SELECT 1 FORMAT Nonsense; SELECT 2",
]


def test_sql(t):
    """What does not only read is an error to the caller with 4xx and a word; no file is written or read."""
    hadal = t.hadal(config="[server]\nquery_seconds = 3\n").ready()
    count = f"SELECT count() FROM l7_flow_log WHERE {own(t.demo_ledger('--requests', '300', '--rate', '300'))}"
    rows = settle("rows", lambda: hadal.value(count))
    server = hadal.child("server")
    for sql in REFUSED:
        sql = sql.format(work=t.work, http=hadal.http, data=hadal.data)
        for request in (hadal.post_sql, lambda sql: post_form(hadal, sql)):
            answer = request(sql)
            check(400 <= answer.status < 500, f"{sql!r} answers {answer.status}: {answer.body[:300]!r}")
            body = answer.json
            check(body["OPT_STATUS"] not in ("", "SUCCESS") and body["DESCRIPTION"], f"{sql!r} answers {body}")
            check(b"root:" not in answer.body, f"{sql!r} reads files: {answer.body[:200]!r}")
    for body, kind in (
        (b"\xff\xfe{", "application/json"),
        (b"[1]", "application/json"),
        (b'{"sql": 7}', "application/json"),
        (b"%ff=%00&sql=%zz", "x"),
        (b"{" * 100_000, "application/json"),
    ):
        answer = hadal.request("POST", "/v1/query", body, {"Content-Type": kind})
        check(400 <= answer.status < 500, f"{body[:20]!r} answers {answer.status}")
    for db in ("system", "nothing", "flow_log`; DROP TABLE x", "../meta"):
        answer = hadal.post_sql("SELECT 1", db)
        check(answer.status == 400 and answer.json["OPT_STATUS"] != "SUCCESS", f"database {db!r} answers {answer.status}")
    stolen = [path for folder in (t.work, hadal.data, pathlib.Path("/")) for path in folder.glob("*stolen*")]
    equal(stolen, [], "files written by queries")
    equal(hadal.value(count), rows, "rows after the attacks")
    equal(hadal.child("server"), server, "pid of the server")
    for sql in (
        "SELECT 1",
        "SHOW TABLES",
        "DESCRIBE l7_flow_log",
        "EXPLAIN SELECT count() FROM l7_flow_log",
        "WITH 1 AS x SELECT x",
        "SELECT ';' -- ;",
    ):
        equal(hadal.post_sql(sql).status, 200, f"status of {sql!r}")


def post_form(hadal, sql):
    body = urllib.parse.urlencode({"db": "flow_log", "sql": sql})
    return hadal.request("POST", "/v1/query", body, {"Content-Type": "application/x-www-form-urlencoded"})


def test_filter(t):
    """A wrong filter is told where it is wrong; an attack by filter or argument is an error or finds nothing."""
    hadal = t.hadal().ready()
    span = {"from": int(time.time()) - 60, "to": int(time.time())}
    paths = ("/v1/map", "/v1/requests", "/v1/requests/histogram")
    for text, position in (
        ("stauts = ok", 0),
        ("status = ok  nothing = 1", 13),
        ("status =", 0),
        ("latency > fast", 10),
        ('status = "ok', 9),
        ("= 1", 0),
    ):
        for path in paths:
            answer = hadal.request("GET", path + "?" + urllib.parse.urlencode({**span, "filter": text}))
            equal(answer.status, 400, f"status of {path} with filter {text!r} ({answer.body[:200]!r})")
            error = answer.json["error"]
            equal((error["code"], error["position"]), ("invalid_filter", position), f"error of {path} with filter {text!r}")
            check(error["message"] and error["length"] is not None, f"the error is {error}")
    equal(hadal.request("GET", "/v1/map?filter=stauts+%3D+ok").json["error"]["suggestion"], "status", "suggestion for stauts")
    for value in (
        "x' OR 1=1 --",
        "x\\' OR 1=1 --",
        "x'); DROP TABLE flow_log.l7_flow_log; --",
        "%",
        "\\",
        "\0",
        "é" * 300,
        "{x:Int8}",
    ):
        quoted = json.dumps(value, ensure_ascii=False) if "\\" in value or '"' in value else f'"{value}"'
        for path in paths:
            answer = hadal.request("GET", path + "?" + urllib.parse.urlencode({**span, "filter": f"auto_service = {quoted}"}))
            check(answer.status in (200, 400), f"{path} with value {value!r} answers {answer.status}: {answer.body[:200]!r}")
        answer = hadal.request("GET", "/v1/requests?" + urllib.parse.urlencode({**span, "filter": f"auto_service = {quoted}"}))
        check(answer.status == 400 or not answer.json["rows"], f"value {value!r} finds {answer.body[:200]!r}")
    for path in (
        "/v1/map?from=x",
        "/v1/map?from=5&to=1",
        "/v1/map?from=-1e300&to=1e300",
        "/v1/map?from=nan&to=inf",
        "/v1/map?group_by=nothing",
        "/v1/map?group_by=agent'",
        "/v1/requests?limit=-1",
        "/v1/requests?limit=99999999999",
        "/v1/requests?cursor=nonsense",
        "/v1/requests?after=%27",
        "/v1/requests?order=sideways",
        "/v1/requests/nonsense?time=1",
        "/v1/requests/1?time=x",
        "/v1/requests/1?time=1",
        "/v1/requests/18446744073709551616?time=1",
        "/v1/tags/nothing/values",
        "/v1/tags/auto_service/values?prefix=%27",
        "/v1/requests/histogram?buckets=0",
        "/v1/requests/histogram?buckets=999999999",
        "/v1/map/detail",
        "/v1/nothing",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/../../../../etc/passwd",
        "/assets/../../../etc/passwd",
        "/%00",
        "/v1/%ff",
    ):
        answer = hadal.request("GET", path)
        check(answer.status < 500, f"{path} answers {answer.status}: {answer.body[:300]!r}")
        check(b"root:" not in answer.body, f"{path} reads files")
    for method in ("PUT", "DELETE", "TRACE", "OPTIONS"):
        check(hadal.request(method, "/v1/map").status in (405, 404, 400), f"{method} is served")
