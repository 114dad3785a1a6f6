"""The demo leaves nothing behind, however it ends."""

import contextlib
import os
import pathlib
import signal
import socket
import time

from harness import check, equal, is_alive, wait_for


def descendants(pid):
    """Pids of all processes that a process has started, at any depth."""
    found, waiting = [], [pid]
    while waiting:
        for task in pathlib.Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children = [int(child) for child in task.read_text().split()]
                found += children
                waiting += children
    return found


def check_no_folder(t):
    equal([path.name for path in t.work.glob("hadal-demo-*")], [], "folders left behind")


def check_gone(demo, pids, code):
    equal(demo.wait(15), code, f"exit code of the demo ({demo.output()[-400:]})")
    wait_for("its programs end", lambda: not any(map(is_alive, pids)), 5)


def test_end(t):
    for number in (signal.SIGINT, signal.SIGTERM):
        demo = t.demo("--rate", "50")
        wait_for("the demo runs", lambda: "requests/s" in demo.output(), 40)
        pids = descendants(demo.pid)
        check(len(pids) >= 10, f"only {len(pids)} processes")
        demo.process.send_signal(number)
        check_gone(demo, pids, 0)
    for delay in (0.05, 0.2, 0.4, 0.8, 1.2):
        demo = t.demo("--rate", "50")
        time.sleep(delay)
        pids = descendants(demo.pid)
        demo.process.send_signal(signal.SIGINT)
        # Before it has said how signals are taken, one ends it as any program.
        code = demo.wait(15)
        check(code in (0, -signal.SIGINT, 1, 130), f"exit code {code} after {delay} s")
        wait_for("its programs end", lambda: not any(map(is_alive, pids)), 5)
    check_no_folder(t)


def test_killed(t):
    """Even when it cannot clean up, its programs end."""
    demo = t.demo("--rate", "50")
    wait_for("the demo runs", lambda: "requests/s" in demo.output(), 40)
    pids = descendants(demo.pid)
    os.kill(demo.pid, signal.SIGKILL)
    wait_for("its programs end", lambda: not any(map(is_alive, pids)), 10)


def test_port_in_use(t):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for name in ("--shop-port", "--stock-port", "--redis-port", "--prices-port", "--postgres-port"):
            demo = t.demo(name, port)
            equal(demo.wait(30), 1, f"exit code with {name} in use")
            check("demo.py: " in demo.output(), f"it says {demo.output()[-400:]}")
    check_no_folder(t)
