"""Samples the memory of a process and everything below it: proportional set size, so shared pages count once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil


def _pss_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def marked_processes(marker: str) -> list[int]:
    """Every process whose environment holds `marker`: descendants keep it even when they leave the process tree."""
    wanted = marker.encode()
    found = []
    for process in psutil.process_iter():
        try:
            if wanted in Path(f"/proc/{process.pid}/environ").read_bytes():
                found.append(process.pid)
        except OSError:
            continue
    return found


class PeakMemory(threading.Thread):
    """Context manager: the largest sum of proportional set sizes of all processes that carry `marker`."""

    def __init__(self, marker: str, *, every_s: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.marker, self.every_s, self.peak_mib = marker, every_s, 0.0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(self.every_s):
            total = sum(_pss_bytes(pid) for pid in marked_processes(self.marker) if pid != os.getpid())
            self.peak_mib = max(self.peak_mib, total / 2**20)

    def __enter__(self) -> PeakMemory:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self.join()
