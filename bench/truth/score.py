"""Links that Hadal found, compared with the truth.

A call is *right* if the nearest request above it in its trace, seen through proxies, is the one it was made for; *wrong* if it is
another one; *orphan* if there is none; *unseen* if there is no row of it.
"""

import bisect
import collections
import concurrent.futures
import dataclasses
import random
import time

ID = "[0-9a-f]{16}"
# So many requests were open, or more.
BUCKETS = [1, 2, 5, 17, 33]


@dataclasses.dataclass(frozen=True)
class Call:
    """What truth says of one call."""

    own: str
    parent: str
    # http, redis or sql; proxy for what nginx hands on.
    kind: str
    # Where it went, and where its request came in.
    port: int
    parent_port: int


@dataclasses.dataclass(frozen=True)
class Score:
    """How one call fared."""

    call: Call
    outcome: str
    # Requests that were open where the call was made, when it was made.
    overlap: int = 0
    evidence: str = ""
    confidence: float = 0.0
    # Ids of the rows of the call and of the request that it was given to.
    row: str = ""
    given_to: str = ""


@dataclasses.dataclass
class Ports:
    """Who listens where in one run."""

    front: int
    service: int
    middle: int
    leaf: int
    redis: int
    sql: int

    def all(self):
        return [self.front, self.service, self.middle, self.leaf, self.redis, self.sql]


def calls_of(root, children, ports):
    """The calls of the service and of nginx behind one request."""
    yield Call(root, root, "proxy", ports.service, ports.front)
    port_of = {"http": ports.middle, "redis": ports.redis, "sql": ports.sql}
    for child, kind in children:
        yield Call(child, root, kind, port_of[kind], ports.service)
        if kind == "http":
            yield Call(child, child, "proxy", ports.leaf, ports.middle)


def read_ledger(path):
    """Calls of each request as the service wrote them down: id and kind."""
    children = collections.defaultdict(list)
    for line in path.read_text().splitlines():
        parent, child, kind = line.split()
        children[parent].append((child, kind))
    return children


def rows_of(hadal, ports):
    """Rows of the log with an id, as many as there are."""
    listed = ", ".join(map(str, ports.all()))
    sql = (
        f"SELECT toString(_id) AS row, toUnixTimestamp64Micro(start_time) AS start, toUnixTimestamp64Micro(end_time) AS end, "
        f"observation_point AS point, server_port AS port, extract(request_resource, '{ID}') AS id "
        f"FROM l7_flow_log WHERE server_port IN ({listed}) AND extract(request_resource, '{ID}') != '' ORDER BY _id"
    )
    rows, page = [], 200_000
    while len(part := hadal.sql(f"{sql} LIMIT {page} OFFSET {len(rows)}")) == page:
        rows += part
    return rows + part


class Overlap:
    """How many requests were open at a port at a time."""

    def __init__(self, rows):
        times = collections.defaultdict(lambda: ([], []))
        for row in rows:
            if row["point"] == "s-p":
                times[row["port"]][0].append(row["start"])
                times[row["port"]][1].append(row["end"])
        self.times = {port: (sorted(starts), sorted(ends)) for port, (starts, ends) in times.items()}

    def knows(self, port):
        return port in self.times

    def at(self, port, time):
        starts, ends = self.times.get(port, ((), ()))
        return bisect.bisect_right(starts, time) - bisect.bisect_left(ends, time)


class Traces:
    """Traces by the rows in them, each looked up once; or by the row that is asked for alone."""

    def __init__(self, hadal, are_shared):
        self.hadal, self.are_shared, self.spans, self.seconds, self.truncated = hadal, are_shared, {}, [], 0

    def of(self, row):
        """Spans by id, as seen from this row's trace."""
        if row["row"] not in self.spans:
            start = time.monotonic()
            answer = self.hadal.get(f"/v1/trace/{row['row']}", time=row["start"])
            self.seconds.append(time.monotonic() - start)
            self.truncated += answer["truncated"]
            spans = {span["id"]: span for span in answer["spans"]}
            for own in spans if self.are_shared else [row["row"]]:
                self.spans.setdefault(own, spans)
        return self.spans[row["row"]]


class Scorer:
    """Scores the calls of one service."""

    def __init__(self, hadal, ports, children, from_calls=False):
        self.ports, self.children, self.from_calls = ports, children, from_calls
        self.rows = collections.defaultdict(list)
        rows = rows_of(hadal, ports)
        for row in rows:
            self.rows[row["id"], row["port"]].append(row)
        self.id_of = {row["row"]: row["id"] for row in rows}
        self.overlap = Overlap(rows)
        self.traces = Traces(hadal, are_shared=not from_calls)

    def score(self, roots, sample, seed):
        """Scores of the calls behind a sample of the requests."""
        chosen = random.Random(seed).sample(roots, min(sample, len(roots)))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return [one for scores in pool.map(self.score_request, chosen) for one in scores]

    def score_request(self, root):
        asked = self.rows[root, self.ports.front]
        if asked and not self.from_calls:
            # Most calls are found in the trace of their request.
            self.traces.of(asked[0])
        return [self.score_call(call) for call in calls_of(root, self.children[root], self.ports)]

    def score_call(self, call):
        seen = self.rows[call.own, call.port]
        if not seen:
            return Score(call, "unseen")
        # The client's end is where the call was made.
        row = min(seen, key=lambda row: (row["point"] != "c-p", row["start"]))
        spans = self.traces.of(row)
        span = spans[row["row"]]
        overlap = self.overlap.at(self.entrance(call), row["start"])
        evidence = {"evidence": span["evidence"] or "", "confidence": span["confidence"] or 0.0}
        known = {"overlap": overlap, "row": row["row"], **evidence}
        given_to = self.request_above(span, spans)
        if given_to is None:
            return Score(call, "orphan", **known)
        outcome = "right" if self.id_of.get(given_to) == call.parent else "wrong"
        return Score(call, outcome, given_to=given_to, **known)

    def entrance(self, call):
        """The port where the requests are counted; before a service whose own protocol is not understood."""
        is_known = call.parent_port != self.ports.service or self.overlap.knows(call.parent_port)
        return call.parent_port if is_known else self.ports.front

    @staticmethod
    def request_above(span, spans):
        """Id of the row of the nearest request that a server read."""
        while span["parent_id"] is not None:
            span = spans[span["parent_id"]]
            if span["row"]["observation_point"].startswith("s"):
                return span["id"]
        return None


def bucket(overlap):
    return max(bound for bound in [0, *BUCKETS] if bound <= overlap)


def sure(confidence):
    """Bucket of a confidence: its first digit."""
    return f"{int(confidence * 10) / 10:.1f}"
