"""Connections that are older than the agent."""

import signal
import time

from harness import check, equal, settle, wait_for

REQUESTS = 25

# Connects and asks once; asks REQUESTS times more on each SIGUSR1.
REDIS_CLIENT = """
import signal, sys
import redis
client = redis.Redis(port=int(sys.argv[1]), single_connection_client=True)
client.set("depth", 1)
signal.signal(signal.SIGUSR1, lambda *_: [client.get("depth") for _ in range(25)])
print(1, flush=True)
while True:
    signal.pause()
"""

HTTP_SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""

HTTP_CLIENT = """
import http.client, signal, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
def ask(*_):
    for number in range(25):
        connection.request("GET", f"/old/{number}")
        connection.getresponse().read()
ask()
signal.signal(signal.SIGUSR1, ask)
print(1, flush=True)
while True:
    signal.pause()
"""


def follow(t, client, names, port, protocol):
    """The link is there before any request; then each request is counted at both ends."""
    hadal = t.hadal().ready()
    client_name, server_name = names
    begin = int(time.time()) - 60

    def edge():
        answer = hadal.get("/v1/map", **{"from": begin, "to": int(time.time()) + 1}, filter=f"server_port = {port}")
        return next((edge for edge in answer["edges"] if (edge["client"], edge["server"]) == names), None)

    before = wait_for(f"{client_name} → {server_name} on the map", edge, 10)
    check(before["connections"] >= 1 and before["requests"] == 0, f"the link is {before}")
    client.process.send_signal(signal.SIGUSR1)
    rows = (
        f"SELECT observation_point AS point, process_name_0 AS client, process_name_1 AS server, l7_protocol_str AS protocol, count() AS n FROM l7_flow_log "
        f"WHERE server_port = {port} AND type = 'session' AND response_status = 'ok' GROUP BY ALL ORDER BY point"
    )
    wait_for("its requests", lambda: hadal.sql(rows), 10)
    found = settle("its requests", lambda: hadal.sql(rows))
    wanted = [
        {"point": point, "client": client_name, "server": server_name, "protocol": protocol, "n": REQUESTS}
        for point in ("c-p", "s-p")
    ]
    equal(found, wanted, "requests over the older connection")


def test_redis(t):
    port = t.redis()
    client, _ = t.serve("diver.py", REDIS_CLIENT, str(port))
    follow(t, client, ("diver.py", "redis-server"), port, "Redis")


def test_http(t):
    _, port = t.serve("reef.py", HTTP_SERVER)
    client, _ = t.serve("boat.py", HTTP_CLIENT, str(port))
    follow(t, client, ("boat.py", "reef.py"), port, "HTTP1")
