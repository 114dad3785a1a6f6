"""PostgreSQL for the demo: where its programs are, who may run them, and the prices that are in it."""

import functools
import os
import pathlib
import pwd
import signal

import service

# Debian keeps the server of each version in a folder of its own.
FOLDERS = "/usr/lib/postgresql"
READY = "ready to accept connections"
# Each line is a statement. Items that end in 77 have no price; one piece of those that end in 44 costs a division by zero.
PRICES = """\
CREATE TABLE price (item int PRIMARY KEY, cents int NOT NULL, pieces int NOT NULL);
INSERT INTO price SELECT item, 100 + item * 7 % 900, 1 + item % 3 FROM generate_series(0, 8999) AS item WHERE item % 100 != 77;
UPDATE price SET pieces = 0 WHERE item % 100 = 44;
"""


def program(name):
    """The path of one of its programs, of the newest version; elsewhere it may be found by its name alone."""
    versions = sorted(pathlib.Path(FOLDERS).glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return str(versions[-1]) if versions else name


class PostgreSQL:
    """Commands that make a server in a folder, fill it and run it, and what their processes need."""

    def __init__(self, work):
        self.folder = f"{work}/postgresql"
        self.data = f"{self.folder}/data"
        self.log = f"{work}/postgres.log"
        os.mkdir(self.folder, 0o700)
        # SIGTERM would wait for its clients.
        self.process = {"cwd": self.folder, "preexec_fn": functools.partial(service.end_with_parent, signal.SIGINT)}
        if os.geteuid() == 0:
            self.leave_root(work)

    def leave_root(self, work):
        """It does not run as root: its folder is its user's, and can be reached."""
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            raise RuntimeError("there is no user postgres: install postgresql") from None
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        os.chmod(work, 0o711)
        self.process |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def create(self):
        return f"{program('initdb')} -D {self.data} -A trust -U postgres --no-sync --no-locale -E UTF8".split()

    def fill(self):
        """Runs statements of its standard input, without any connection."""
        return f"{program('postgres')} --single -D {self.data} -c exit_on_error=on -c fsync=off -c log_min_messages=fatal postgres".split()

    def serve(self, port):
        options = "-c fsync=off -c ssl=off -c autovacuum=off -c log_min_messages=log -c unix_socket_directories="
        return f"{program('postgres')} -D {self.data} -h 127.0.0.1 -p {port} {options}".split()

    def is_ready(self):
        """It listens some time before it lets anybody in."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return READY in log.read()
