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
    """An environment with the packages of services/python."""
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
