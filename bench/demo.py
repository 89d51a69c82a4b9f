"""`make bench NAME=demo`: clones this tree, runs `make demo` with every cache empty, then once more.

Figures: `demo_first_s`, `demo_again_s` (wall time of the command), `tenant_ready_s`, `erase_complete_s` (as the second
demo measured them from `kubectl apply`), `peak_mib` (largest sum of proportional set sizes over both runs).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.machine import machine, write_figures
from bench.memory import PeakMemory

ROOT = Path(__file__).resolve().parent.parent
CACHES = ("XDG_CACHE_HOME", "GOCACHE", "GOMODCACHE", "UV_CACHE_DIR", "PIP_CACHE_DIR")
LIMIT_S = 3000


def fresh_environment(folder: Path) -> dict[str, str]:
    """The present environment, with empty caches and without this project's virtual environment."""
    env = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL"}}
    venv_bin = str(ROOT / ".venv" / "bin")
    env["PATH"] = os.pathsep.join(p for p in env["PATH"].split(os.pathsep) if p != venv_bin)
    env |= {name: str(folder / "caches" / name.lower()) for name in CACHES}
    return env | {"BENCH_RUN": folder.name}


def timed_demo(clone: Path, env: dict[str, str]) -> tuple[float, dict[str, Any]]:
    """Runs `make demo` once; wall seconds and the demo's own figures."""
    started = time.monotonic()
    subprocess.run(["make", "demo"], cwd=clone, env=env, check=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    return time.monotonic() - started, json.loads((clone / "demo-output" / "figures.json").read_text())


def main() -> int:
    """Measures and writes; the exit status is the demo's."""
    print(machine())
    folder = Path(tempfile.mkdtemp(prefix="imagint-bench-"))
    clone, env = folder / "imagint", fresh_environment(folder)
    try:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=120)
        with PeakMemory(f"BENCH_RUN={folder.name}") as memory:
            first_s, first = timed_demo(clone, env)
            again_s, again = timed_demo(clone, env)
    finally:
        subprocess.run(["make", "clean"], cwd=clone, env=env, check=False, timeout=120, capture_output=True)
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False, timeout=120)
        shutil.rmtree(folder, ignore_errors=True)
    figures = {
        "demo_first_s": first_s,
        "demo_again_s": again_s,
        "tenant_ready_s": float(again["tenant_ready_s"]),
        "erase_complete_s": float(again["erase_complete_s"]),
        "peak_mib": memory.peak_mib,
    }
    path = write_figures("demo", figures, raw={"first": first, "again": again})
    for name, value in figures.items():
        print(f"{name:20s} {value:10.2f}")
    print(f"written to {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
