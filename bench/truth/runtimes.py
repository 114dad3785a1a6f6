"""The services, by the name of their runtime."""

import dataclasses
import typing

import builds
from builds import CACHE, SERVICES


@dataclasses.dataclass(frozen=True)
class Runtime:
    """How a service is built and started. A new one is its program and a line below."""

    build: typing.Callable
    command: list
    # Its program, where nginx talks FastCGI to it.
    fastcgi_script: str | None = None


PYTHON = CACHE / "venv/bin/python"


def python(script, *arguments):
    return Runtime(builds.python, [PYTHON, SERVICES / "python" / script, *arguments])


def go(name, *arguments):
    return Runtime(builds.go, [CACHE / "bin" / name, *arguments])


def node(*arguments):
    return Runtime(builds.node, ["node", CACHE / "node/service.js", *arguments])


def java(main, *arguments, program="java"):
    jars = f"{CACHE}/java/classes:{CACHE}/java/jars/*"
    return Runtime(builds.java, [program, "-Xmx512m", "-XX:+UseSerialGC", "-cp", jars, main, *arguments])


def php():
    script = SERVICES / "php/service.php"
    return Runtime(builds.nothing, ["php-fpm8.2", "-R", "-F", "-y", SERVICES / "php/fpm.conf"], str(script))


RUNTIMES = {
    "python-threads": python("threads.py"),
    "python-executor": python("threads.py", "parallel"),
    "python-gevent": python("greenlets.py", "parallel"),
    "python-aiohttp": python("aio.py"),
    "python-asgi": python("asgi.py"),
    "go-sequential": go("handlers"),
    "go-parallel": go("handlers", "parallel"),
    "go-workers": go("workers"),
    "rust-tokio": Runtime(builds.rust, [CACHE / "target/release/truth-tokio"]),
    "node-agent": node(),
    "node-fetch": node("fetch"),
    "java-pools": java("Blocking"),
    "java-async": java("Asynchronous"),
    "java-virtual": java("Blocking", "virtual", program=builds.VIRTUAL_JAVA),
    "cpp-epoll": Runtime(builds.cpp, [CACHE / "bin/epoll"]),
    "php-fpm": php(),
}
