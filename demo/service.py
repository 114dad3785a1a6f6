"""What shop.py and stock.py share: a keep-alive HTTP server that counts what it answers and what it asks for."""

import argparse
import collections
import ctypes
import http.client
import http.server
import json
import os
import re
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1


def end_with_parent(by=signal.SIGTERM):
    """Asks the kernel to end this process when the one that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)


class Ledger:
    """Counts per edge: how many requests, with which status, to which endpoint."""

    def __init__(self):
        self._lock = threading.Lock()
        self._edges = {}

    def count(self, edge, status, endpoint):
        with self._lock:
            counts = self._edges.setdefault(edge, {"status": collections.Counter(), "endpoints": collections.Counter()})
            counts["status"][str(status)] += 1
            counts["endpoints"][endpoint] += 1

    def edges(self):
        """The counts, as plain data."""
        with self._lock:
            return json.loads(json.dumps(self._edges))

    def write(self, path):
        """Writes it as a whole or not at all: a reader never sees half a file."""
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.edges(), file)
        os.rename(path + ".new", path)


def endpoint_of(path):
    """`/cart/7/items?x=1` → `/cart/{}/items`."""
    return re.sub(r"(?<=/)[0-9][0-9-]*(?=/|$)", "{}", path.split("?")[0])


class Client:
    """A keep-alive HTTP client; each thread has a connection of its own."""

    def __init__(self, port, edge, ledger):
        self._port, self._edge, self._ledger = port, edge, ledger
        self.name = edge.split(" → ")[1]
        self._threads = threading.local()

    def request(self, method, path, body=None, headers=None):
        """Status, headers and body of the answer."""
        connection = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        content = response.read()
        self._ledger.count(self._edge, response.status, endpoint_of(path))
        return response.status, response.headers, content


class Failure(Exception):
    """An answer that is not 200."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Server(http.server.ThreadingHTTPServer):
    """One thread per connection, so a request and what it causes share a thread."""

    daemon_threads = True
    request_queue_size = 256


class Handler(http.server.BaseHTTPRequestHandler):
    """Routes are (method, pattern, function); a function takes the handler and the pattern's groups and returns JSON."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Head and body leave in one call.
    wbufsize = -1
    routes = []
    ledger = None
    edge = ""

    def answer(self):
        """Finds the route, runs it, answers and counts."""
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else b""
        path = self.path.split("?")[0]
        try:
            status, content = 200, self._route(path)
        except Failure as failure:
            status, content = failure.status, {"error": str(failure)}
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if request_id := self.headers.get("X-Request-ID"):
            self.send_header("X-Request-ID", request_id)
        self.end_headers()
        self.wfile.write(data)
        self.ledger.count(self.edge, status, endpoint_of(path))

    do_GET = do_POST = do_DELETE = answer

    def _route(self, path):
        for method, pattern, function in self.routes:
            if method == self.command and (match := re.fullmatch(pattern, path)):
                return function(self, *match.groups())
        raise Failure(404, "no such page")

    def log_message(self, format, *args):
        """Quiet: the point of the demo is that services need no logging to be seen."""


def arguments(description):
    """Options every service has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--ledger", help="file for the counts, written at the end")
    return parser


def serve(handler, options):
    """Serves until SIGTERM or SIGINT; says the port on the first line of its output, writes the ledger at the end."""
    end_with_parent()
    try:
        server = Server(("127.0.0.1", options.port), handler)
    except OSError as error:
        sys.exit(f"cannot listen on port {options.port}: {error.strerror}")
    stop = lambda *_: threading.Thread(target=server.shutdown).start()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(server.server_address[1], flush=True)
    server.serve_forever(poll_interval=0.1)
    if options.ledger:
        handler.ledger.write(options.ledger)
    sys.exit(0)
