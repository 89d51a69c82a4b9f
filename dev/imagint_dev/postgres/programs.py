"""Finds PostgreSQL's server programs; installs Debian's package where they are missing and we are root.

The package would start a cluster of its own: it is told not to. It must not change a machine that has the programs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imagint_dev import files
from imagint_dev.binaries.catalog import cache_root
from imagint_dev.errors import BuildFailedError

OLDEST: Final = 13
_DEBIAN: Final = Path("/usr/lib/postgresql")
_CLUSTER_RULES: Final = Path("/etc/postgresql-common/createcluster.d")
_UPDATE_LIMIT, _INSTALL_LIMIT, _LOCK_LIMIT = 180, 480, 120
_LAST_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class Programs:
    """Where `initdb` and `postgres` of one version are."""

    initdb: Path
    postgres: Path
    version: int


def find() -> Programs | None:
    """The newest server among PATH and Debian's folders, if it is new enough."""
    folders = {Path(found).resolve().parent for name in ("postgres",) if (found := shutil.which(name))}
    folders |= set(_DEBIAN.glob("*/bin"))
    known = [programs for folder in folders if (programs := _in(folder)) and programs.version >= OLDEST]
    return max(known, key=lambda programs: programs.version, default=None)


def ensure(say: Callable[[str], None]) -> Programs:
    """The programs, installed if they are missing; minutes at most.

    Raises:
        BuildFailedError: they are missing and cannot be installed.
    """
    if (found := find()) is not None:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BuildFailedError(
            f"no PostgreSQL {OLDEST} or newer on PATH or below {_DEBIAN}: "
            "install the postgresql package (root on Debian gets it by itself)"
        )
    with files.locked(cache_root() / "postgres.lock"):
        if find() is None:
            say("installing PostgreSQL's server with apt-get (once; nothing is started)")
            _install()
    if (found := find()) is None:
        raise BuildFailedError("the postgresql package is installed, but holds no server that is new enough")
    return found


def _in(folder: Path) -> Programs | None:
    """The programs in a folder; None where one is missing or does not run."""
    initdb, postgres = folder / "initdb", folder / "postgres"
    if not (os.access(initdb, os.X_OK) and os.access(postgres, os.X_OK)):
        return None
    try:
        shown = subprocess.run([postgres, "--version"], capture_output=True, text=True, timeout=30, check=True, cwd="/")
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", shown.stdout)
    return Programs(initdb, postgres, int(version.group(1))) if version else None


def _install() -> None:
    with _no_cluster():
        # Lists that cannot be refreshed may still do; the installation tells.
        _apt(_UPDATE_LIMIT, "update", must=False)
        _apt(_INSTALL_LIMIT, "install", "-y", "--no-install-recommends", "postgresql")


@contextmanager
def _no_cluster() -> Iterator[None]:
    """Tell Debian's package to make and start no cluster while it is installed."""
    rule = _CLUSTER_RULES / "imagint.conf"
    rule.parent.mkdir(parents=True, exist_ok=True)
    rule.write_text("create_main_cluster = false\n")
    try:
        yield
    finally:
        rule.unlink(missing_ok=True)


def _apt(limit: int, *arguments: str, must: bool = True) -> None:
    """Run apt-get, quietly.

    Raises:
        BuildFailedError: it failed or took too long.
    """
    command = ["apt-get", "-q", "-o", f"DPkg::Lock::Timeout={_LOCK_LIMIT}", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        if must:
            raise BuildFailedError(f"apt-get {arguments[0]} took longer than {limit} s") from None
        return
    if done.returncode and must:
        said = (done.stderr or done.stdout).strip().splitlines()[-_LAST_LINES:]
        raise BuildFailedError("\n".join([f"apt-get {arguments[0]} failed", *said]))
