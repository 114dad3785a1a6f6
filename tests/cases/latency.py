"""Response times agree with what the client measured, and sketches with the times they were made of."""

import math
import time

from harness import check, equal, settle

# γ = 1.02: a bucket's middle is at most 1 % from any value in it.
GAMMA, SKETCH = 1.02, 0.011
# What the client measures around its call and we do not: its own work and the scheduler's.
CLIENT_US = 1500


def rank(values, share):
    """Nearest rank."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def check_quantile(found, values, share, what):
    """`found` is that quantile of the values, give or take a rank and the sketch's error."""
    ordered = sorted(values)
    at = max(math.ceil(share * len(ordered)) - 1, 0)
    low, high = ordered[max(at - 1, 0)], ordered[min(at + 1, len(ordered) - 1)]
    check(
        low * (1 - SKETCH) - 1 <= found <= high * (1 + SKETCH) + 1,
        f"{what}: p{share * 100:g} is {found} µs, the times say {low} … {high} µs",
    )


def sketch_quantile(sketch, share):
    """As the server does it: the middle of the bucket in which that share of all counts is reached."""
    counts = sorted((int(bucket), int(count)) for bucket, count in sketch.items())
    wanted, seen = share * (sum(count for _, count in counts) - 1), 0
    for bucket, count in counts:
        seen += count
        if seen > wanted:
            return 2 * GAMMA**bucket / (GAMMA + 1)
    raise AssertionError("an empty sketch")


def test_demo(t):
    hadal = t.hadal().ready()
    begin = int(time.time()) - 1
    ledger = t.demo_ledger("--requests", "3000", "--rate", "150", "--connections", "8")
    port = ledger["ports"]["nginx"]
    count = f"SELECT count() FROM l7_flow_log WHERE server_port = {port}"
    check(settle("log", lambda: hadal.value(count)) == 6000, "rows of nginx")
    span = {"from": begin, "to": int(time.time()) + 1}
    detail = hadal.get("/v1/map/detail", client="load.py", server="nginx", filter=f"server_port = {port}", **span)
    endpoints = {row["endpoint"]: row for row in detail["endpoints"]}
    slow = "/report/{}"
    check(len(ledger["latencies_us"][slow]) > 100, "too few slow requests to say anything")

    for endpoint, measured in ledger["latencies_us"].items():
        times = {}
        for point in ("c-p", "s-p"):
            rows = hadal.sql(
                f"SELECT response_duration AS us FROM l7_flow_log WHERE server_port = {port} AND observation_point = '{point}' AND endpoint = '{endpoint}'"
            )
            times[point] = [row["us"] for row in rows]
            check(
                len(times[point]) == len(measured), f"{endpoint} at {point}: {len(times[point])} times, {len(measured)} requests"
            )
        for share, key in ((0.5, "p50_us"), (0.99, "p99_us")):
            check_quantile(endpoints[endpoint][key], times["s-p"], share, f"{endpoint} on the map")
            client, ours = rank(measured, share), rank(times["c-p"], share)
            check(
                ours <= client * 1.01, f"{endpoint}: p{share * 100:g} is {ours} µs at the client, which itself waited {client} µs"
            )
            if share == 0.5 or endpoint == slow:
                check(
                    ours >= client * 0.97 - CLIENT_US,
                    f"{endpoint}: p{share * 100:g} is {ours} µs at the client, which itself waited {client} µs",
                )

    # Where the server was kept waiting by other programs, the client's view is the one to compare; both have a sketch.
    sketch = hadal.value(
        "SELECT sumMap(rrt_sketch) FROM `application_map.1s` "
        f"WHERE server_port = {port} AND observation_point = 'c-p' AND endpoint = '{slow}'",
        "flow_metrics",
    )
    measured = sorted(ledger["latencies_us"][slow])
    for share in (0.5, 0.99):
        found, at = sketch_quantile(sketch, share), max(math.ceil(share * len(measured)) - 1, 0)
        low, high = measured[max(at - 2, 0)], measured[min(at + 2, len(measured) - 1)]
        check(
            low * 0.98 - CLIENT_US <= found <= high * 1.02,
            f"{slow}: p{share * 100:g} is {found:.0f} µs, the client measured {low} … {high} µs",
        )
    slowest = hadal.get("/v1/requests", filter=f"server_port = {port}", order="latency", limit=10, **span)["rows"]
    rows = hadal.sql(
        f"SELECT response_duration AS us FROM l7_flow_log WHERE server_port = {port} AND observation_point = 's-p' "
        "ORDER BY us DESC LIMIT 10"
    )
    equal([row["response_duration_us"] for row in slowest], [row["us"] for row in rows], "times of the slowest requests")
