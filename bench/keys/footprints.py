"""How much memory a process takes for an open tree in use: in a process of its own, which built nothing.

`python -m bench.keys.footprints` reads the database's address, the fake key and how many subjects there are from its
input, looks many of them up until the caches are full, and prints by how many MiB it grew.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.keys import populations
from bench.keys.trees import KEPT_SECONDS, TENANT

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.tree import KeyTree, TreeOptions
from imagint_privacy.records.database import Database
from imagint_privacy.records.nodes import SqlTreeStore

ROOT = Path(__file__).resolve().parents[2]
LOOK_UPS = 60_000
_LIMIT_S = 300


def footprint_mib(database: Database, key: bytes, size: int) -> float:
    """Return how many MiB a fresh process grows by when it opens this tree and uses it."""
    told = json.dumps({"file": str(database.file), "key": key.hex(), "size": size})
    command = [sys.executable, "-m", "bench.keys.footprints"]
    done = subprocess.run(command, cwd=ROOT, input=told, capture_output=True, text=True, check=True, timeout=_LIMIT_S)
    return float(done.stdout)


def resident_mib() -> float:
    """Return the resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not tell its memory")


def _use(file: str, key: bytes, size: int) -> float:
    transit = FakeTransit()
    transit.admin().ensure(TENANT)
    kept = transit.snapshot()
    kept[TENANT].versions[1] = key
    transit.restore(kept)
    database = Database(f"sqlite:///{file}")
    before = resident_mib()
    options = TreeOptions(cache_seconds=KEPT_SECONDS)
    tree = KeyTree.open(TENANT, SqlTreeStore(database), transit.tenant_key(TENANT), options)
    for path in populations.paths(populations.some(size, LOOK_UPS // 3, 5)):
        tree.lookup(path)
    grown = resident_mib() - before
    database.close()
    return grown


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    print(_use(given["file"], bytes.fromhex(given["key"]), int(given["size"])))
