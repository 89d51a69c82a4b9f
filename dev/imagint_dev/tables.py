"""What `imagint status` and a waiting `imagint up` show. It reads the record and /proc; it asks no server anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from imagint_dev import processes
from imagint_dev.board import FAILED, READY, STOPPED

_COLOURS = {READY: "green", FAILED: "red", STOPPED: "dim"}


def overview(record: Mapping[str, Any], *, memory: Mapping[str, int], now: float) -> Table:
    """A row for each part, one for the supervisor's own work, and a sum."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("PART", "STATE"):
        table.add_column(heading, no_wrap=True)
    for heading in ("PID", "PORT", "RESTARTS", "MEMORY", "FOR"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", style="dim", max_width=60)
    for name, entry in sorted(record.get("parts", {}).items(), key=_order):
        table.add_row(
            name,
            Text(entry["state"], style=_COLOURS.get(entry["state"], "yellow")),
            str(entry["pid"] or ""),
            str(entry["port"] or ""),
            str(entry["restarts"]) if entry["kind"] == "part" else "",
            mebibytes(memory[name]) if name in memory else "",
            age(now - entry["since"]),
            (entry["detail"] or "").splitlines()[0] if entry["detail"] else "",
        )
    table.add_row("", "", "", "", "", f"[bold]{mebibytes(sum(memory.values()))}")
    return table


def memory_by_part(record: Mapping[str, Any]) -> dict[str, int]:
    """The bytes that each running part really takes, children included."""
    identity = str(record.get("id", ""))
    running = (name for name, entry in record.get("parts", {}).items() if entry["pid"])
    return {name: processes.memory_of(processes.marked(identity, name)) for name in running}


def progress(record: Mapping[str, Any]) -> str:
    """One line while starting: what is ready, what is waited for."""
    entries = record.get("parts", {})
    if not entries:
        return "starting"
    waiting = [name for name, entry in sorted(entries.items(), key=_order) if entry["state"] != READY]
    done = f"{len(entries) - len(waiting)} of {len(entries)} ready"
    return f"{done}, waiting for {', '.join(waiting)}" if waiting else done


def mebibytes(count: int) -> str:
    """Bytes for people."""
    return f"{count / 2**20:.0f} MiB"


def age(seconds: float) -> str:
    """A duration for people."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    return f"{whole // 60}m" if whole < 7200 else f"{whole // 3600}h"


def _order(item: tuple[str, Mapping[str, Any]]) -> tuple[bool, str]:
    return item[1]["kind"] != "part", item[0]
