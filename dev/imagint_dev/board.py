"""What is known about every part and duty of a running stack; kept in memory, written to stack.json for everybody else.

Written by the supervisor's event loop only.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from imagint_dev import files
from imagint_dev.folder import StateFolder

WAITING, STARTING, READY, UNREADY, DELAYED, FAILED, STOPPED = (
    "Waiting",
    "Starting",
    "Ready",
    "NotReady",
    "Restarting",
    "Failed",
    "Stopped",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One part (a process) or duty (work of the supervisor itself)."""

    name: str
    kind: str
    state: str = WAITING
    pid: int | None = None
    port: int | None = None
    restarts: int = 0
    detail: str = ""
    since: float = 0.0


class Board:
    """The entries, and a way to wait for changes."""

    def __init__(self, folder: StateFolder, header: dict[str, Any]) -> None:
        self._folder, self._header = folder, header
        self._entries: dict[str, Entry] = {}
        self._changed = asyncio.Event()
        self._dirty = asyncio.Event()

    def add(self, name: str, kind: str, port: int | None = None) -> None:
        """A new entry, waiting."""
        self._entries[name] = Entry(name, kind, port=port, since=time.time())
        self._dirty.set()

    def set(self, name: str, state: str, **changes: Any) -> None:
        """Changes an entry; nothing happens when it is so already."""
        old = self._entries[name]
        new = replace(old, state=state, **changes)
        if new == old:
            return
        self._entries[name] = replace(new, since=time.time()) if new.state != old.state else new
        self._dirty.set()
        self._changed.set()
        self._changed = asyncio.Event()

    def get(self, name: str) -> Entry:
        """One entry."""
        return self._entries[name]

    def are_ready(self, names: tuple[str, ...]) -> bool:
        """Whether all of these are ready; a name that this stack does not have needs no waiting for."""
        return all(self._entries[name].state == READY for name in names if name in self._entries)

    async def until_ready(self, names: tuple[str, ...]) -> None:
        """Waits until all are ready at once."""
        while not self.are_ready(names):
            await self._changed.wait()

    async def until_unready(self, names: tuple[str, ...], seconds: float) -> None:
        """Waits until one is not ready any more, at most for so long."""
        try:
            async with asyncio.timeout(seconds):
                while self.are_ready(names):
                    await self._changed.wait()
        except TimeoutError:
            return

    def write(self) -> None:
        """Writes stack.json."""
        ready = bool(self._entries) and all(entry.state == READY for entry in self._entries.values())
        parts = {name: asdict(entry) for name, entry in self._entries.items()}
        files.write_json(self._folder.record, {**self._header, "ready": ready, "parts": parts})

    async def keep_written(self) -> None:
        """Writes after every change, a burst of them once."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self.write()
            await asyncio.sleep(0.05)
