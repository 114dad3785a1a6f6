"""What HTTP/1 and Redis allow and few clients do, through the live capture: exactly the rows that were caused."""

import json

from harness import equal, settle, wait_for

# A server that also answers in chunks, and a client that writes its own bytes and says what it sent and got.
HTTP_SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def head(self, status, length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
    def do_GET(self):
        if self.path == "/chunked":
            self.head(200, Transfer_Encoding="chunked")
            for size in (1, 70000, 5, 300):
                self.wfile.write(b"%x\\r\\n" % size + b"c" * size + b"\\r\\n")
            self.wfile.write(b"0\\r\\nTrailer: yes\\r\\n\\r\\n")
        elif self.path == "/big":
            self.head(200, 3 << 20)
            for _ in range(48):
                self.wfile.write(b"b" * 65536)
        elif self.path == "/empty":
            self.head(204)
        elif self.path == "/unchanged":
            self.head(304, Content_Length="5000")
        elif self.path == "/broken":
            self.head(503, 0)
        elif self.path == "/until-the-end":
            self.head(200, Connection="close")
            self.wfile.write(b"e" * 5000)
        else:
            self.head(200, 2)
            self.wfile.write(b"ok")
    def do_HEAD(self):
        self.head(200, 123456)
    def do_POST(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        self.head(201, 0)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

HTTP_CLIENT = """
import json, socket, sys, time
def connect():
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
    return connection, connection.makefile("rb")
def head(reader):
    lines = []
    while not lines or lines[-1] != b"\\r\\n":
        lines.append(reader.readline())
        assert lines[-1], "the server closed"
    length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length")), 0)
    return int(lines[0].split()[1]), sum(map(len, lines)), length
def request(method, path, headers="", body=b""):
    return f"{method} {path} HTTP/1.1\\r\\nHost: sea\\r\\n{headers}\\r\\n".encode() + body
rows = []
def row(method, path, code, sent, got):
    rows.append([method, path, code, sent, got])

# Ten requests in one write, on a connection that is used before and after.
connection, reader = connect()
paths = ["/first"] + [f"/pipe/{number}" if number != 4 else "/broken" for number in range(10)]
for batch in (paths[:1], paths[1:], ["/last"]):
    connection.sendall(b"".join(request("GET", path) for path in batch))
    for path in batch:
        code, got, length = head(reader)
        reader.read(length)
        row("GET", path, code, len(request("GET", path)), got + length)

# Another connection, for all that is not pipelined. A request in many small writes.
connection, reader = connect()
for byte in request("GET", "/slow/1"):
    connection.sendall(bytes([byte]))
code, got, length = head(reader)
reader.read(length)
row("GET", "/slow/1", code, len(request("GET", "/slow/1")), got + length)

# Chunks, then answers without a body whatever they announce.
connection.sendall(request("GET", "/chunked"))
code, got, _ = head(reader)
while True:
    line = reader.readline()
    size = int(line, 16)
    got += len(line)
    if size == 0:
        break
    got += len(reader.read(size + 2))
got += len(reader.readline()) + len(reader.readline())
row("GET", "/chunked", code, len(request("GET", "/chunked")), got)
for method, path in [("HEAD", "/head"), ("GET", "/unchanged"), ("GET", "/empty"), ("HEAD", "/head/2"), ("GET", "/after")]:
    connection.sendall(request(method, path))
    code, got, length = head(reader)
    got += len(reader.read(length)) if path == "/after" else 0
    row(method, path, code, len(request(method, path)), got)

# Asks before it sends 3 MB; the answer in between is not the answer.
body = b"u" * (3 << 20)
upload = request("POST", "/upload/1", f"Content-Length: {len(body)}\\r\\nExpect: 100-continue\\r\\n")
connection.sendall(upload)
code, _, _ = head(reader)
assert code == 100, code
connection.sendall(body)
code, got, _ = head(reader)
row("POST", "/upload/1", code, len(upload) + len(body), got)
upload = request("POST", "/upload/2", f"Content-Length: {len(body)}\\r\\n", body)
connection.sendall(upload)
code, got, _ = head(reader)
row("POST", "/upload/2", code, len(upload), got)

# 3 MB back, read slowly at first.
connection.sendall(request("GET", "/big"))
time.sleep(0.3)
code, got, length = head(reader)
assert len(reader.read(length)) == 3 << 20
row("GET", "/big", code, len(request("GET", "/big")), got + length)
connection.sendall(request("GET", "/secret?token=hunter2"))
code, got, length = head(reader)
reader.read(length)
row("GET", "/secret", code, len(request("GET", "/secret?token=hunter2")), got + length)

# The end of the connection ends the answer.
connection.sendall(request("GET", "/until-the-end"))
code, got, _ = head(reader)
row("GET", "/until-the-end", code, len(request("GET", "/until-the-end")), got + len(reader.read()))
print(json.dumps(rows), flush=True)
"""

REDIS_CLIENT = """
import json, socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
reader = connection.makefile("rb")
def pack(*words):
    words = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(word), word) for word in words)
def reply():
    line = reader.readline()
    kind, rest = line[:1], line[1:-2]
    if kind == b"$" and rest != b"-1":
        reader.read(int(rest) + 2)
    if kind == b"*":
        for _ in range(int(rest)):
            reply()
    return rest.decode().split(" ")[0] if kind == b"-" else ""
rows = []
def ask(*commands):
    connection.sendall(b"".join(pack(*command) for command in commands))
    for command in commands:
        rows.append([command[0], reply()])
ask(("PING",))
ask(*[("SET", f"key:{number}", "v" * number) for number in range(60)])
ask(*[("GET", f"key:{number}") for number in range(60)], ("GET", "nothing"), ("LPUSH", "key:1", "x"), ("NOSUCHCOMMAND", "x"), ("INCR", "count"))
ask(("MULTI",), ("INCR", "count"), ("INCR", "count"), ("EXEC",))
ask(("SET", "big", b"\\r\\n*1\\r\\n$4\\r\\n" * 100_000))
ask(("GET", "big"))
ask(("MGET", "key:1", "key:2", "nothing"))
ask(("PING",))
print(json.dumps(rows), flush=True)
"""


def caused(t, name, source, port):
    """Runs a client to its end; the rows it says it caused."""
    (t.work / name).write_text(source)
    client = t.spawn(name, ["/usr/bin/python3", t.work / name, port])
    code = client.wait(60)
    equal(code, 0, f"{name} ended ({client.output()[-500:]})")
    return json.loads(client.output().splitlines()[-1])


def test_http(t):
    _, port = t.serve("reef.py", HTTP_SERVER)
    hadal = t.hadal().ready()
    wanted = [tuple(row) for row in caused(t, "boat.py", HTTP_CLIENT, port)]
    columns = (
        "request_type, request_resource, response_code, request_length, response_length, type, observation_point, start_time"
    )
    sql = f"SELECT {columns} FROM l7_flow_log WHERE server_port = {port} ORDER BY start_time, req_tcp_seq"
    wait_for("rows", lambda: hadal.sql(sql), 10)
    rows = settle("rows", lambda: hadal.sql(sql))
    for point in ("c-p", "s-p"):
        seen = [row for row in rows if row["observation_point"] == point]
        found = [
            (
                row["request_type"],
                row["request_resource"].split("?")[0],
                row["response_code"],
                row["request_length"],
                row["response_length"],
            )
            for row in seen
        ]
        equal(
            sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found)), f"rows at {point} that differ from what was sent"
        )
        equal(sorted(found), sorted(wanted), f"rows at {point}")
        equal({row["type"] for row in seen}, {"session"}, f"types at {point}")
    equal([row for row in rows if "hunter2" in row["request_resource"]], [], "rows that tell the secret")
    endpoints = {row["endpoint"] for row in hadal.sql(f"SELECT DISTINCT endpoint FROM l7_flow_log WHERE server_port = {port}")}
    equal(
        endpoints, {path if not path[-1].isdigit() else path[: path.rindex("/")] + "/{}" for _, path, *_ in wanted}, "endpoints"
    )
    statuses = hadal.sql(f"SELECT DISTINCT response_code, response_status FROM l7_flow_log WHERE server_port = {port} ORDER BY 1")
    equal(
        {row["response_code"]: row["response_status"] for row in statuses},
        {200: "ok", 201: "ok", 204: "ok", 304: "ok", 503: "server_error"},
        "statuses",
    )


def test_redis(t):
    port = t.redis()
    hadal = t.hadal().ready()
    wanted = [tuple(row) for row in caused(t, "diver.py", REDIS_CLIENT, port)]
    sql = (
        f"SELECT request_type, response_exception, response_status, type, request_resource, observation_point FROM l7_flow_log WHERE server_port = {port} "
        "AND process_name_0 = 'diver.py'"
    )
    wait_for("rows", lambda: hadal.sql(sql), 10)
    rows = settle("rows", lambda: hadal.sql(sql))
    for point in ("c-p", "s-p"):
        seen = [row for row in rows if row["observation_point"] == point]
        found = [(row["request_type"], row["response_exception"].split(" ")[0]) for row in seen]
        equal(sorted(found), sorted(wanted), f"commands and errors at {point}")
        equal({row["type"] for row in seen}, {"session"}, f"types at {point}")
        equal(sum(row["response_status"] == "client_error" for row in seen), 2, f"errors at {point}")
    equal([row["request_resource"] for row in rows if "vvvv" in row["request_resource"]], [], "rows that tell a value")
