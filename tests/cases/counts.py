"""Every request of a known load is counted, once, with the right parties and status, at every precision."""

import json
import time

from harness import ROOT, check, children_of, equal, free_port, own, settle, wait_for

EDGES = [
    "load.py → nginx", "nginx → shop.py", "shop.py → stock.py", "stock.py → redis-server", "shop.py → prices", "prices → postgres"
]
COUNTS = ["requests", "client_errors", "server_errors"]
METRICS = "sum(request) AS requests, sum(client_error) AS client_errors, sum(server_error) AS server_errors"
# As the demo's ledger has it.
SQLSTATE = "if(response_exception = '', 'OK', concat('SQLSTATE ', substring(response_exception, 1, 5)))"
NAMES = "concat(process_name_0, ' → ', process_name_1) AS edge, observation_point AS point"


def metrics(hadal, mine, precision="1s", keys=NAMES):
    """(edge, observation point) → counts."""
    rows = hadal.sql(
        f"SELECT {keys}, {METRICS} FROM `application_map.{precision}` WHERE {mine} GROUP BY edge, point", "flow_metrics"
    )
    return {(row["edge"], row["point"]): {name: row[name] for name in COUNTS} for row in rows}


def logs(hadal, mine):
    """The same from the request log."""
    rows = hadal.sql(
        f"SELECT {NAMES}, countIf(type != 'response') AS requests, countIf(response_status = 'client_error') AS client_errors, "
        f"countIf(response_status = 'server_error') AS server_errors FROM l7_flow_log WHERE {mine} GROUP BY edge, point"
    )
    return {(row["edge"], row["point"]): {name: row[name] for name in COUNTS} for row in rows}


def test_demo(t):
    """The demo's own ledger against metrics, log, roll-ups and the map."""
    hadal = t.hadal().ready()
    begin = int(time.time()) - 1
    ledger = t.demo_ledger("--requests", "4000", "--rate", "300", "--connections", "6")
    mine = own(ledger)
    wanted = {edge: {name: counts[name] for name in COUNTS} for edge, counts in ledger["edges"].items()}
    check(set(wanted) == set(EDGES), f"the demo's edges are {sorted(wanted)}")
    check(
        wanted[EDGES[0]]["requests"] == 4000 and ledger["failures"] == 0,
        f"the demo made {wanted[EDGES[0]]}, {ledger['failures']} failures",
    )
    found = settle("metrics", lambda: metrics(hadal, mine))

    for edge, counts in wanted.items():
        for point in ("c-p", "s-p"):
            equal(found.get((edge, point)), counts, f"{edge} at {point}")
    equal(set(found), {(edge, point) for edge in EDGES for point in ("c-p", "s-p")}, "edges and observation points")
    equal(settle("log", lambda: logs(hadal, mine)), found, "log rows against metrics")
    for precision in ("1m", "1h"):
        equal(metrics(hadal, mine, precision), found, f"roll-up {precision} against 1s")
    check_map(hadal, begin, ledger, wanted)
    check_details(hadal, mine, ledger)
    # What other programs of this host say may not be understood; that is lost too, but not ours.
    lost = hadal.sql(
        "SELECT cause, sum(count) AS lost FROM loss WHERE cause NOT IN ('parser_lost', 'stream_gap') GROUP BY cause", "hadal"
    )
    equal(lost, [], "losses")


def check_map(hadal, begin, ledger, wanted):
    """The map counts a call once although both ends were seen."""
    filter = "server_port = " + "|".join(map(str, ledger["ports"].values()))
    answer = hadal.get("/v1/map", filter=filter, **{"from": begin, "to": int(time.time()) + 1})
    edges = {f"{edge['client']} → {edge['server']}": edge for edge in answer["edges"]}
    for name, counts in wanted.items():
        check(name in edges, f"the map has no {name}, only {sorted(edges)}")
        equal({key: edges[name][key] for key in COUNTS}, counts, f"{name} on the map")
        equal(edges[name]["observation_point"], "s-p", f"observation point of {name}")
        equal(edges[name]["timeouts"], 0, f"timeouts of {name}")
    nodes = {node["name"]: node for node in answer["nodes"]}
    equal(nodes["stock.py"]["requests"], wanted[EDGES[2]]["requests"], "requests of the node stock.py")
    kinds = {name: nodes[name]["kind"] for name in ("load.py", "nginx", "redis-server", "postgres")}
    wanted_kinds = {"load.py": "client", "nginx": "proxy", "redis-server": "store", "postgres": "store"}
    equal(kinds, wanted_kinds, "kinds of nodes")


def check_details(hadal, mine, ledger):
    """Endpoints are clustered as the programs know them, codes are the ones they sent, ids and pids are there."""
    for edge, counts in ledger["edges"].items():
        client, server = edge.split(" → ")
        where = f"{mine} AND process_name_0 = '{client}' AND process_name_1 = '{server}' AND observation_point = 's-p'"
        rows = hadal.sql(f"SELECT endpoint, count() AS n FROM l7_flow_log WHERE {where} GROUP BY endpoint")
        equal({row["endpoint"]: row["n"] for row in rows}, counts["endpoints"], f"endpoints of {edge}")
        if server != "redis-server":
            code = SQLSTATE if server == "postgres" else "toString(response_code)"
            rows = hadal.sql(f"SELECT {code} AS code, count() AS n FROM l7_flow_log WHERE {where} GROUP BY code")
            equal({row["code"]: row["n"] for row in rows}, counts["status"], f"codes of {edge}")
    odd = hadal.sql(
        f"SELECT process_name_1, type, response_duration, process_id_0, process_id_1 FROM l7_flow_log WHERE {mine} AND "
        "(type != 'session' OR process_id_0 = 0 OR process_id_1 = 0 OR start_time > end_time OR response_duration > 5000000) LIMIT 3"
    )
    equal(odd, [], "rows without a response, without a process or with a strange time")
    for server in ("stock.py", "prices"):
        unjoined = hadal.value(
            f"SELECT count() FROM l7_flow_log WHERE server_port = {ledger['ports'][server]} AND x_request_id_0 NOT IN "
            f"(SELECT x_request_id_0 FROM l7_flow_log WHERE server_port = {ledger['ports']['shop.py']} AND x_request_id_0 != '')"
        )
        equal(unjoined, 0, f"requests of {server} whose X-Request-ID shop.py never had")


def static_nginx(t):
    """nginx alone, with an answer of its own; its port."""
    port = free_port()
    config = t.work / "nginx.conf"
    paths = " ".join(f"{name}_temp_path {t.work}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(
        f"daemon off; user root; pid {t.work}/nginx.pid; events {{ }} http {{ access_log off; keepalive_requests 1000000; {paths} "
        f"server {{ listen 127.0.0.1:{port}; location = /file {{ return 200 'here'; }} }} }}\n"
    )
    nginx = t.spawn("nginx", ["nginx", "-c", config, "-p", t.work, "-e", t.work / "nginx-error.log"])
    wait_for("nginx is ready", lambda: children_of(nginx.pid), 10, 0.05)
    return port


def paced(t, port, rate, seconds):
    """So many requests per second; how many were made."""
    program = t.work / "paced"
    if not program.exists():
        equal(t.spawn("gcc", ["gcc", "-O2", "-o", program, ROOT / "bench/paced.c"]).wait(60), 0, "exit code of gcc")
    client = t.spawn("paced", [program, port, rate, seconds])
    equal(client.wait(seconds + 60), 0, "exit code of the paced client")
    return json.loads(client.output())["made"]


def test_fast(t):
    """More rows per second than fit into one batch."""
    port = static_nginx(t)
    hadal = t.hadal().ready()
    made = paced(t, port, 6000, 5)
    rows = lambda table, value, db: hadal.sql(
        f"SELECT observation_point AS point, {value} AS n FROM {table} WHERE server_port = {port} GROUP BY point ORDER BY point",
        db,
    )
    wanted = [{"point": point, "n": made} for point in ("c-p", "s-p")]
    equal(
        settle("metrics", lambda: rows("`application_map.1s`", "sum(request)", "flow_metrics"), 40),
        wanted,
        f"requests in metrics ({losses(hadal)})",
    )
    equal(settle("log", lambda: rows("l7_flow_log", "count()", "flow_log"), 40), wanted, f"rows of the log ({losses(hadal)})")
    check(hadal.value("SELECT count() = uniqExact(_id) FROM l7_flow_log") == 1, "ids of rows are not unique")


def test_shed(t):
    """The log is cut to its limit and the rest counted; metrics are never sampled."""
    port = static_nginx(t)
    hadal = t.hadal(config="[agent]\nlog_rows_per_second = 500\n").ready()
    made = paced(t, port, 2000, 5)
    condition = f"server_port = {port}"
    metrics = settle(
        "metrics", lambda: hadal.value(f"SELECT sum(request) FROM `application_map.1s` WHERE {condition}", "flow_metrics")
    )
    equal(metrics, 2 * made, "requests in metrics, both ends")
    logged = settle("log", lambda: hadal.value(f"SELECT count() FROM l7_flow_log WHERE {condition}"))
    check(0 < logged <= 500 * 8, f"{logged} rows of the log")
    shed = hadal.value("SELECT sum(count) FROM loss WHERE cause = 'log_shed'", "hadal")
    # Other programs of this host may have lost rows too.
    check(shed >= metrics - logged, f"{metrics} requests, {logged} rows of the log, but only {shed} counted as shed")


def losses(hadal):
    found = hadal.sql("SELECT cause, sum(count) AS n FROM loss GROUP BY cause", "hadal")
    return "lost: " + (", ".join(f"{row['cause']} {row['n']}" for row in found) or "nothing")


def test_two_agents(t):
    """Two agents at one server are counted apart, and their batches join."""
    hadal = t.hadal().ready()
    other = t.spawn("hadal-agent", [t.binary, "agent", "--server", f"http://127.0.0.1:{hadal.agents}", "--name", "other"])
    wait_for("two agents run", lambda: len(hadal.running_agents()) == 2, 20)
    ledger = t.demo_ledger("--requests", "2000", "--rate", "300")
    wanted = {name: sum(2 * counts["requests"] for counts in ledger["edges"].values()) for name in ("test", "other")}
    found = settle(
        "rows",
        lambda: {
            row["agent"]: row["n"]
            for row in hadal.sql(f"SELECT agent, count() AS n FROM l7_flow_log WHERE {own(ledger)} GROUP BY agent")
        },
    )
    equal(found, wanted, f"rows by agent ({losses(hadal)})")
    equal(other.stop(), 0, "exit code of the other agent")
    equal(hadal.value("SELECT count() = uniqExact(_id) FROM l7_flow_log"), 1, "ids of rows are unique")


def test_drops(t):
    """A ring that is too small loses events, and says so."""
    hadal = t.hadal(config="[agent]\nring_bytes = 16384\nread_interval_ms = 100\n").ready()
    t.demo_ledger("--requests", "3000", "--rate", "600", "--connections", "8")
    lost = wait_for(
        "ring_full in the ledger of losses",
        lambda: hadal.value("SELECT sum(count) FROM loss WHERE cause = 'ring_full'", "hadal"),
        15,
    )
    check(lost > 100, f"only {lost} events lost")
    health = hadal.get("/v1/map", **{"from": int(time.time()) - 120, "to": int(time.time()) + 1})["health"]
    check("ring_full" in [loss["cause"] for loss in health["loss"]], f"the map does not show the loss: {health}")
    agent = hadal.get("/v1/agents")["agents"][0]
    check(
        any(loss["cause"] == "ring_full" and loss["count"] > 100 for loss in agent["loss"]),
        f"the agents page does not show the loss: {agent['loss']}",
    )
