"""What surrounds a service: load → nginx → service → nginx → leaf, and Redis and PostgreSQL beside the service.

Each request is `/r/ID`. For it the service asks Redis for `k:ID`, `/c/ID` of the next service twice, a call that got 503 once
again, and PostgreSQL for `pause('ID')`. Each ID is new, and the service writes `PARENT ID KIND` into its ledger.
"""

import subprocess
import sys

from builds import CACHE
from cases.postgresql import postgresql
from harness import check, free_port, wait_for

NGINX = """\
daemon off;
user root;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream next {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            {hand_over}
        }}
    }}
}}
"""
PROXY = """proxy_pass http://next;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 600s;"""
FASTCGI = """include /etc/nginx/fastcgi_params;
            fastcgi_pass next;
            fastcgi_keep_conn on;
            fastcgi_read_timeout 600s;
            fastcgi_param SCRIPT_FILENAME {script};"""
PROXY_REQUEST_ID = " proxy_set_header X-Request-ID $request_id;"
FASTCGI_REQUEST_ID = " fastcgi_param HTTP_X_REQUEST_ID $request_id;"

# As long as most calls of the leaf, with a tail.
PAUSE = "CREATE FUNCTION pause(id text) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT id FROM pg_sleep({median} * exp(2 * random() - 1)) $$"
PSQL = "/usr/lib/postgresql/15/bin/psql"


class Scenario:
    """Everything but the service; the same for all services."""

    def __init__(self, test, wait_ms, sets_request_id):
        self.test, self.sets_request_id = test, sets_request_id
        self.redis = test.redis()
        self.postgresql = postgresql(test, "max_connections=400")
        self.sql(PAUSE.format(median=wait_ms / 4000))
        self.leaf = free_port()
        self.listen("leaf", [CACHE / "bin/leaf"], {"PORT": self.leaf, "WAIT_MS": wait_ms}, self.leaf)
        self.next = self.nginx("middle", self.leaf, PROXY)

    def sql(self, statement):
        command = [PSQL, "-h", "127.0.0.1", "-p", str(self.postgresql), "-U", "postgres", "-qc", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"{statement}: {done.stderr}")

    def listen(self, name, command, environment, port, seconds=600):
        """Starts a program and waits until it listens on its port."""
        program = self.test.spawn(name, command, env={key: str(value) for key, value in environment.items()})
        wait_for(f"{name} listens", lambda: is_listening(program, port), seconds, 0.05)
        return program

    def nginx(self, name, upstream, hand_over):
        """An nginx before a port; its own port."""
        folder, port = self.test.folder(f"nginx-{name}-{upstream}"), free_port()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, upstream=upstream, hand_over=hand_over))
        self.listen(f"nginx-{name}", ["nginx", "-c", config, "-p", folder, "-e", folder / "nginx-error.log"], {}, port)
        return port

    def front(self, upstream, fastcgi_script=None):
        """The nginx before the service."""
        hand_over = FASTCGI.format(script=fastcgi_script) if fastcgi_script else PROXY
        if self.sets_request_id:
            hand_over += FASTCGI_REQUEST_ID if fastcgi_script else PROXY_REQUEST_ID
        return self.nginx("front", upstream, hand_over)

    def environment(self, port, ledger):
        """What a service is told."""
        return {
            "PORT": port,
            "NEXT": f"http://127.0.0.1:{self.next}",
            "REDIS_PORT": self.redis,
            "POSTGRES_PORT": self.postgresql,
            "TRUTH": ledger,
        }

    def load(self, port, concurrency, requests, seed):
        """Makes the requests; ids of those that were answered."""
        log = self.test.work / f"load-{port}-{concurrency}.err"
        command = [CACHE / "bin/load", "-url", f"http://127.0.0.1:{port}", "-concurrency", concurrency, "-requests", requests, "-seed", seed]
        with open(log, "w") as errors:
            done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
        check(done.returncode == 0, f"the load ended with {done.returncode}")
        said = log.read_text().splitlines()
        if said:
            print(f"     {len(said)} requests failed, such as: {said[0]}", file=sys.stderr, flush=True)
        return done.stdout.split()


def is_listening(program, port):
    """Whether somebody listens on a port of the loopback; nobody connects to find out."""
    check(program.process.poll() is None, f"{program.name} ended:\n{program.output()[-2000:]}")
    wanted = f"{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            fields = (line.split() for line in lines)
            if any(words[3] == "0A" and words[1].endswith(":" + wanted) for words in fields):
                return True
    return False
