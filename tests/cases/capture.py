"""Every socket call on every kind of socket, on each capture level and on other kernels.

`tests/capture/calls.c` makes the calls and writes down what they moved; the example `capture_matrix` of crates/bpf captures and
compares. It says one line per scenario.
"""

import os
import pathlib
import re
import subprocess

from harness import ROOT, check, equal
import machine

# Scenarios that must have been run, so that none is lost unseen.
LEAST = {"A": 125, "B": 125, "C": 125}
KINDS = ["tcp4", "tcp6", "tcp-mapped", "udp4", "udp4-open", "udp6", "udp6-open", "unix-stream", "unix-pair", "unix-datagram",
         "unix-seqpacket"]


def programs(t):
    """The two programs; the one that makes the calls has no library, so that it runs anywhere."""
    examples = pathlib.Path(os.environ["HADAL_EXAMPLES"])
    matrix = examples / "capture_matrix"
    check(matrix.is_file(), f"there is no {matrix}: run `cargo build -p hadal-bpf --example capture_matrix`")
    # Without symbols the machine's image is a tenth.
    subprocess.run(["strip", "-o", t.work / "matrix", matrix], check=True)
    source = ROOT / "tests/capture/calls.c"
    subprocess.run(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread", "-o", t.work / "calls", source], check=True)
    return {"matrix": t.work / "matrix", "calls": t.work / "calls"}


def judge(level, output):
    bad = [line for line in output.splitlines() if line.startswith("FAILED")]
    check(not bad, "\n".join(bad[:20]))
    counted = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    check(counted, f"it did not come to its end:\n{output[-2000:]}")
    equal(int(counted[2]), 0, "failed scenarios")
    check(int(counted[1]) >= LEAST[level], f"only {counted[1]} scenarios were run")
    for kind in KINDS:
        check(f"ok {kind}/older" in output, f"nothing was compared on {kind}")
    check("without io_uring" not in output, "io_uring was not tried")


def here(t, level):
    found = programs(t)
    done = subprocess.run([found["matrix"], level, found["calls"], t.work], capture_output=True, text=True, timeout=300)
    judge(level, done.stdout + done.stderr)


def elsewhere(t, level, series):
    judge(level, machine.run(t, series, programs(t), f"matrix {level} /bin/calls /tmp"))


def test_level_a(t):
    here(t, "A")


def test_level_c(t):
    here(t, "C")


def test_level_a_on_debian_6_12(t):
    elsewhere(t, "A", "6.12")


def test_level_b_on_debian_6_1(t):
    elsewhere(t, "B", "6.1")


def test_goroutines(t):
    """Also of a program without symbols."""
    source = ROOT / "tests/capture/goroutines"
    matrix = programs(t)["matrix"]
    for name, flags in [("plain", []), ("stripped", ["-ldflags=-s -w"]), ("pie", ["-buildmode=pie"])]:
        program = t.work / f"goroutines-{name}"
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
        subprocess.run(["go", "build", *flags, "-o", program, "."], cwd=source, env=env, check=True)
        for level in ["A", "C"]:
            done = subprocess.run([matrix, level, "goroutines", program], capture_output=True, text=True, timeout=100)
            check("1 passed, 0 failed" in done.stdout, f"{name} at level {level}: {done.stdout[-500:]}{done.stderr[-500:]}")
