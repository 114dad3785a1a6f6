"""What goes wrong for real: the message says what to do, the exit code says that trying again is no use."""

import contextlib
import ctypes
import json
import os
import pathlib
import socket
import time

from harness import Failed, check, equal, free_port, settle, wait_for

EXIT_SETUP = 78
MIB = 1 << 20


def check_refused(program, *parts, seconds=20):
    """It ends by itself as something that cannot run, and says these parts on one line."""
    code = program.wait(seconds)
    lines = program.output().splitlines()
    equal(code, EXIT_SETUP, f"exit code ({program.output()[-600:]!r})")
    told = [line for line in lines if line.startswith("hadal: ") and all(part in line for part in parts)]
    check(told, f"no line says {parts}: {lines[-6:]}")
    check("panicked" not in program.output(), f"it panicked: {lines[-6:]}")


def test_locked_data(t):
    first = t.hadal().ready()
    for command in ("server", "up"):
        second = t.hadal(command, data=first.data)
        check_refused(second.program, "in use by process", str(first.child("server")), "--data")
    check(first.running_agents(), "the first one did not go on")


def test_ports_in_use(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for command in ("server", "up"):
            for kind, flag in (("http", "--http"), ("agents", "--agents")):
                check_refused(t.hadal(command, **{kind: port}).program, f"127.0.0.1:{port}", "another program uses", flag)


def test_address_of_another_host(t):
    command = [t.binary, "server", "--data", t.folder("data"), "--http", "192.0.2.1:8080", "--agents", f"127.0.0.1:{free_port()}"]
    check_refused(t.spawn("hadal", command), "192.0.2.1:8080", "--http")


def test_library(t):
    """libchdb is missing, is no library, is another library, or was cut off while it was downloaded."""
    text = t.work / "text.so"
    text.write_text("this is not a library\n" * 100_000)
    real = find_libchdb()
    cut = t.work / "cut.so"
    with open(real, "rb") as source, open(cut, "wb") as target:
        target.write(source.read(40 * MIB))
    other = next(pathlib.Path("/usr/lib").rglob("libcrypto.so.3"))
    for path, part in ((pathlib.Path("/nonexistent"), "/nonexistent"), (text, "text.so"), (cut, "cut.so"), (other, "libcrypto")):
        for command in ("server", "up"):
            refused = t.hadal(command, env={"HADAL_LIBCHDB": str(path)})
            check_refused(refused.program, part, "make setup", "HADAL_LIBCHDB")


def find_libchdb():
    found = sorted(pathlib.Path("~/.cache/hadal").expanduser().glob("libchdb-*/libchdb.so"))
    return pathlib.Path(os.environ["HADAL_LIBCHDB"]) if "HADAL_LIBCHDB" in os.environ else found[-1]


def test_no_rights_for_ebpf(t):
    prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    agent = t.hadal("agent", prefix=prefix)
    check_refused(agent.program, "eBPF", "run as root", "CAP_BPF")


def test_configuration(t):
    for text, parts in (
        ("[agent]\nring_byte = 1\n", ["ring_byte", "hadal-"]),
        ("[sever]\n", ["sever"]),
        ('[server]\nhttp = "nowhere"\n', ["nowhere"]),
        ('[agent]\nring_bytes = "many"\n', ["ring_bytes"]),
    ):
        for command in ("up", "server", "agent"):
            program = t.hadal(command, config=text).program
            equal(program.wait(20), EXIT_SETUP, f"exit code of {command} with {text!r}")
            for part in parts:
                check(part in program.output(), f"{command} with {text!r} does not say {part}: {program.output()[-400:]}")
    missing = t.spawn("hadal", [t.binary, "agent", "--config", t.work / "there-is-none.toml"])
    check_refused(missing, "there-is-none.toml", "cannot read")


def test_data_cannot_be_used(t):
    file = t.work / "file"
    file.write_text("")
    check_refused(t.hadal("server", data=file / "data").program, str(file), "data directory")
    check_refused(t.hadal("server", data=file).program, str(file), "data directory")


def test_query_without_server(t):
    query = t.spawn("hadal-query", [t.binary, "query", "--url", f"http://127.0.0.1:{free_port()}", "SELECT 1"])
    check(query.wait(20) != 0, "it says all is well")
    check("hadal up" in query.output() and "--url" in query.output(), f"it says {query.output()}")


@contextlib.contextmanager
def small_disk(path, mebibytes):
    libc = ctypes.CDLL(None, use_errno=True)
    check(
        libc.mount(b"none", bytes(path), b"tmpfs", 0, b"size=%dm" % mebibytes) == 0,
        f"cannot mount a tmpfs: {os.strerror(ctypes.get_errno())}",
    )
    try:
        yield
    finally:
        libc.umount2(bytes(path), 2)


def test_full_disk(t):
    """While the disk is full reads go on; then writing goes on by itself, and each row is there once."""
    disk = t.folder("disk")
    with small_disk(disk, 400):
        hadal = t.hadal(data=disk / "data").ready()
        demo = t.demo("--requests", "5000", "--rate", "200", "--connections", "6")
        count = lambda: hadal.value("SELECT count() FROM l7_flow_log")
        wait_for("rows", lambda: count() > 500, 20)
        server = hadal.child("server")
        filler = disk / "filler"
        fill(filler)
        wait_for("hadal says that the disk is full", lambda: "disk is full" in hadal.log or "No space left" in hadal.log, 30)
        before = count()
        for _ in range(20):
            check(count() >= before, "rows are gone")
            hadal.get("/v1/map", **{"from": int(time.time()) - 60, "to": int(time.time())})
            fill(filler)
            time.sleep(0.25)
        equal(hadal.child("server"), server, "pid of the server on a full disk")
        wait_for("the demo ends", lambda: demo.process.poll() is not None, 60)
        filler.unlink()
        equal(demo.process.returncode, 0, "exit code of the demo")
        ledger = json.loads(demo.output().splitlines()[-1])
        ports = ledger["ports"]
        wanted = {name: 2 * counts["requests"] for name, counts in ledger["edges"].items()}
        rows = lambda: {name: of_edge(hadal, name, ports) for name in wanted}
        with contextlib.suppress(Failed):
            wait_for("all rows", lambda: rows() == wanted, 40)
        equal(settle("rows", rows, 30), wanted, "rows of each edge at both ends, after there was room again")
        metrics = hadal.value(
            f"SELECT sum(request) FROM `application_map.1m` WHERE server_port IN ({', '.join(map(str, ports.values()))})",
            "flow_metrics",
        )
        equal(metrics, sum(wanted.values()), "requests in the roll-up")
        equal(hadal.child("server"), server, "pid of the server")
        hadal.program.stop()


def of_edge(hadal, edge, ports):
    client, server = edge.split(" → ")
    return hadal.value(f"SELECT count() FROM l7_flow_log WHERE server_port = {ports[server]} AND process_name_0 = '{client}'")


def fill(path):
    """Leaves no room at all."""
    with open(path, "ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(b"\0" * MIB) == MIB:
                pass
        with contextlib.suppress(OSError):
            while file.write(b"\0" * 4096):
                pass


def test_doctor(t):
    doctor = t.spawn("hadal-doctor", [t.binary, "doctor", "--json"], env={"HADAL_LIBCHDB": "/nonexistent"})
    equal(doctor.wait(30), 2, f"exit code of doctor with a missing library ({doctor.output()[-300:]})")
    checks = [json.loads(line) for line in doctor.output().splitlines() if line.startswith("{")]
    missing = [found for found in checks if found["state"] == "missing"]
    check(missing and all(found["why"] and found["what_to_do"] for found in missing), f"doctor says {checks}")
