"""What a process used, from /proc: processor seconds and resident memory."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system time of a process so far; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mib(pid: int) -> tuple[float, float]:
    """Resident now, and the most it ever was."""
    found = {"VmRSS": 0.0, "VmHWM": 0.0}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name = line.partition(":")[0]
        if name in found:
            found[name] = int(line.split()[1]) / 1024
    return found["VmRSS"], found["VmHWM"]


def load() -> float:
    """The load of the last minute: says whether the machine had other work."""
    return os.getloadavg()[0]
