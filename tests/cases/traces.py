"""Traces: everything that one request caused and nothing else, in programs that nobody touched."""

import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import subprocess
import time

from harness import check, equal, settle, wait_for


class Tree:
    """An answer of /v1/trace."""

    def __init__(self, answer):
        self.truncated = answer["truncated"]
        self.spans = {span["id"]: span for span in answer["spans"]}
        check(len(self.spans) == len(answer["spans"]), "a span is there twice")
        seen = set()
        for span in answer["spans"]:
            parent = span["parent_id"]
            check(parent is None or parent in seen, f"{span['id']} comes before its parent {parent}")
            check((parent is None) == (span["evidence"] is None) == (span["confidence"] is None), f"evidence of {span}")
            check(span["self_us"] >= 0 and (span["network_us"] or 0) >= 0, f"times of {span}")
            seen.add(span["id"])

    @property
    def ids(self):
        return set(self.spans)

    def row(self, span_id):
        return self.spans[span_id]["row"]

    def path(self, span_id):
        """From the root: observation point and server of each span."""
        steps = []
        while span_id is not None:
            row = self.row(span_id)
            steps.append((row["observation_point"], row["server"]))
            span_id = self.spans[span_id]["parent_id"]
        return steps[::-1]

    def calls_of(self, server, point="c-p"):
        """What that server was asked, in order."""
        rows = [span["row"] for span in self.spans.values()]
        return [row["request_resource"] for row in rows if (row["server"], row["observation_point"]) == (server, point)]


def trace(hadal, row):
    return Tree(hadal.get(f"/v1/trace/{row['_id']}", time=row["us"]))


def rows(hadal, ports, condition, order=""):
    found = hadal.sql(
        "SELECT toString(l7_flow_log._id) AS _id, toUnixTimestamp64Micro(start_time) AS us, x_request_id_0, x_request_id_1, observation_point, "
        f"endpoint, request_resource, response_duration FROM l7_flow_log WHERE server_port IN ({', '.join(map(str, ports))}) AND ({condition}) {order}"
    )
    return found


def carrying(hadal, ports, request_id):
    """Ids of all rows of HTTP calls that carry this X-Request-ID one way or the other."""
    return {row["_id"] for row in rows(hadal, ports, f"x_request_id_0 = '{request_id}' OR x_request_id_1 = '{request_id}'")}


def everything(hadal, ports):
    count = f"SELECT count() FROM l7_flow_log WHERE server_port IN ({', '.join(map(str, ports))})"
    return settle("the log", lambda: hadal.value(count))


def paths(server_path):
    """Both ends of each call of a chain."""
    return [(point, server) for server in server_path for point in ("c-p", "s-p")]


def test_slow_requests(t):
    """The slow requests of the demo, from any of their rows: six rows, in one line."""
    hadal = t.hadal().ready()
    ledger = t.demo_ledger("--requests", "1200", "--rate", "200", "--connections", "12")
    ports = ledger["ports"].values()
    everything(hadal, ports)
    slow = rows(hadal, [ledger["ports"]["nginx"]], "endpoint = '/report/{}' AND observation_point = 'c-p'", "ORDER BY response_duration DESC LIMIT 25")
    equal(len(slow), 25, "slow requests of load.py")
    chooser = random.Random(1)
    for row in slow:
        tree = trace(hadal, row)
        check(not tree.truncated, "a trace is cut")
        equal(tree.ids, carrying(hadal, ports, row["x_request_id_1"]), f"rows of {row['request_resource']} (lost: {losses(hadal)})")
        wanted = paths(["nginx", "shop.py", "stock.py"])
        equal([tree.path(span)[-1] for span in tree.spans], wanted, "spans in order")
        equal(tree.path(list(tree.spans)[-1]), wanted, "one line from the client to the last server")
        other = tree.row(chooser.choice(list(tree.spans)))
        equal(trace(hadal, {"_id": other["_id"], "us": other["start_time_us"]}).ids, tree.ids, "the trace of another of its rows")
        of_stock = list(tree.spans.values())[-1]
        check(of_stock["self_us"] == of_stock["row"]["response_duration_us"] > 35_000, "the time was spent in stock.py")
    check_tool(hadal, slow[0])


def check_tool(hadal, row):
    """`hadal trace`."""
    url = f"http://127.0.0.1:{hadal.http}"
    run = lambda *arguments: subprocess.run(
        [hadal.test.binary, "trace", "--url", url, *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    shown = run(row["_id"])
    lines = shown.stdout.splitlines()
    equal((shown.returncode, len(lines)), (0, 5), f"code and lines of {shown}")
    check("stock.py GET /report/{}" in lines[0] and lines[1] == "", f"the sentence is {lines[0]!r}")
    check("load.py → nginx GET /report/{}" in lines[2], f"the first line of the tree is {lines[2]!r}")
    check("└─ stock.py GET /report/{}" in lines[4] and "self" in lines[4] and "x_request_id" in lines[4], f"the last line is {lines[4]!r}")
    equal(len(json.loads(run(row["_id"], "--json").stdout)["spans"]), 6, "spans as JSON")
    for wrong, said in (("17", "there is no such request"), ("x", "is a number")):
        shown = run(wrong)
        check(shown.returncode != 0 and said in shown.stderr, f"{wrong}: {shown}")
    equal(hadal.request("GET", "/v1/trace/17").status, 404, "status of an unknown id")
    equal(hadal.request("GET", "/v1/trace/x").status, 400, "status of what is no id")


# What is asked of Redis and of PostgreSQL behind each of the requests below; ? stands for the request's own number, and for hidden
# values.
PRICE = "SELECT cents / pieces FROM price WHERE item = $1"
COMMANDS = {
    "/item/?": ["GET stock:?", PRICE, "SET stock:? ?"],
    "/cart/?": ["HGETALL cart:?"],
    "/cart/?/checkout": ["HGETALL cart:?", "MULTI", "INCRBY orders ?", "DEL cart:?", "EXEC"],
    "/search": [],
    "/": [],
}
# The servers on the way to each of the stores.
PATHS = {"redis-server": ["nginx", "shop.py", "stock.py", "redis-server"], "postgres": ["nginx", "shop.py", "prices", "postgres"]}


def ask(port, requests):
    """Makes requests one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for path in requests:
        connection.request("POST" if path.endswith("checkout") else "GET", path)
        connection.getresponse().read()
    connection.close()


def test_concurrent(t):
    """Sixteen connections at once, beside the demo's own load: each request has its own commands, to the last one."""
    hadal = t.hadal().ready()
    own = t.endless_demo(150)
    ports = [int(port) for port in own[own.index("(") + 1 : -1].split(", ")]
    kinds = list(COMMANDS)
    # Numbers that the demo's load does not use, each once.
    wanted = [kinds[number % len(kinds)].replace("?", str(1000 + number)) for number in range(400)]
    pattern = {path: kinds[number % len(kinds)] for number, path in enumerate(wanted)}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda start: ask(ports[0], wanted[start::16]), range(16)))
    condition = "match(request_resource, '^/(item|cart)/1[0-9]{3}(/checkout)?$')"
    count = f"SELECT count() FROM l7_flow_log WHERE {own} AND {condition}"
    wait_for("the log", lambda: hadal.value(count) > 0)
    settle("the log", lambda: hadal.value(count))
    asked = rows(hadal, ports[:1], f"observation_point = 's-p' AND {condition}")
    equal(len(asked), sum(1 for path in wanted if "1" in path), "requests at nginx")
    commands_seen = set()
    for row in asked[::2]:
        number = "".join(filter(str.isdigit, row["request_resource"]))
        tree = trace(hadal, row)
        commands = [command.replace(number, "?") for command in tree.calls_of("redis-server") + tree.calls_of("postgres")]
        # What libraries say of themselves on a new connection, and its start.
        commands = [command for command in commands if not command.startswith("CLIENT ") and command != "postgres"]
        equal(sorted(commands), sorted(COMMANDS[pattern[row["request_resource"]]]), f"commands of {row['request_resource']}")
        of_http = {span for span in tree.ids if tree.row(span)["l7_protocol_str"] == "HTTP1"}
        equal(of_http, carrying(hadal, ports, row["x_request_id_1"]), f"HTTP calls of {row['request_resource']}")
        of_stores = tree.ids - of_http
        check(not of_stores & commands_seen, "a command is in two traces")
        commands_seen |= of_stores
        for span in of_stores:
            steps = paths(PATHS[tree.row(span)["server"]])[: 8 if tree.row(span)["observation_point"] == "s-p" else 7]
            equal(tree.path(span), steps, f"path of {tree.row(span)['request_resource']}")


BACK = """
import http.server, random, sys, time
class Back(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    def do_GET(self):
        time.sleep(random.uniform(0.001, 0.02))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
server = Server(("127.0.0.1", 0), Back)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

# Each asks its backend twice for each request, one call after the other; the paths say which request they are for.
THREADS = """
import http.client, http.server, sys, threading
kept = threading.local()
class Middle(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    def do_GET(self):
        if not hasattr(kept, "back"):
            kept.back = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
        for step in "12":
            kept.back.request("GET", f"/d/{self.path[3:]}/{step}")
            kept.back.getresponse().read()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
server = Server(("127.0.0.1", 0), Middle)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

ASYNCIO = """
import asyncio, sys
idle = []
PAUSE
async def message(reader):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\\r\\n") if line.lower().startswith(b"content-length")), 0)
    await reader.readexactly(length)
    return head.split()[1].decode()
async def ask(path):
    reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    writer.write(f"GET {path} HTTP/1.1\\r\\nHost: back\\r\\n\\r\\n".encode())
    await message(reader)
    idle.append((reader, writer))
async def middle(reader, writer):
    try:
        while True:
            number = (await message(reader))[3:]
            for step in "12":
                await ask(f"/d/{number}/{step}")
                await pause(int(number))
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(middle, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

# The next step comes right after the answer, or for some requests a turn or a while later.
PROMPT = "async def pause(number): pass"
UNEVEN = "async def pause(number): await asyncio.sleep(0) if number % 3 == 0 else await asyncio.sleep(0.001) if number % 3 == 1 else None"

# What comes first of two calls at once is followed by nothing.
NODE = """
const http = require("http");
const agent = new http.Agent({ keepAlive: true });
const ask = (path) => new Promise((done, failed) => {
  http.get({ host: "127.0.0.1", port: process.argv[2], path, agent }, (answer) => answer.resume().on("end", done)).on("error", failed);
});
const server = http.createServer(async (request, response) => {
  const number = request.url.slice(3);
  await Promise.all([ask(`/d/${number}/1`), ask(`/d/${number}/2`)]);
  response.setHeader("Content-Length", 2);
  response.end("ok");
});
server.keepAliveTimeout = 60000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""

# Reads and workers: the worker's thread never reads a request.
POOL = """
import http.client, queue, selectors, socket, sys, threading
work, kept = queue.Queue(), threading.local()
def worker():
    back = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    while True:
        connection, number = work.get()
        for step in "12":
            back.request("GET", f"/d/{number}/{step}")
            back.getresponse().read()
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
for _ in range(12):
    threading.Thread(target=worker, daemon=True).start()
listener = socket.create_server(("127.0.0.1", 0), backlog=256)
print(listener.getsockname()[1], flush=True)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            selector.register(listener.accept()[0], selectors.EVENT_READ)
            continue
        head = key.fileobj.recv(65536)
        if head:
            work.put((key.fileobj, head.split()[1].decode()[3:]))
        else:
            selector.unregister(key.fileobj)
            key.fileobj.close()
"""


# The first call goes over a pooled connection, whose own goroutine writes it; the second one is made by a worker.
GO = """
package main
import ("fmt"; "io"; "net"; "net/http"; "os"; "strings")
type job struct { url string; done chan<- error }
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
var jobs = make(chan job)
func get(url string) error {
	answer, err := client.Get(url)
	if err != nil { return err }
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
func main() {
	for range 24 { go func() { for job := range jobs { job.done <- get(job.url) } }() }
	http.HandleFunc("/r/", func(w http.ResponseWriter, r *http.Request) {
		url := "http://127.0.0.1:" + os.Args[1] + "/d/" + strings.TrimPrefix(r.URL.Path, "/r/")
		done := make(chan error, 1)
		if get(url + "/1") != nil { panic(url) }
		jobs <- job{url + "/2", done}
		if <-done != nil { panic(url) }
		w.Write([]byte("ok"))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil { panic(err) }
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}
"""


# An example of the agent's crate.
TOKIO = "tokio_middle"


def losses(hadal):
    return {row["cause"]: row["n"] for row in hadal.sql("SELECT cause, sum(`count`) AS n FROM hadal.loss GROUP BY cause")}


def between(t, name, source, back_port):
    """A program in its language, and the port it serves."""
    if source not in (NODE, GO, TOKIO):
        return t.serve(f"{name}.py", source, back_port)
    if source is TOKIO:
        program = pathlib.Path(os.environ["HADAL_EXAMPLES"]) / "tokio_middle"
        check(program.is_file(), f"there is no {program}: run `cargo build -p hadal-agent --example tokio_middle`")
        command = [program, back_port]
    elif source is GO:
        folder = t.folder("go")
        (folder / "main.go").write_text(GO)
        (folder / "go.mod").write_text("module middle\n\ngo 1.22\n")
        subprocess.run(["go", "build", "-o", "middle", "."], cwd=folder, check=True)
        command = [folder / "middle", back_port]
    else:
        script = t.work / "node.js"
        script.write_text(NODE)
        command = ["node", script, back_port]
    program = t.spawn(name, command)
    return program, int(wait_for(f"{name} says its port", lambda: program.output().strip(), 15))


def outcome(t, hadal, name, source, settle_s=0, before=0):
    """
    How many of the calls behind requests were found, not found, and found where they do not belong; `before` requests that do not
    count show that something is not followed yet.
    """
    back, back_port = t.serve("back.py", BACK)
    middle, port = between(t, name, source, back_port)
    # A program is met when it listens, and looked at then.
    time.sleep(settle_s)
    counted = range(320)
    for numbers in range(len(counted), len(counted) + before), counted:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda start: ask(port, [f"/r/{number}" for number in numbers[start::16]]), range(16)))
        time.sleep(settle_s)
    count = f"SELECT count() FROM l7_flow_log WHERE server_port IN ({port}, {back_port})"
    wait_for(f"log of {name}", lambda: hadal.value(count) > 0, 40)
    rows_found = settle(f"log of {name}", lambda: hadal.value(count), still=4)
    equal(rows_found, (len(counted) + before) * 6, f"rows of {name} (lost: {losses(hadal)})")
    counts = collections.Counter()
    asked = rows(hadal, [port], f"observation_point = 's-p' AND toUInt32(substring(request_resource, 4)) < {len(counted)}")[::4]
    begin = time.monotonic()
    for row in asked:
        number = row["request_resource"].split("/")[2]
        found = [path.split("/")[2] for path in trace(hadal, row).calls_of("back.py")]
        right = found.count(number)
        counts.update(right=right, wrong=len(found) - right, orphan=2 - right)
    middle.stop()
    back.stop()
    calls, each = 2 * len(asked), (time.monotonic() - begin) / len(asked)
    shown = ", ".join(f"{counts[kind]} {kind}" for kind in ("right", "orphan", "wrong"))
    print(f"     {name}: of {calls} calls {shown}; {each * 1000:.0f} ms for a trace", flush=True)
    return {kind: counts[kind] / calls for kind in ("right", "wrong")}


def test_runtimes(t):
    """Without any id: what a thread per request tells is complete; elsewhere what is doubtful stays alone."""
    hadal = t.hadal().ready()
    threads = outcome(t, hadal, "threads", THREADS)
    equal((threads["right"], threads["wrong"]), (1, 0), "shares of a thread per request")
    for name, source in (
        ("prompt", ASYNCIO.replace("PAUSE", PROMPT)),
        ("uneven", ASYNCIO.replace("PAUSE", UNEVEN)),
        ("pool", POOL),
    ):
        found = outcome(t, hadal, name, source)
        check(found["wrong"] <= 0.03, f"{name}: {found}")
        check(found["right"] >= (0.95 if name == "pool" else 0.1), f"{name}: {found}")


# Calls by the task of the connection and by others that it waits for in the ways there are, some of which begin before.
TASKS = ASYNCIO.replace("""            for step in "12":
                await ask(f"/d/{number}/{step}")
                await pause(int(number))
""", """            await calls(number)
""").replace("PAUSE", """
async def calls(number):
    first, second = (ask(f"/d/{number}/{step}") for step in "12")
    way = int(number) % 5
    if way == 0:
        await asyncio.gather(first, asyncio.shield(second))
    elif way == 1:
        await asyncio.wait([asyncio.ensure_future(first), asyncio.ensure_future(second)])
    elif way == 2:
        await asyncio.sleep(int(number) % 7 / 1000)
        await asyncio.wait_for(first, 60)
        await asyncio.create_task(asyncio.wait_for(second, 60))
    elif way == 3:
        async with asyncio.TaskGroup() as group:
            group.create_task(first)
            await asyncio.sleep(0.001)
            await second
    else:
        await asyncio.create_task(first)
        await asyncio.sleep(0)
        await second
""")

GREENLETS = """
from gevent import monkey
monkey.patch_all()
import gevent.server, http.client, random, sys, time
def middle(connection, _):
    back = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    while head := connection.recv(65536):
        number = head.split()[1].decode()[3:]
        for step in "12":
            back.request("GET", f"/d/{number}/{step}")
            back.getresponse().read()
            time.sleep(random.random() / 200)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
server = gevent.server.StreamServer(("127.0.0.1", 0), middle, backlog=256)
server.init_socket()
print(server.server_port, flush=True)
server.serve_forever()
"""


# Who answers makes no call: each is made by a worker that it waits for.
EXECUTOR = THREADS.replace("import http.client", "import concurrent.futures, http.client").replace("""        if not hasattr(kept, "back"):
            kept.back = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
        for step in "12":
            kept.back.request("GET", f"/d/{self.path[3:]}/{step}")
            kept.back.getresponse().read()
""", """        for step in "12":
            workers.submit(call, f"/d/{self.path[3:]}/{step}").result()
""").replace("class Middle", """workers = concurrent.futures.ThreadPoolExecutor(16)
def call(path):
    if not hasattr(kept, "back"):
        kept.back = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
    kept.back.request("GET", path)
    kept.back.getresponse().read()
class Middle""")


def test_handed_over(t):
    """Threads that work for others, told by who wakes whom once it was seen that requests get lost; nothing else tells."""
    found = outcome(t, t.hadal().ready(), "executor", EXECUTOR, settle_s=1, before=160)
    check(found["wrong"] <= 0.02, f"an executor: {found}")
    check(found["right"] >= 0.8, f"an executor: {found}")
    without = outcome(t, t.hadal(config="[agent]\nthread_hand_over = false\n").ready(), "without", EXECUTOR, settle_s=1, before=160)
    check(without["right"] < 0.1, f"without: {without}")


def test_coroutines(t):
    """What Python itself says that it runs."""
    hadal = t.hadal().ready()
    for name, source in ("tasks", TASKS), ("greenlets", GREENLETS):
        found = outcome(t, hadal, name, source, settle_s=1)
        equal(found["wrong"], 0, f"{name}: {found}")
        check(found["right"] >= 0.97, f"{name}: {found}")


def test_node(t):
    """What a callback of the loop sends is told from what comes later; without that most calls stay alone."""
    found = outcome(t, t.hadal().ready(), "node", NODE)
    check(found["wrong"] <= 0.005, f"Node: {found}")
    check(found["right"] >= 0.97, f"Node: {found}")


def test_go(t):
    """Goroutines work for each other; that is followed once it was seen that requests get lost, which takes some calls."""
    found = outcome(t, t.hadal().ready(), "go", GO, settle_s=1, before=160)
    check(found["wrong"] <= 0.005, f"Go: {found}")
    check(found["right"] >= 0.9, f"Go: {found}")


def test_tokio(t):
    """Tasks own the connections that others call over; followed as in Go, and only by what tokio says."""
    found = outcome(t, t.hadal().ready(), "tokio", TOKIO, settle_s=1, before=160)
    check(found["wrong"] <= 0.005, f"tokio: {found}")
    check(found["right"] >= 0.9, f"tokio: {found}")
    without = outcome(t, t.hadal(config="[agent]\ntokio_hand_over = false\n").ready(), "without", TOKIO, settle_s=1, before=160)
    check(without["right"] < 0.5, f"without: {without}")


FRONT = """
import http.client, http.server, sys
class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    def do_GET(self):
        back = http.client.HTTPConnection("10.97.0.2", 8080)
        for step in "12":
            back.request("GET", f"/d/{self.path[3:]}/{step}")
            back.getresponse().read()
        back.close()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
server = Server(("127.0.0.1", 8080), Front)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

ASK = """
import http.client, sys
for number in range(int(sys.argv[1])):
    connection = http.client.HTTPConnection("127.0.0.1", 8080)
    connection.request("GET", f"/r/{number}")
    connection.getresponse().read()
    connection.close()
print("asked", flush=True)
"""

CLOCK_S = 30


def two_hosts(t):
    """Two network namespaces with a wire between them: the commands that run a program in each."""
    names = [f"hadal-{t.work.name[-6:]}-{end}" for end in "ab"]
    ip = lambda *words: subprocess.run(["ip", *words], check=True, capture_output=True)
    for name in names:
        ip("netns", "add", name)
        t.cleanup.callback(subprocess.run, ["ip", "netns", "delete", name], check=False, capture_output=True)
    ip("-netns", names[0], "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", names[1])
    for number, name in enumerate(names):
        ip("-netns", name, "address", "add", f"10.97.0.{number + 1}/24", "dev", "wire")
        for device in ("wire", "lo"):
            ip("-netns", name, "link", "set", device, "up")
    return [["ip", "netns", "exec", name] for name in names]


def test_clocks(t):
    """Two hosts whose clocks are half a minute apart: traces from one to the other are whole, and no time is negative."""
    hadal = t.hadal("server").ready(agent=False)
    here, there = two_hosts(t)
    config = t.work / "agent.toml"
    config.write_text("[agent]\ncpu_percent = 1000\ncpu_hard_percent = 1000\nown_network_only = true\n")
    socket_path = t.work / "agents"
    # An agent adds its clock to the kernel's stamps; in a time namespace it finds another difference between the two.
    early = ["unshare", "--time", f"--monotonic=-{CLOCK_S}"]
    for name, prefix in (("here", here), ("there", [*there, *early])):
        # The server listens in neither of them.
        port = relay(t, prefix[:4], socket_path, hadal.agents)
        t.spawn(f"agent-{name}", [*prefix, t.binary, "agent", "--server", f"http://127.0.0.1:{port}", "--name", name, "--config", config])
    wait_for("two agents run", lambda: len(hadal.running_agents()) == 2, 40)
    for name, prefix, source in (("back.py", there, BACK.replace("127.0.0.1", "10.97.0.2").replace(", 0)", ", 8080)")), ("front.py", here, FRONT)):
        (t.work / name).write_text(source)
        program = t.spawn(name, [*prefix, "/usr/bin/python3", t.work / name])
        wait_for(f"{name} says its port", lambda program=program: program.output().strip(), 15)
    (t.work / "ask.py").write_text(ASK)
    requests = 40
    equal(t.spawn("ask", [*here, "/usr/bin/python3", t.work / "ask.py", requests]).wait(60), 0, "exit code of the load")
    count = "SELECT count() FROM l7_flow_log WHERE server_port = 8080"
    wait_for("the log", lambda: hadal.value(count) >= requests * 6, 60)
    equal(losses(hadal), {}, "losses")
    equal(settle("the log", lambda: hadal.value(count)), requests * 6, f"rows (lost: {losses(hadal)})")
    apart = "SELECT toInt64(avgIf(toUnixTimestamp64Micro(start_time), agent = 'there')) - toInt64(avgIf(toUnixTimestamp64Micro(start_time), agent = 'here')) FROM l7_flow_log WHERE server_port = 8080 AND request_resource LIKE '/d/%'"
    check(abs(int(hadal.value(apart)) / 1e6 - CLOCK_S) < 1, "the clocks are not half a minute apart")
    for row in rows(hadal, [8080], "match(request_resource, '^/r/') AND observation_point = 's-p'", "ORDER BY start_time")[::4]:
        number = row["request_resource"].split("/")[2]
        tree = trace(hadal, row)
        wanted = rows(hadal, [8080], f"request_resource = '/r/{number}' OR startsWith(request_resource, '/d/{number}/')")
        equal(tree.ids, {row["_id"] for row in wanted}, f"rows of /r/{number}")
        starts = {span: tree.spans[span]["start_us"] for span in tree.ids}
        for span in tree.ids:
            parent = tree.spans[span]["parent_id"]
            check(parent is None or 0 <= starts[span] - starts[parent] < 5_000_000, f"{tree.row(span)['request_resource']} starts before its parent")
        from_back = next(row for row in wanted if row["request_resource"].startswith("/d/") and row["observation_point"] == "s-p")
        equal(links(trace(hadal, from_back)), links(tree), f"links of /r/{number} from the other host")


def relay(t, prefix, path, port):
    """A port in a namespace that leads to the server's."""
    (t.work / "relay.py").write_text(RELAY)
    path = f"{path}-{prefix[3]}"
    t.spawn("relay-out", ["/usr/bin/python3", t.work / "relay.py", "out", path, port])
    t.spawn("relay-in", [*prefix, "/usr/bin/python3", t.work / "relay.py", "in", path, 20_417])
    return 20_417


# Between a port of a network namespace and a port outside, over a Unix socket.
RELAY = """
import asyncio, sys
direction, path, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()
async def serve(reader, writer):
    there = await (asyncio.open_connection("127.0.0.1", port) if direction == "out" else asyncio.open_unix_connection(path))
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))
async def main():
    start = asyncio.start_unix_server(serve, path) if direction == "out" else asyncio.start_server(serve, "127.0.0.1", port)
    async with await start as server:
        await server.serve_forever()
asyncio.run(main())
"""


def links(tree):
    """Parent of each span, and why."""
    return {span: (one["parent_id"], one["evidence"]) for span, one in tree.spans.items()}
