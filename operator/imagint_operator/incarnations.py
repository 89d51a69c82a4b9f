"""The name under which a process holds the Lease: it says which process that is, so that one is known to be gone.

Whoever starts again after kill -9 on the same machine need not wait for its predecessor's Lease to run out, provided
that it can look: the same boot of the same kernel, the same PID namespace, and a /proc that hides nobody's processes
(`hidepid`). In all other cases nothing is concluded.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

PROC = Path("/proc")
_STATE, _START = 0, 19  # after the name in /proc/<pid>/stat: state, and start in ticks since boot
_GONE = frozenset("ZXx")


def own_name(proc: Path = PROC) -> str:
    """This process: host, boot, PID namespace, process, and when that process began."""
    pid = os.getpid()
    began = _began(proc, pid)
    return f"{socket.gethostname()}_{_surroundings(proc)}_{pid}_{began}"


def certainly_gone(name: str, proc: Path = PROC) -> bool:
    """Whether the process of this name ran where we can look, and does not run any more."""
    parts = name.rsplit("_", 4)
    if len(parts) != 5 or not (parts[3].isdigit() and parts[4].isdigit()):
        return False
    surroundings, pid, began = f"{parts[1]}_{parts[2]}", int(parts[3]), int(parts[4])
    if surroundings != _surroundings(proc) or not began or _hides(proc):
        return False
    return _began(proc, pid) != began


def _surroundings(proc: Path) -> str:
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().replace("-", "").strip()[:12]
        space = (proc / "self/ns/pid").stat().st_ino
        return f"{boot}_{space}"
    except OSError:
        return f"unknown_{os.urandom(6).hex()}"


def _hides(proc: Path) -> bool:
    """Whether the kernel may leave out the processes of other users (proc(5), `hidepid`)."""
    try:
        mounts = [line.split() for line in (proc / "self/mounts").read_text().splitlines()]
    except OSError:
        return True
    options = [option for mount in mounts if mount[1] == str(PROC) for option in mount[3].split(",")]
    return any(option.startswith("hidepid=") and option not in {"hidepid=0", "hidepid=off"} for option in options)


def _began(proc: Path, pid: int) -> int:
    """When a process began, in ticks; 0 when there is none, or only what the kernel keeps for its parent."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[_STATE] in _GONE else int(fields[_START])
