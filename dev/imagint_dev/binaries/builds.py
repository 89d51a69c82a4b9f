"""Runs `go build`, one program after the other, under a lock, and moves what comes out into place in one step."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console

from imagint_dev import files, launch
from imagint_dev.binaries import toolchain
from imagint_dev.binaries.catalog import Binary, architecture, cache_root, go_version, missing, path_of
from imagint_dev.binaries.progress import Progress, progress_on
from imagint_dev.errors import BuildFailedError

_LIMIT = 3600.0
_LAST_LINES = 25


def ensure(console: Console) -> None:
    """Builds what is missing; returns at once when nothing is.

    Raises:
        BuildFailedError: the toolchain or a build failed.
    """
    if missing():
        build(console)


def build(console: Console) -> bool:
    """Builds what is missing and says whether anything was; waits for another builder.

    Raises:
        BuildFailedError: the toolchain or a build failed.
    """
    lock = cache_root() / "build.lock"
    if (descriptor := files.try_lock(lock)) is None:
        console.print("another process is building; waiting for it")
    else:
        os.close(descriptor)
    with files.locked(lock):
        wanted = missing()
        if not wanted:
            return False
        console.print(
            f"building {', '.join(b.name for b in wanted)} from source, once (minutes when nothing is cached)"
        )
        go = toolchain.find(max(go_version(b.module) for b in wanted), console.print)
        with progress_on(console) as progress:
            for binary in wanted:
                progress.add(binary.name)
            for binary in wanted:
                _build(go, binary, progress)
    return True


def environment(go: Path) -> dict[str, str]:
    """What `go` sees: the caller's proxies and caches, none of its flags."""
    kept = {
        key: value for key, value in os.environ.items() if key not in {"GOFLAGS", "GOROOT", "GOWORK", "GOEXPERIMENT"}
    }
    fixed = {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": architecture(), "GOFLAGS": "-buildvcs=false"}
    return kept | fixed | {"GOWORK": "off", "GOTOOLCHAIN": "local", "PATH": f"{go.parent}:{os.environ.get('PATH', '')}"}


def _build(go: Path, binary: Binary, progress: Progress) -> None:
    target = path_of(binary.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{binary.name}.{os.getpid()}.part")
    started = time.monotonic()
    try:
        listing = ["list", "-deps", "-e", "-f", "{{.ImportPath}}", binary.package]
        packages = set(_output(go, listing, binary, progress))
        progress.start(binary.name, len(packages))
        said: list[str] = []
        command = [str(go), "build", "-v", *binary.flags(), "-o", str(part), binary.package]
        with _running(command, binary, go) as process:
            for line in _lines(process):
                said = [*said[-_LAST_LINES:], line]
                progress.line(binary.name, line, line in packages)
            _check(process, binary, said)
        part.replace(target)
        progress.done(binary.name, time.monotonic() - started)
    finally:
        part.unlink(missing_ok=True)


def _output(go: Path, arguments: list[str], binary: Binary, progress: Progress) -> list[str]:
    """What a `go` command prints; its messages about downloads move the display."""
    lines = []
    with _running([str(go), *arguments], binary, go) as process:
        for line in _lines(process):
            if line.startswith("go: "):
                progress.line(binary.name, line, False)
            else:
                lines.append(line)
        _check(process, binary, lines)
    return lines


def _check(process: subprocess.Popen[bytes], binary: Binary, said: list[str]) -> None:
    if code := process.wait(timeout=60):
        what = "\n".join(line for line in said if not line.startswith("go: downloading"))
        raise BuildFailedError(f"building {binary.name} failed with status {code}:\n{what}")


@contextmanager
def _running(command: list[str], binary: Binary, go: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, of which nothing is left at the end, whatever ends it."""
    wrapper = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid())]
    process = subprocess.Popen(
        [*wrapper, *command],
        cwd=binary.module,
        env=environment(go),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines that a process prints, within the limit.

    Raises:
        BuildFailedError: it takes too long.
    """
    if process.stdout is None:
        return
    deadline, pending = time.monotonic() + _LIMIT, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(timeout=1.0):
                if time.monotonic() > deadline:
                    raise BuildFailedError(f"the build took longer than {_LIMIT:g} s")
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            *whole, pending = (pending + chunk).split(b"\n")
            yield from (line.decode(errors="replace").strip() for line in whole)
            if not chunk:
                return
