"""Finding and ending processes of one stack, by /proc alone.

Every process of a stack carries IMAGINT_STACK=<id> in its environment, and the parts IMAGINT_PART=<name> too; children
keep both even when they leave the process tree. Nothing without the marker is ever touched.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STACK_MARK = "IMAGINT_STACK"
PART_MARK = "IMAGINT_PART"


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Enough to know a process again after its number was used anew."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of a living process."""
        started = start_time(pid)
        return cls(pid, started) if started else None

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None when it is gone or only waits to be reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def marked(stack: str, part: str | None = None) -> list[int]:
    """The living processes that carry the marker of a stack, or of one part of it; never the caller."""
    wanted = {f"{STACK_MARK}={stack}".encode()}
    if part is not None:
        wanted.add(f"{PART_MARK}={part}".encode())
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = set((entry / "environ").read_bytes().split(b"\0"))
        except OSError:
            continue
        if wanted <= variables and start_time(int(entry.name)):
            found.append(int(entry.name))
    return found


def memory_of(pids: Iterable[int]) -> int:
    """The bytes these processes really take: shared pages count once over all processes."""
    total = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
    return total


def end_marked(stack: str, part: str | None = None, *, within: float = 10.0) -> list[int]:
    """Kills every process with the marker until none is left; gives back the ones that resist."""
    deadline = time.monotonic() + within
    while left := marked(stack, part):
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return left
        time.sleep(0.02)
    return []


def scrubbed(environment: dict[str, str]) -> dict[str, str]:
    """An environment without anything that could point a part at somebody else's cluster, Vault or Ray."""
    kept = {key: value for key, value in environment.items() if not key.upper().startswith(_AMBIENT)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # a dozen Python processes start faster from bytecode
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, (kept.get(name), "127.0.0.1,localhost")))
    return kept


_AMBIENT = ("KUBE", "VAULT_", "BAO_", "RAY_", "ETCD", "IMAGINT_")
