"""Names the machine a benchmark ran on and writes its figures: a flat object, figure -> number."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


def machine() -> str:
    """One line a reader can compare machines by: processor, cores, memory, system, Python."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    gib = pages * size / 2**30
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {gib:.0f} GiB, {system}"


def write_figures(name: str, figures: Mapping[str, float], raw: object = None) -> Path:
    """Writes `bench/results/<name>.json` (flat) and, where given, the raw numbers with the machine's name beside it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    rounded = {key: round(value, 3) for key, value in figures.items()}
    path.write_text(json.dumps(rounded, indent=2, sort_keys=True) + "\n")
    if raw is not None:
        beside = {"machine": machine(), "raw": raw}
        (RESULTS / f"{name}.raw.json").write_text(json.dumps(beside, indent=1) + "\n")
    return path
