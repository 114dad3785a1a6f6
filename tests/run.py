#!/usr/bin/python3
"""Runs the tests that need a whole Hadal: `tests/run.py [name…]`; a name is a test or the start of one. `-l` lists them.

HADAL_BIN names the binary. Needs root (the agent loads kernel programs) and what scripts/setup.sh test installs.
"""

import importlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import harness

CASES = ["capture", "demo", "counts", "latency", "older", "protocols", "sockets", "dns", "postgresql", "traces", "entries", "supervision", "errors", "hostile",
         "churn", "load", "browser"]


def find_binary():
    names = [
        os.environ.get("HADAL_BIN"),
        "~/.cache/hadal/target/release/hadal",
        "~/.cache/hadal/target/debug/hadal",
        harness.ROOT / "target/release/hadal",
        harness.ROOT / "target/debug/hadal",
    ]
    paths = [pathlib.Path(name).expanduser() for name in names if name]
    if os.environ.get("HADAL_BIN"):
        paths = paths[:1]
    found = [path for path in paths if path.is_file()]
    if not found:
        sys.exit(f"there is no hadal binary at {', '.join(map(str, paths))}: build one, or set HADAL_BIN")
    return found[0]


def tests():
    """Name and function of each test, in order."""
    for case in CASES:
        module = importlib.import_module(f"cases.{case}")
        for name, function in vars(module).items():
            if name.startswith("test_") and function.__module__ == module.__name__:
                yield f"{case}.{name.removeprefix('test_')}", function


def main():
    wanted = sys.argv[1:]
    chosen = [(name, body) for name, body in tests() if not wanted or any(name.startswith(start) for start in wanted)]
    if wanted == ["-l"]:
        print(*(name for name, _ in tests()), sep="\n")
        return 0
    if not chosen:
        sys.exit(f"no test is called {' or '.join(wanted)}; -l lists them")
    # A copy: the build may replace the binary while tests run.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hadal-bin-"))
    try:
        folder.chmod(0o755)
        found = find_binary()
        binary = shutil.copy(found, folder / "hadal")
        os.environ.setdefault("HADAL_EXAMPLES", str(found.parent / "examples"))
        # A signal ends the running test as a failure would: programs are stopped.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        outcomes = [harness.run(name, body, binary) for name, body in chosen]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    passed = sum(outcomes)
    print(f"{passed} passed, {len(outcomes) - passed} failed")
    return 0 if passed == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
