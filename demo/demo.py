#!/usr/bin/python3
"""A small shop on this host, to have something to look at: load.py → nginx → shop.py → stock.py → redis-server, and from
shop.py → prices → postgres.

`demo.py up` runs it in the foreground until Ctrl-C. With --requests N it makes N requests, prints as JSON what each program
counted itself, and ends. `demo.py build` builds what is not a script: prices, a Go program.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import postgresql
import service

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
CACHE = pathlib.Path(os.environ.get("HADAL_CACHE") or "~/.cache/hadal").expanduser()
INSTALL = "install nginx, redis-server, postgresql, python3-redis and Go 1.19 or newer"
START_WITHIN_S = 15
END_WITHIN_S = 10
# These would otherwise drop or wait for their clients.
END_BY = {"nginx": signal.SIGQUIT, "postgres": signal.SIGINT}

NGINX_CONFIG = """\
daemon off;
{user}
worker_processes 2;
pid {work}/nginx.pid;
error_log {work}/nginx-error.log warn;
events {{ worker_connections 1024; }}
http {{
    log_format ledger "$status $upstream_status $uri";
    access_log {access_log};
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    keepalive_requests 1000000;
    upstream shop {{
        server 127.0.0.1:{shop};
        keepalive 16;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location = / {{ return 200 "a shop\\n"; }}
        location / {{
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_next_upstream off;
            proxy_set_header Connection "";
            proxy_set_header X-Request-ID $request_id;
        }}
    }}
}}
"""


class Stopped(Exception):
    """A signal asked to end."""


def free_port():
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    """Whether somebody listens on the port; looked up without a connection, which would be on the map."""
    wanted = f"0100007F:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(fields[1] == wanted and fields[3] == "0A" for fields in map(str.split, table))


class Demo:
    """All programs, in the order in which they were started."""

    def __init__(self, options, stop):
        self.options, self.stop = options, stop
        self.work = tempfile.mkdtemp(prefix="hadal-demo-")
        self.programs = []
        self.ports = {}

    def start(self, name, command, **kwargs):
        """Starts a program in a session of its own: the terminal's Ctrl-C reaches only this one, which ends them in order."""
        if self.stop.is_set():
            raise Stopped
        usual = {"start_new_session": True, "preexec_fn": service.end_with_parent, "stdin": subprocess.DEVNULL}
        try:
            program = subprocess.Popen(command, **{**usual, **kwargs})
        except FileNotFoundError:
            raise RuntimeError(f"there is no {command[0]}: {INSTALL}") from None
        self.programs.append((name, program))
        return program

    def run(self, name, command, **kwargs):
        """Runs a program to its end."""
        program = self.start(name, command, **kwargs)
        while program.poll() is None:
            if self.stop.wait(0.02):
                raise Stopped
        self.programs.pop()
        if program.returncode != 0:
            raise RuntimeError(f"{name} ended with code {program.returncode}")

    def start_listening(self, name, port, command, is_ready=None, **kwargs):
        """A program that takes its port as an argument; unless `is_ready` tells, it is ready when it listens."""
        if listens(port):
            raise RuntimeError(f"port {port} for {name} is in use")
        program = self.start(name, command, **{"stdout": subprocess.DEVNULL, **kwargs})
        is_ready = is_ready or (lambda: listens(port))
        deadline = time.monotonic() + START_WITHIN_S
        while not is_ready():
            if program.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not listen on port {port}")
            if self.stop.wait(0.02):
                raise Stopped
        self.ports[name] = port

    def start_postgresql(self, port):
        """A server of its own with the prices in it; nobody connects to put them there."""
        server = postgresql.PostgreSQL(self.work)
        self.run("initdb", server.create(), stdout=subprocess.DEVNULL, **server.process)
        with tempfile.TemporaryFile() as statements:
            statements.write(postgresql.PRICES.encode())
            statements.seek(0)
            self.run("postgres --single", server.fill(), stdin=statements, stdout=subprocess.DEVNULL, **server.process)
        with open(server.log, "wb") as log:
            self.start_listening("postgres", port, server.serve(port), server.is_ready, stdout=log, stderr=log, **server.process)

    def start_script(self, name, *arguments):
        """A Python service."""
        self.start_service(name, [PYTHON, f"{HERE}/{name}"], *arguments)

    def start_service(self, name, command, *arguments):
        """A service; it says its port on the first line."""
        command = [*command, "--ledger", self.ledger(name), *map(str, arguments)]
        program = self.start(name, command, stdout=subprocess.PIPE, text=True)
        line = program.stdout.readline()
        if not line:
            raise RuntimeError(f"{name} does not start")
        self.ports[name] = int(line)

    def ledger(self, name):
        return f"{self.work}/{name}.json"

    def build(self):
        """The binary of prices; each version of its sources has a folder of its own."""
        sources = pathlib.Path(HERE, "prices")
        digest = hashlib.sha256()
        for path in sorted(sources.glob("*.*")):
            digest.update(path.name.encode() + path.read_bytes())
        binary = CACHE / "demo" / digest.hexdigest()[:16] / "prices"
        if not binary.exists():
            print("demo.py: building prices", file=sys.stderr, flush=True)
            binary.parent.mkdir(parents=True, exist_ok=True)
            part = binary.with_name(f"prices.{os.getpid()}")
            environment = {**os.environ, "CGO_ENABLED": "0"}
            self.run("go", ["go", "build", "-buildvcs=false", "-o", str(part), "."], cwd=sources, env=environment)
            part.rename(binary)
        return str(binary)

    def up(self):
        """Starts the back first."""
        options = self.options
        prices = self.build()
        redis_port = options.redis_port or free_port()
        redis = f"redis-server --port {redis_port} --bind 127.0.0.1 --dir {self.work} --appendonly no --save".split()
        self.start_listening("redis-server", redis_port, [*redis, ""])
        self.start_postgresql(options.postgres_port or free_port())
        self.start_script("stock.py", "--port", options.stock_port, "--redis", redis_port)
        self.start_service("prices", [prices], "--port", options.prices_port, "--postgres", self.ports["postgres"])
        behind = ("--stock", self.ports["stock.py"], "--prices", self.ports["prices"])
        self.start_script("shop.py", "--port", options.shop_port, *behind)
        self.start_nginx(options.nginx_port or free_port())
        load = (
            f"--ledger {self.ledger('load.py')} --latencies {self.work}/latencies.json --port {self.ports['nginx']} "
            f"--rate {options.rate} --requests {options.requests} --connections {options.connections} --seed {options.seed}"
        )
        self.start("load.py", [PYTHON, f"{HERE}/load.py", *load.split()])

    def start_nginx(self, port):
        # A log of every request is only bearable if their number is known.
        access_log = f"{self.work}/access.log ledger" if self.options.requests else "off"
        user = "user root;" if os.geteuid() == 0 else ""
        ports = {"port": port, "shop": self.ports["shop.py"]}
        with open(f"{self.work}/nginx.conf", "w", encoding="utf-8") as file:
            file.write(NGINX_CONFIG.format(work=self.work, user=user, access_log=access_log, **ports))
        nginx = f"nginx -c {self.work}/nginx.conf -p {self.work} -e {self.work}/nginx-error.log"
        self.start_listening("nginx", port, nginx.split())

    def follow(self):
        """Until the load is done, a signal comes, or a program ends that should not."""
        while not self.stop.wait(0.1):
            for name, program in self.programs:
                if program.poll() is None:
                    continue
                if name == "load.py" and program.returncode == 0 and self.options.requests:
                    return
                raise RuntimeError(f"{name} ended with code {program.returncode}")

    def down(self):
        """Ends what was started, the front first, so that nobody is left without a peer."""
        while self.programs:
            name, program = self.programs.pop()
            program.send_signal(END_BY.get(name, signal.SIGTERM))
            try:
                program.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()

    def counted(self):
        """What each program counted, by edge and side."""
        edges = {}
        for name in ("load.py", "shop.py", "stock.py", "prices"):
            with open(self.ledger(name), encoding="utf-8") as file:
                for edge, counts in json.load(file).items():
                    edges.setdefault(edge, {})[name] = counts
        for edge, counts in self.counted_by_nginx().items():
            edges.setdefault(edge, {})["nginx"] = counts
        return {edge: {"by": by, **agreed(edge, by)} for edge, by in edges.items()}

    def counted_by_nginx(self):
        ledger = service.Ledger()
        with open(f"{self.work}/access.log", encoding="utf-8") as file:
            for status, upstream_status, uri in map(str.split, file):
                ledger.count("load.py → nginx", status, service.endpoint_of(uri))
                if upstream_status != "-":
                    ledger.count("nginx → shop.py", upstream_status, service.endpoint_of(uri))
        return ledger.edges()

    def report(self):
        """The ledger, for people and tests."""
        with open(f"{self.work}/latencies.json", encoding="utf-8") as file:
            load = json.load(file)
        return {"ports": self.ports, "failures": load["failures"], "edges": self.counted(), "latencies_us": load["latencies_us"]}


def agreed(edge, by):
    """The counts of an edge, after a check that both ends counted the same."""
    first, *others = by.values()
    if any(other != first for other in others):
        raise RuntimeError(f"the ends of {edge} did not count the same: {by}")
    totals = {"requests": 0, "client_errors": 0, "server_errors": 0}
    for status, count in first["status"].items():
        totals["requests"] += count
        # Redis and PostgreSQL know OK and words such as WRONGTYPE, which blame the client.
        totals["client_errors"] += count if re.match("4|(?!OK$)[A-Z]", status) else 0
        totals["server_errors"] += count if status.startswith("5") else 0
    return {**totals, **first}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="up|build")
    commands.add_parser("build", help="build prices, which up does too if need be").set_defaults(run=build)
    up = commands.add_parser("up", help="run the demo in the foreground")
    up.set_defaults(run=run)
    up.add_argument("--rate", type=float, default=20, help="requests per second (default 20)")
    up.add_argument("--requests", type=int, default=0, help="end after so many and print the ledger")
    up.add_argument("--connections", type=int, default=4, help="connections of the load (default 4)")
    up.add_argument("--seed", type=int, default=1, help="choice of requests (default 1)")
    for name in ("nginx", "shop", "stock", "redis", "prices", "postgres"):
        up.add_argument(f"--{name}-port", type=int, default=0, help=f"port of {name}; free if absent")
    return parser.parse_args()


def build(demo):
    """`demo.py build`"""
    demo.build()


def run(demo):
    """`demo.py up`"""
    options = demo.options
    demo.up()
    chain = lambda *names: " → ".join(f"{name} :{demo.ports[name]}" for name in names)
    links = f"load.py → {chain('nginx', 'shop.py', 'stock.py', 'redis-server')}; shop.py → {chain('prices', 'postgres')}"
    print(f"{links}; {options.rate:g} requests/s", file=sys.stderr, flush=True)
    demo.follow()
    demo.down()
    if options.requests and not demo.stop.is_set():
        print(json.dumps(demo.report(), ensure_ascii=False), flush=True)


def main():
    options = parse_arguments()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    demo = Demo(options, stop)
    try:
        options.run(demo)
    except Stopped:
        pass
    except RuntimeError as error:
        print(f"demo.py: {error}", file=sys.stderr)
        return 1
    finally:
        demo.down()
        shutil.rmtree(demo.work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
