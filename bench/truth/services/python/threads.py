"""A thread per connection; one call after the other, or with `parallel` two at once in a pool of threads."""

import concurrent.futures
import http.server
import os
import sys
import threading

import psycopg
import redis
import requests
from truth import new_id, passed_on

kept = threading.local()
cache = redis.Redis(port=int(os.environ["REDIS_PORT"]))
executor = concurrent.futures.ThreadPoolExecutor(64) if sys.argv[1:] == ["parallel"] else None


def mine(name, make):
    """This thread's own one."""
    if not hasattr(kept, name):
        setattr(kept, name, make())
    return getattr(kept, name)


def connect():
    return psycopg.connect(host="127.0.0.1", port=os.environ["POSTGRES_PORT"], user="postgres", dbname="postgres", autocommit=True)


def call(parent, headers):
    session = mine("session", requests.Session)
    for _ in range(2):
        answer = session.get(f"{os.environ['NEXT']}/c/{new_id(parent, 'http')}", headers=headers)
        if answer.status_code != 503:
            break
    return answer.text


def work(request_id, headers):
    cache.get(f"k:{new_id(request_id, 'redis')}")
    if executor:
        list(executor.map(lambda _: call(request_id, headers), range(2)))
    else:
        call(request_id, headers)
        call(request_id, headers)
    mine("database", connect).execute(f"SELECT pause('{new_id(request_id, 'sql')}')").fetchone()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        work(self.path.split("/")[2], passed_on(self.headers))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
