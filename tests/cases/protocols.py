"""What HTTP/1, Redis and FastCGI allow and few clients do, through the live capture: exactly the rows that were caused."""

import concurrent.futures
import http.client
import json

from cases.traces import trace
from harness import check, children_of, equal, free_port, settle, wait_for

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


# What a request passes that PHP makes another one for, both ends of each call.
SERVERS = ["nginx", "nginx", "php-fpm8.2", "php-fpm8.2", "reef.py", "reef.py"]

# Answers by path; PHP waits for `reef.py` in one of them.
FASTCGI_SCRIPT = """<?php
$path = explode('/', $_SERVER['REQUEST_URI'])[1];
if ($path === 'missing') {
    http_response_code(404);
    echo 'nothing here';
} elseif ($path === 'broken') {
    throw new RuntimeException('the hull leaks');
} elseif ($path === 'big') {
    header('Content-Type: text/plain');
    for ($piece = 0; $piece < 8; $piece++) {
        echo str_repeat('b', 65536);
    }
} elseif ($path === 'call') {
    echo file_get_contents('http://127.0.0.1:' . getenv('REEF') . '/reef' . $_SERVER['REQUEST_URI']);
} else {
    header('X-Request-ID: ' . ($_SERVER['HTTP_X_REQUEST_ID'] ?? ''));
    echo strlen(file_get_contents('php://input'));
}
"""

FPM = """[global]
daemonize = no
error_log = /dev/stderr
[service]
listen = {address}
user = root
pm = static
pm.max_children = 24
clear_env = no
php_admin_flag[display_errors] = off
php_admin_flag[log_errors] = on
"""

FASTCGI_NGINX = """daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_max_body_size 0;
    {paths}
    upstream php {{
        server {upstream};
        keepalive 8;
    }}
    include /etc/nginx/fastcgi_params;
    fastcgi_param SCRIPT_FILENAME {script};
    server {{
        listen 127.0.0.1:{port};
        location / {{ fastcgi_pass php; fastcgi_keep_conn on; }}
        location ~ ^/[a-z]+/once {{ fastcgi_pass {upstream}; }}
    }}
}}
"""


def fastcgi(t, reef, address):
    """php-fpm at this address behind nginx; the port of nginx."""
    folder, port = t.folder("fastcgi"), free_port()
    script, pool, config = folder / "lagoon.php", folder / "fpm.conf", folder / "nginx.conf"
    script.write_text(FASTCGI_SCRIPT)
    pool.write_text(FPM.format(address=address))
    paths = " ".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(FASTCGI_NGINX.format(folder=folder, paths=paths, upstream=f"unix:{address}" if "/" in address else address, script=script, port=port))
    fpm = t.spawn("php-fpm", ["php-fpm8.2", "-n", "-R", "-F", "-y", pool], env={"REEF": str(reef)})
    nginx = t.spawn("nginx", ["nginx", "-c", config, "-p", folder, "-e", folder / "nginx-error.log"])
    wait_for("php-fpm is ready", lambda: "ready to handle connections" in fpm.output(), 15, 0.05)
    wait_for("nginx is ready", lambda: children_of(nginx.pid), 10, 0.05)
    return port


def ask_fastcgi(port, requests):
    """Makes requests on one connection; method, path and status of each."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    seen = []
    for method, path, body, headers in requests:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        seen.append((method, path, answer.status))
    connection.close()
    return seen


def test_fastcgi(t):
    """php-fpm behind nginx: connections that are kept and such as are not, long answers, bodies and cookies, errors."""
    _, reef = t.serve("reef.py", HTTP_SERVER)
    port = free_port()
    front = fastcgi(t, reef, f"127.0.0.1:{port}")
    hadal = t.hadal().ready()
    cookie = {"Cookie": "c" * 3000, "X-Request-ID": "long"}
    kinds = [
        ("GET", "/ok/{}", None, {"X-Request-ID": "short"}),
        ("GET", "/missing/{}", None, {}),
        ("GET", "/broken/{}", None, {}),
        ("GET", "/big/{}", None, {}),
        ("POST", "/up/{}", b"u" * (1 << 18), {}),
        ("GET", "/call/{}", None, {}),
        ("GET", "/cookie/{}", None, cookie),
        ("GET", "/ok/once/{}", None, {}),
        ("GET", "/big/once/{}", None, {}),
        ("GET", "/call/once/{}", None, {}),
    ]
    requests = [
        (method, path.format(number), body, headers or {"X-Request-ID": f"own{path.format(number)}"})
        for number in range(6)
        for method, path, body, headers in kinds
    ]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        wanted = [row for rows in pool.map(lambda start: ask_fastcgi(front, requests[start::2]), range(2)) for row in rows]
    equal(sorted({status for _, _, status in wanted}), [200, 404, 500], "statuses that the client got")
    sql = (
        "SELECT toString(l7_flow_log._id) AS _id, toUnixTimestamp64Micro(start_time) AS us, type, observation_point, request_type, "
        "request_resource, endpoint, request_domain, response_code, response_status, response_exception, request_length, response_length, "
        f"x_request_id_0, request_id FROM l7_flow_log WHERE server_port = {port} AND l7_protocol_str = 'FastCGI' ORDER BY start_time"
    )
    # The last long answer of a connection is over when the connection is silent for a while.
    wait_for("rows", lambda: len(hadal.sql(sql)) >= 2 * len(requests), 15)
    rows = settle("rows", lambda: hadal.sql(sql))
    for point in ("c-p", "s-p"):
        seen = [row for row in rows if row["observation_point"] == point]
        found = [(row["request_type"], row["request_resource"], row["response_code"]) for row in seen]
        equal(sorted(found), sorted(wanted), f"rows at {point}")
        equal({row["type"] for row in seen}, {"session"}, f"types at {point}")
        equal({row["request_domain"] for row in seen}, {"127.0.0.1"}, f"domains at {point}")
        statuses = {row["response_code"]: row["response_status"] for row in seen}
        equal(statuses, {200: "ok", 404: "client_error", 500: "server_error"}, f"statuses at {point}")
        errors = {row["response_exception"] for row in seen if row["response_code"] == 500}
        check(all("the hull leaks" in error and "\n" not in error for error in errors), f"errors at {point}: {errors}")
        ids = {path: [row["x_request_id_0"] for row in seen if row["endpoint"] == path] for path in ("/ok/{}", "/cookie/{}")}
        equal(set(ids["/ok/{}"]), {"short"}, f"ids at {point}")
        # Behind a long cookie it may be missed once in a connection.
        check("long" in ids["/cookie/{}"] and set(ids["/cookie/{}"]) <= {"long", ""}, f"ids at {point}: {ids}")
    lengths = {"c-p": {}, "s-p": {}}
    for row in rows:
        lengths[row["observation_point"]][row["request_resource"]] = (row["request_length"], row["response_length"])
    equal(lengths["c-p"].keys(), lengths["s-p"].keys(), "requests at both ends")
    for path, (sent, got) in lengths["c-p"].items():
        read, written = lengths["s-p"][path]
        # PHP answers before it reads that the input has ended, which takes 8 bytes to say.
        check(got == written and sent - read in (0, 8), f"lengths of {path}: {sent} and {got}, {read} and {written}")
    check(all(sent > 1 << 18 for path, (sent, _) in lengths["s-p"].items() if path.startswith("/up")), "lengths of bodies sent")
    check(all(got > 1 << 19 for path, (_, got) in lengths["s-p"].items() if path.startswith("/big")), "lengths of long answers")

    # The hop between two HTTP calls, from its own rows and from those around.
    path = list(zip(("c-p", "s-p") * 3, SERVERS))
    calls = [row for row in rows if row["observation_point"] == "s-p" and row["request_resource"].startswith("/call")]
    equal(len(calls), 12, "calls that PHP made others for")
    for row in calls:
        tree = trace(hadal, row)
        equal(tree.path(list(tree.spans)[-1]), path, f"the trace of {row['request_resource']}")
        equal(len(tree.spans), 6, f"spans of {row['request_resource']}")


def test_fastcgi_over_a_unix_socket(t):
    """As Debian's php-fpm listens."""
    _, reef = t.serve("reef.py", HTTP_SERVER)
    front = fastcgi(t, reef, str(t.work / "fpm.sock"))
    hadal = t.hadal().ready()
    requests = [("GET", f"/{kind}/{front}/{number}", None, {"X-Request-ID": f"{kind}{number}"}) for number in range(10) for kind in ("ok", "missing", "broken", "call", "big")]
    wanted = ask_fastcgi(front, requests)
    sql = (
        "SELECT toString(l7_flow_log._id) AS _id, toUnixTimestamp64Micro(start_time) AS us, observation_point, request_type, request_resource, "
        f"response_code FROM l7_flow_log WHERE l7_protocol_str = 'FastCGI' AND request_resource LIKE '/%/{front}/%'"
    )
    wait_for("rows", lambda: len(hadal.sql(sql)) >= 2 * len(requests), 15)
    rows = settle("rows", lambda: hadal.sql(sql))
    for point in ("c-p", "s-p"):
        found = [(row["request_type"], row["request_resource"], row["response_code"]) for row in rows if row["observation_point"] == point]
        equal(sorted(found), sorted(wanted), f"rows at {point}")
    for row in rows:
        if row["observation_point"] == "s-p" and row["request_resource"].startswith("/call"):
            tree = trace(hadal, row)
            equal([server for _, server in tree.path(list(tree.spans)[-1])], SERVERS, f"the trace of {row['request_resource']}")
