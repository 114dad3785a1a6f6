"""The requests that traces begin with: /v1/traces and what it is compared by."""

import subprocess

from harness import check, equal, wait_for

FAILED = ("client_error", "server_error", "timeout")


def test_slowest_failed_and_compared(t):
    """Requests from outside, the slowest and the failed ones, and what sets them apart."""
    hadal = t.hadal().ready()
    mine = t.endless_demo(40)
    wait_for("rows", lambda: hadal.value(f"SELECT count() FROM l7_flow_log WHERE {mine}") > 1500, 60)
    only = "auto_service_0 = load.py"

    rows = hadal.get("/v1/traces", filter=only, limit=50)["rows"]
    check(len(rows) == 50, f"{len(rows)} rows")
    equal({row["server"] for row in rows}, {"nginx"}, "services that are asked from outside")
    times = [row["response_duration_us"] for row in rows]
    equal(times, sorted(times, reverse=True), "order of the slowest")
    inner = hadal.get("/v1/traces", filter="auto_service_0 = nginx|shop.py|stock.py")["rows"]
    equal([row["server"] for row in inner], [], "requests of services")

    first = hadal.get("/v1/traces", filter=only, limit=20)
    rest = hadal.get("/v1/traces", filter=only, limit=20, cursor=first["next"])["rows"]
    check(not {row["_id"] for row in first["rows"]} & {row["_id"] for row in rest}, "a page repeats rows of the one before")

    failed = hadal.get("/v1/traces", filter=only, show="failed")["rows"]
    check(failed and all(row["response_status"] in FAILED for row in failed), "rows that have not failed")
    equal(hadal.request("GET", "/v1/traces?show=worst").status, 400, "status of an unknown word")

    endpoints = hadal.get("/v1/traces/endpoints", filter=only)["endpoints"]
    check(any(line["endpoint"] == "/item/{}" and 0 < line["failed"] < line["requests"] for line in endpoints), f"{endpoints}")

    compared = hadal.get("/v1/traces/compare", filter=only)
    check(compared["chosen"] > 0 and compared["rest"] > 10 * compared["chosen"], "one in twenty is slow")
    told = {line["value"] for line in compared["differences"] if line["name"] == "endpoint"}
    # The demo's report takes longer than anything else.
    check("/report/{}" in told, f"differences: {compared['differences']}")
    told = hadal.get("/v1/traces/compare", filter=only, of="failed")["differences"]
    check(any(line["name"] == "code" and line["rest"] == 0 for line in told), f"differences: {told}")


def test_what_took_the_time(t):
    """The sentence of a trace, on the page and in the terminal, and the shares behind it."""
    hadal = t.hadal().ready()
    mine = t.endless_demo(20)
    wait_for("rows", lambda: hadal.value(f"SELECT count() FROM l7_flow_log WHERE {mine}") > 600, 60)
    row = hadal.get("/v1/traces", filter="auto_service_0 = load.py  endpoint = /item/{}  status = ok", show="newest")["rows"][-1]
    trace = hadal.get(f"/v1/trace/{row['_id']}", time=row["start_time_us"])
    equal(sum(part["time_us"] for part in trace["parts"]), trace["total_us"], "sum of the parts")
    steps = sorted(step for span in trace["spans"] for step in span["critical"])
    check(all(one[1] == next_[0] for one, next_ in zip(steps, steps[1:])), f"gaps in the critical path: {steps}")
    equal(steps[-1][1] - steps[0][0], trace["total_us"], "length of the critical path")
    check("of" in trace["sentence"] and trace["sentence"].endswith("."), trace["sentence"])
    url = f"http://127.0.0.1:{hadal.http}"
    printed = subprocess.run([t.binary, "trace", "--url", url, row["_id"]], capture_output=True, text=True, timeout=30, check=False)
    equal(printed.stdout.splitlines()[0], trace["sentence"], "first line in the terminal")
