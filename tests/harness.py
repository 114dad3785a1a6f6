"""What tests are made of: programs that are started and surely stopped, a client for Hadal, and waiting with a deadline."""

import contextlib
import ctypes
import http.client
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
import time
import traceback
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """A test's expectation does not hold."""


def check(condition, message):
    """Fails with the message unless the condition holds."""
    if not condition:
        raise Failed(message)


def equal(found, wanted, what):
    check(found == wanted, f"{what}: found {found!r}, wanted {wanted!r}")


def wait_for(what, probe, seconds=30, every=0.2):
    """The first true value of `probe()`; fails after `seconds` with what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s (last: {value!r})")
        time.sleep(every)


def settle(what, probe, seconds=30, still=2.5):
    """The value of `probe()` once it has not changed for `still` seconds."""
    deadline = time.monotonic() + seconds
    value, since = probe(), time.monotonic()
    while time.monotonic() - since < still:
        check(time.monotonic() < deadline, f"{what}: still changes after {seconds} s")
        time.sleep(0.25)
        now = probe()
        if now != value:
            value, since = now, time.monotonic()
    return value


def free_port():
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def own(ledger):
    """SQL condition for the demo's own traffic; this host may have other traffic too."""
    return f"server_port IN ({', '.join(map(str, ledger['ports'].values()))})"


def is_alive(pid):
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid):
    """Pids of the children of all threads of a process."""
    pids = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            pids += map(int, task.read_text().split())
    return pids


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """A process with its output in a file."""

    def __init__(self, name, command, log, env=None, cwd=None):
        self.name, self.log = name, pathlib.Path(log)
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        self.pid = self.process.pid

    def output(self):
        return self.log.read_text(errors="replace")

    def wait(self, seconds):
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} does not end within {seconds} s") from None

    def stop(self, seconds=25):
        """Ends it and what it started; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        # Its session holds itself, if it did not end, and what it may have left behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self.process.wait()


class Answer:
    """An HTTP answer."""

    def __init__(self, status, body):
        self.status, self.body = status, body

    @property
    def json(self):
        return json.loads(self.body)


class Hadal:
    """`hadal up` (or server, or agent) with a data folder and ports of its own."""

    # How long it may take to start, or to answer, in seconds.
    patience = 30

    def __init__(self, test, command="up", config="", http=None, agents=None, data=None, server=None, env=None, prefix=()):
        self.test = test
        self.http = http or free_port()
        self.agents = agents or free_port()
        self.data = pathlib.Path(data or test.folder(f"data-{self.http}"))
        arguments = {
            "up": [
                "--http",
                f"127.0.0.1:{self.http}",
                "--agents",
                f"127.0.0.1:{self.agents}",
                "--data",
                self.data,
                "--name",
                "test",
            ],
            "server": ["--http", f"127.0.0.1:{self.http}", "--agents", f"127.0.0.1:{self.agents}", "--data", self.data],
            "agent": ["--server", server or f"http://127.0.0.1:{self.agents}", "--name", "test"],
        }[command]
        if "cpu_percent" not in config:
            # Unoptimised, on a busy machine: what tests count must not be shed.
            budget = "[agent]\ncpu_percent = 1000\ncpu_hard_percent = 1000\n"
            config = config.replace("[agent]\n", budget) if "[agent]\n" in config else config + budget
        if config:
            path = test.work / f"hadal-{self.http}.toml"
            path.write_text(config)
            arguments += ["--config", path]
        self.program = test.spawn(f"hadal-{command}-{self.http}", [*prefix, test.binary, command, *arguments], env=env)

    @property
    def log(self):
        return self.program.output()

    def request(self, method, path, body=None, headers=None, seconds=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=seconds or self.patience)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def get(self, path, **query):
        """The JSON answer of the API; fails unless it is 200."""
        if query:
            path += "?" + urllib.parse.urlencode(query)
        answer = self.request("GET", path)
        check(answer.status == 200, f"GET {path} answers {answer.status}: {answer.body[:300]!r}")
        return answer.json

    def post_sql(self, sql, db="flow_log"):
        """The whole answer, also of a statement that is refused."""
        body = json.dumps({"db": db, "sql": sql})
        return self.request("POST", "/v1/query", body, {"Content-Type": "application/json"})

    def sql(self, sql, db="flow_log"):
        """Rows as dictionaries; 64-bit numbers are numbers."""
        answer = self.post_sql(sql, db)
        check(answer.status == 200, f"{sql} answers {answer.status}: {answer.body[:400]!r}")
        result = answer.json["result"]
        is_number = [re.fullmatch(r"(Nullable\()?U?Int\d+\)?", schema["type"]) is not None for schema in result["schemas"]]
        convert = lambda value, number: int(value) if number and value is not None else value
        return [dict(zip(result["columns"], map(convert, row, is_number))) for row in result["values"]]

    def value(self, sql, db="flow_log"):
        """The only value of the only row."""
        (row,) = self.sql(sql, db)
        (value,) = row.values()
        return value

    def is_up(self):
        check(self.program.process.poll() is None, f"hadal ended with code {self.program.process.poll()}:\n{self.tail()}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/healthz").status == 200
        return False

    def running_agents(self):
        with contextlib.suppress(OSError, http.client.HTTPException, Failed):
            return [agent for agent in self.get("/v1/agents")["agents"] if agent["state"] == "running"]
        return []

    def ready(self, agent=True):
        """Waits until it answers, and until an agent records."""
        wait_for("hadal answers", self.is_up, self.patience)
        if agent:
            wait_for("an agent runs", self.running_agents, self.patience)
        return self

    def child(self, role):
        """Pid of the server or agent under `hadal up`; `None` while there is none."""
        for pid in children_of(self.program.pid):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2] == [role.encode()]:
                    return pid
        return None

    def tail(self, lines=15):
        return "\n".join(self.log.splitlines()[-lines:])


class Test:
    """One test's world: a work folder and programs, all gone at the end."""

    def __init__(self, binary):
        self.binary = binary
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="hadal-test-"))
        # The server, which is not root, has its data below.
        self.work.chmod(0o755)
        self.cleanup = contextlib.ExitStack()
        self.cleanup.callback(shutil.rmtree, self.work, ignore_errors=True)
        self.programs = []

    def folder(self, name):
        path = self.work / name
        path.mkdir(exist_ok=True)
        return path

    def spawn(self, name, command, **kwargs):
        program = Program(name, command, self.work / f"{name}-{len(self.programs)}.log", **kwargs)
        self.programs.append(program)
        self.cleanup.callback(program.stop)
        return program

    def hadal(self, *args, **kwargs):
        return Hadal(self, *args, **kwargs)

    def demo(self, *arguments):
        command = [PYTHON, ROOT / "demo/demo.py", "up", *arguments]
        return self.spawn("demo", command, env={"TMPDIR": str(self.work)})

    def endless_demo(self, rate):
        """Runs the demo until the test ends; the SQL condition for its own traffic."""
        demo = self.demo("--rate", rate)
        line = wait_for("the demo runs", lambda: re.search(r"^load\.py → .*", demo.output(), re.MULTILINE), 40)[0]
        ports = re.findall(r" :(\d+)", line)
        return f"server_port IN ({', '.join(ports)})"

    def demo_ledger(self, *arguments, seconds=120):
        """Runs the demo to its end; its ledger."""
        demo = self.demo(*arguments)
        code = demo.wait(seconds)
        check(code == 0, f"the demo ended with code {code}:\n{demo.output()[-2000:]}")
        return json.loads(demo.output().splitlines()[-1])

    def serve(self, name, source, *arguments):
        """Runs a Python program as a file of this name; it says its port on its first line."""
        path = self.work / name
        path.write_text(source)
        program = self.spawn(name, [PYTHON, path, *arguments])
        line = wait_for(f"{name} says its port", lambda: program.output().split("\n")[0], 15, 0.05)
        return program, int(line)

    def redis(self, port=None):
        port = port or free_port()
        program = self.spawn(
            "redis-server",
            ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", self.work, "--save", "", "--appendonly", "no"],
        )
        wait_for("redis-server is ready", lambda: "Ready to accept connections" in program.output(), 15, 0.05)
        return port

    def logs(self):
        """Ends of the logs, for a failure's report."""
        shown = [(program.name, program.output().splitlines()[-12:]) for program in self.programs]
        return "\n".join(f"--- {name}\n" + "\n".join(line[:400] for line in lines) for name, lines in shown if lines)


def run(name, body, binary):
    """Runs one test and prints its line; whether it passed."""
    start = time.monotonic()
    test = Test(binary)
    try:
        body(test)
        failure = None
    except Exception as error:
        failure = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
        logs = test.logs()
        if not isinstance(error, Failed):
            logs = traceback.format_exc() + logs
    finally:
        test.cleanup.close()
    seconds = time.monotonic() - start
    if failure is None:
        print(f"ok {name} ({seconds:.1f} s)", flush=True)
        return True
    print(f"FAILED {name}: {failure}", flush=True)
    # A program's own count of tests is not ours.
    shown = ["    " + line for line in logs.splitlines() if not re.search(r"\d+ passed", line)]
    print("\n".join(shown), file=sys.stderr, flush=True)
    return False
