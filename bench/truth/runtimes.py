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
    environment: dict = dataclasses.field(default_factory=dict)


def python(script, *arguments):
    return Runtime(builds.python, [CACHE / "venv/bin/python", SERVICES / "python" / script, *arguments])


def go(name):
    return Runtime(builds.go, [CACHE / "bin" / name])


RUNTIMES = {
    "python-threads": python("threads.py"),
    "python-executor": python("threads.py", "parallel"),
}
