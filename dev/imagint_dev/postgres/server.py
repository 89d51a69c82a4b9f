"""One PostgreSQL server in a folder of its own, on a socket that only its owner and root can reach.

Durability is as PostgreSQL ships it: what commits is on disk. The server cannot outlive this process. PostgreSQL
refuses to run as root, so root starts it as `postgres` or `nobody`. It must not listen on a network.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psycopg

from imagint_dev import launch
from imagint_dev.errors import StartFailedError
from imagint_dev.postgres.programs import Programs, find

OWNER: Final = "imagint"
_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # What the server logs of an error must not repeat a row or a statement.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
_INITDB_LIMIT, _START_LIMIT, _STOP_LIMIT, _KILL_LIMIT = 120.0, 60.0, 60.0, 20.0
_READY_LINE: Final = 7
_PAUSE: Final = 0.02
_LAST_LINES: Final = 5


class PostgresServer:
    """A server with its data, below a new folder; `with` starts it and removes everything at the end."""

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        parent: Path | None = None,
        programs: Programs | None = None,
    ) -> None:
        """Choose a new folder below `parent`, which every user must be able to enter; nothing is started yet.

        Raises:
            StartFailedError: PostgreSQL's programs are missing, or there is no user to run them.
        """
        found = programs or find()
        if found is None:
            raise StartFailedError("PostgreSQL's programs are missing: python -m imagint_dev.postgres")
        self.programs = found
        self._uid, self._gid = _runner()
        self.folder = Path(tempfile.mkdtemp(prefix="imagint-pg-", dir=parent))
        self._own(self.folder)
        self._settings = {**_SETTINGS, "unix_socket_directories": str(self.folder), **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where the server keeps its data."""
        return self.folder / "data"

    @property
    def pid(self) -> int | None:
        """The number of the server's first process; None when it does not run."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def __enter__(self) -> PostgresServer:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self) -> None:
        """Start, after a crash too, and return when it takes connections.

        Raises:
            StartFailedError: it does not start.
        """
        if self.pid is not None:
            return
        if not self.data.exists():
            self._initialise()
        given = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._spawn([str(self.programs.postgres), "-D", str(self.data), *given])
        deadline = time.monotonic() + _START_LIMIT
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise StartFailedError("\n".join(["PostgreSQL does not start", *self.log_lines(_LAST_LINES)]))
            time.sleep(_PAUSE)

    def stop(self) -> None:
        """Stop cleanly: sessions are ended, everything is on disk; does nothing when it does not run."""
        if self._process is not None and self.pid is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a power cut does, with every session: SIGKILL to all of its processes at once."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGSTOP)  # so that it neither starts others nor says goodbye to them
        children = _children(self._process.pid)
        for pid in (*children, self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        deadline = time.monotonic() + _KILL_LIMIT
        # The next start needs their shared memory gone.
        while any(_lives(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        self._process = None

    def remove(self) -> None:
        """Stop, and remove the folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The address of a database, as the records' settings take it."""
        return f"postgresql://{OWNER}@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the server's owner, each statement its own transaction."""
        return psycopg.connect(host=str(self.folder), user=OWNER, dbname=database, autocommit=True, connect_timeout=10)

    def create(self, database: str, *, template: str = "template1", tablespace: str = "pg_default") -> str:
        """Make a database, as a copy of another that nobody is connected to; give its address."""
        names = [psycopg.sql.Identifier(name) for name in (database, template, tablespace)]
        text = psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {} TABLESPACE {}").format(*names)
        with self.connect() as connection:
            connection.execute(text)
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, ending its sessions."""
        text = psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(psycopg.sql.Identifier(database))
        with self.connect() as connection:
            connection.execute(text)

    def lend(self, folder: Path) -> None:
        """Let the server's user own a folder, for instance one for a tablespace."""
        self._own(folder)

    def log_lines(self, last: int) -> list[str]:
        """The last lines that the server logged."""
        log = self.folder / "server.log"
        return log.read_text(errors="replace").splitlines()[-last:] if log.exists() else []

    def _initialise(self) -> None:
        command = [str(self.programs.initdb), "-D", str(self.data), "-U", OWNER, "-A", "trust", "-E", "UTF8"]
        process = self._spawn([*command, "--locale=C", "--no-sync"])
        try:
            code = process.wait(_INITDB_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = -1
        if code:
            raise StartFailedError("\n".join(["initdb failed", *self.log_lines(_LAST_LINES)]))

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """A process that runs as the server's user and ends with this one."""
        as_whom = f"{os.getpid()}:{self._uid}:{self._gid}"
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        with (self.folder / "server.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, as_whom, *command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _ready(self) -> bool:
        """Whether this very server says that it takes connections."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        mine = self._process is not None and lines[:1] == [str(self._process.pid)]
        return mine and len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"

    def _own(self, folder: Path) -> None:
        if os.geteuid() == 0:
            os.chown(folder, self._uid, self._gid)


def _runner() -> tuple[int, int]:
    """The user and group that run the server: ourselves, or somebody harmless when we are root.

    Raises:
        StartFailedError: there is nobody harmless.
    """
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise StartFailedError("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def _children(parent: int) -> list[int]:
    """The living processes right below one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] not in "ZX" and int(fields[1]) == parent:
                    found.append(int(entry.name))
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
