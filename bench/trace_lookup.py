#!/usr/bin/env python3
"""How long a trace of 20 spans takes to look up among ten million rows of the request log.

Fills the log of a new data folder through the embedded engine: systems of eight services on three hosts each, one of which gets
half of the load. Each request makes a trace of 20 rows, of ten calls that are five deep, without any id that is handed on. Then a
server looks traces up through its API, from the client's row of the entry and from rows further down.
"""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from harness import Failed, Test, check

LIBRARY = pathlib.Path.home() / ".cache/hadal/libchdb-26.7.3-stable.1/libchdb.so"
SYSTEMS, SPANS = 10, 20
SERVICES = ["load", "nginx", "shop", "stock", "price", "mail", "redis", "postgres"]
HOSTS = [0, 0, 1, 2, 2, 1, 1, 2]
PORTS = [0, 80, 8080, 8081, 8082, 8083, 6379, 5432]
PROTOCOLS = ["", "HTTP1", "HTTP1", "HTTP1", "HTTP1", "HTTP1", "Redis", "PostgreSQL"]
# How much later the server's end of a call begins, and how much sooner it ends, in microseconds.
INSET = 200


class Call:
    """One call of a request: services by number, start and end in microseconds, and when the client read last before it."""

    def __init__(self, client, server, start, end, read_before, read_last=None):
        self.client, self.server, self.start, self.end, self.read_before = client, server, start, end, read_before
        # What the server read last before it answered; of a leaf its request.
        self.read_last = read_last or start + INSET


CALLS = [
    Call(0, 1, 0, 300_000, 0, 296_000),
    Call(1, 2, 2_000, 296_000, 200, 290_000),
    Call(2, 6, 6_000, 12_000, 2_200),
    Call(2, 3, 20_000, 220_000, 12_000, 210_000),
    Call(3, 6, 25_000, 31_000, 20_200),
    Call(3, 7, 40_000, 90_000, 31_000),
    Call(3, 4, 95_000, 210_000, 90_000, 104_000),
    Call(4, 6, 100_000, 104_000, 95_200),
    Call(2, 5, 225_000, 290_000, 220_000, 285_000),
    Call(5, 7, 230_000, 285_000, 225_200),
]


class Engine:
    """The embedded ClickHouse on a folder that no server uses."""

    def __init__(self, folder):
        self.library = ctypes.CDLL(os.environ.get("HADAL_LIBCHDB", str(LIBRARY)))
        self.library.chdb_connect.restype = ctypes.POINTER(ctypes.c_void_p)
        for name in ("chdb_query_n", "chdb_result_buffer"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.library.chdb_result_length.restype = ctypes.c_size_t
        self.library.chdb_result_error.restype = ctypes.c_char_p
        self.library.chdb_set_signal_handlers_enabled(0)
        words = (ctypes.c_char_p * 2)(b"clickhouse", f"--path={folder}".encode())
        self.connection = self.library.chdb_connect(2, words)
        check(self.connection, f"the engine does not open {folder}")

    def run(self, sql):
        text = sql.encode()
        connection = ctypes.c_void_p(self.connection[0])
        result = ctypes.c_void_p(self.library.chdb_query_n(connection, text, ctypes.c_size_t(len(text)), b"TSV", ctypes.c_size_t(3)))
        error = self.library.chdb_result_error(result)
        check(not error, f"{sql[:200]}: {error}")
        buffer, length = self.library.chdb_result_buffer(result), self.library.chdb_result_length(result)
        answer = ctypes.string_at(buffer, length).decode() if buffer else ""
        self.library.chdb_destroy_query_result(result)
        return answer

    def close(self):
        self.library.chdb_close_conn(self.connection)


def of_call(values):
    """SQL: the value of the row's call."""
    return f"[{', '.join(map(str, values))}][call + 1]"


def of_service(values, service):
    shown = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in values)
    return f"[{shown}][{service} + 1]"


def fill_sql(rows, base_s, seconds):
    """Rows of `rows / 20` requests in the time."""
    apart_us = seconds * 1_000_000 * SPANS // rows
    moment = lambda offsets: f"toUInt64({of_call(offsets)} * stretch)"
    # A context is the time of the read, in units of 1/256 of a nanosecond, and here some of the task.
    context = lambda offsets: f"(request_us - {base_s * 1_000_000 - 10**9} + {moment(offsets)}) * 256000 + request % 200"
    inset = f"if(at_server, {INSET}, 0)"
    word = lambda service: f"{of_service(PROTOCOLS, service)}"
    address = lambda service: f"toIPv6(concat('10.', toString(system), '.', toString({of_service(HOSTS, service)}), '.', toString({service})))"
    columns = {
        "_id": "bitShiftLeft(toUInt64(1), 52) + bitShiftLeft(toUInt64(1), 40) + number",
        "time": "toDateTime(intDiv(end_us, 1000000), 'UTC')",
        "start_time": "fromUnixTimestamp64Micro(toInt64(start_us), 'UTC')",
        "end_time": "fromUnixTimestamp64Micro(toInt64(end_us), 'UTC')",
        "observation_point": "if(at_server, 's-p', 'c-p')",
        "signal_source": "'eBPF'",
        "agent": f"concat('node-', toString(system * 3 + if(at_server, {of_service(HOSTS, 'server')}, {of_service(HOSTS, 'client')})))",
        "client_entity": "toUInt32(system * 10 + client + 1)",
        "server_entity": "toUInt32(system * 10 + server + 1)",
        "ip_0": address("client"),
        "ip_1": address("server"),
        "client_port": "toUInt16(30000 + cityHash64(request, call, 3) % 64)",
        "server_port": f"toUInt16({of_service(PORTS, 'server')})",
        "process_id_0": "toUInt32(if(at_server, 0, 1000 + system * 10 + client))",
        "process_id_1": "toUInt32(if(at_server, 1000 + system * 10 + server, 0))",
        "l7_protocol_str": word("server"),
        "type": "'session'",
        "request_type": "'GET'",
        "request_domain": f"concat({of_service(SERVICES, 'server')}, '.local')",
        "request_resource": "concat('/item/', toString(cityHash64(request, 4) % 100000), '/part/', toString(call))",
        "endpoint": "concat('/item/{}/part/', toString(call))",
        "response_status": "'ok'",
        "response_code": "200",
        "response_duration": "end_us - start_us",
        "request_length": "toUInt64(200 + cityHash64(request, call, 5) % 300)",
        "response_length": "toUInt64(200 + cityHash64(request, call, 6) % 5000)",
        "syscall_trace_id_request": f"if(at_server, {context([call.start + INSET for call in CALLS])}, "
        f"if(call = 0, 0, {context([call.read_before for call in CALLS])}))",
        "syscall_trace_id_response": f"if(at_server, {context([call.read_last for call in CALLS])}, {context([call.end for call in CALLS])})",
        "req_tcp_seq": "bitOr(toUInt32(cityHash64(request, call, 1)), 2097152)",
        "resp_tcp_seq": "bitOr(toUInt32(cityHash64(request, call, 2)), 2097152)",
        "flow_id": "cityHash64(system, call, cityHash64(request, call, 3) % 64)",
        "rtt": "toUInt32(50 + cityHash64(request, call, 7) % 100)",
    }
    return f"""INSERT INTO flow_log.l7_flow_log ({", ".join(columns)}) SELECT {", ".join(columns.values())} FROM (
        SELECT number, intDiv(number, {SPANS}) AS request, toUInt8(intDiv(number % {SPANS}, 2)) AS call, number % 2 = 1 AS at_server,
            cityHash64(request) % {2 * SYSTEMS} AS draw, if(draw < {SYSTEMS}, 0, draw - {SYSTEMS}) AS system,
            0.3 + (cityHash64(request, 8) % 1000) / 500 AS stretch,
            toUInt64({base_s * 1_000_000} + request * {apart_us} + cityHash64(request, 9) % 5000000) AS request_us,
            toUInt8({of_call(call.client for call in CALLS)}) AS client, toUInt8({of_call(call.server for call in CALLS)}) AS server,
            request_us + {moment([call.start for call in CALLS])} + {inset} AS start_us,
            greatest(start_us, request_us + {moment([call.end for call in CALLS])} - {inset}) AS end_us
        FROM numbers({rows})
    ) SETTINGS max_block_size = 200000, min_insert_block_size_rows = 400000, max_insert_threads = 1, max_partitions_per_insert_block = 0"""


def entities_sql():
    names = ", ".join(f"'{name}'" for name in SERVICES)
    return f"""INSERT INTO meta.entity (id, version, tags) SELECT toUInt32(number + 1), 1,
        map('auto_service', [{names}][number % 10 + 1], 'auto_instance', concat('system-', toString(intDiv(number, 10))))
        FROM numbers({10 * SYSTEMS}) WHERE number % 10 < {len(SERVICES)}"""


def server(test, data):
    return test.hadal("server", data=data).ready(agent=False)


def fill(test, data, options):
    """Lets a server make the tables, and then fills them."""
    server(test, data).program.stop()
    begin = time.monotonic()
    engine = Engine(data / "clickhouse")
    engine.run(entities_sql())
    engine.run(fill_sql(options.rows, int(time.time()) - options.seconds - 600, options.seconds))
    if options.merge:
        engine.run("OPTIMIZE TABLE flow_log.l7_flow_log FINAL")
    engine.close()
    print(f"{options.rows} rows in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)


def seeds(hadal, options):
    """Requests all over the time, of busy and quiet systems alike; of each its row at the client and one further down."""
    draw = random.Random(options.seed)
    requests = [draw.randrange(options.rows // SPANS) for _ in range(options.lookups)]
    entry = lambda request: request * SPANS
    inner = lambda request: request * SPANS + draw.randrange(1, SPANS)
    first = (1 << 52) + (1 << 40)
    wanted = [(first + entry(request), first + inner(request)) for request in requests]
    ids = ", ".join(str(one) for pair in wanted for one in pair)
    sql = f"SELECT toString(log._id) AS id, toUnixTimestamp64Micro(start_time) AS us FROM l7_flow_log AS log WHERE log._id IN ({ids})"
    starts = {row["id"]: row["us"] for row in hadal.sql(sql)}
    return [[(str(one), starts[str(one)]) for one in pair] for pair in wanted]


def look_up(hadal, row):
    """Milliseconds of one look-up; it must find the whole trace, and nothing else."""
    begin = time.monotonic()
    answer = hadal.get(f"/v1/trace/{row[0]}", time=row[1])
    took = 1000 * (time.monotonic() - begin)
    found = sorted((int(span["id"]) - (1 << 52) - (1 << 40)) // SPANS for span in answer["spans"])
    wanted = (int(row[0]) - (1 << 52) - (1 << 40)) // SPANS
    check(found == [wanted] * SPANS, f"the trace of {row[0]} has {len(found)} rows of the requests {sorted(set(found))}, not 20 of {wanted}")
    return took


def drop_caches():
    with contextlib.suppress(OSError):
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")


def line(name, times):
    times = sorted(times)
    share = lambda part: times[min(len(times) - 1, int(part * len(times)))]
    return f"| {name} | {statistics.median(times):.0f} | {share(0.9):.0f} | {times[-1]:.0f} |"


def measure(test, data, options):
    hadal = server(test, data)
    rows = seeds(hadal, options)
    hadal.program.stop()
    print("| look-ups | median ms | 90 % ms | longest ms |\n|---|---|---|---|", flush=True)
    drop_caches()
    hadal = server(test, data)
    times = {}
    print(line("cold, from the entry", [look_up(hadal, entry) for entry, _ in rows]), flush=True)
    times = [(look_up(hadal, entry), look_up(hadal, inner)) for entry, inner in rows]
    print(line("warm, from the entry", [one for one, _ in times]), flush=True)
    print(line("warm, from another row", [other for _, other in times]), flush=True)
    count = "SELECT count() AS rows, uniq(_part) AS parts FROM l7_flow_log"
    print(f"\n{json.dumps(hadal.sql(count))}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.environ.get("HADAL_BIN", "target/release/hadal"), help="of Hadal")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the log (default %(default)s)")
    parser.add_argument("--seconds", type=int, default=5400, help="of time that they cover (default %(default)s)")
    parser.add_argument("--lookups", type=int, default=20, help="of each kind (default %(default)s)")
    parser.add_argument("--merge", action="store_true", help="merge the parts first, as the store does in the long run")
    parser.add_argument("--data", type=pathlib.Path, metavar="FOLDER", help="where the data stays, or already is")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    options = parser.parse_args()
    test = Test(str(pathlib.Path(options.binary).resolve()))
    try:
        data = options.data or pathlib.Path(tempfile.mkdtemp(prefix="data-", dir=test.work))
        if not (data / "clickhouse").exists():
            data.mkdir(parents=True, exist_ok=True)
            fill(test, data, options)
        measure(test, data, options)
    except Failed as error:
        print(f"{error}\n{test.logs()}", file=sys.stderr)
        return 1
    finally:
        test.cleanup.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
