"""The one place where the benchmark touches `KeyTree`: building, inserting, forgetting, looking up, counting.

SQLite with the product's own settings (WAL, full synchronisation, secure deletion). The key service is the true fake,
which costs microseconds: a real wrap would only make sizes look more alike. `vaults` times the real one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.keys import populations
from bench.keys.findings import Say, Took, timed
from sqlalchemy import Connection, func, select

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.keys.ports import Alongside, TreeChange
from imagint_privacy.keys.tree import KeyTree, TreeOptions
from imagint_privacy.records import migrating
from imagint_privacy.records.database import Database
from imagint_privacy.records.nodes import SqlTreeStore
from imagint_privacy.records.schema import TREE_NODES

TENANT = "bench"
KEPT_SECONDS = 3600.0
"""The root stays confirmed, so that no measurement pays for another's age; `cold` confirms it by hand."""


class CountingStore(SqlTreeStore):
    """The product's store; it also counts what the last commit wrote."""

    fresh_nodes = 0
    fresh_bytes = 0

    def commit(self, change: TreeChange, alongside: Alongside[Connection] | None = None) -> None:
        """Count, then commit."""
        self.fresh_nodes = len(change.fresh)
        self.fresh_bytes = sum(map(len, change.fresh.values()))
        super().commit(change, alongside)


class GrownTree:
    """A tree of a given size in a folder of its own, and what is measured on it."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder}/tree.db")
        migrating.prepare(self.database, TENANT, datetime.now(UTC))
        transit = FakeTransit()
        transit.admin().ensure(TENANT)
        self.secret = transit.snapshot()[TENANT].versions[1]
        self._key = transit.tenant_key(TENANT)
        self.store = CountingStore(self.database)
        self.tree = self.fresh()
        self.size = 0
        self.born = 0

    def fresh(self, **options: Any) -> KeyTree[Connection]:
        """Open the tree as a process does that has just begun."""
        return KeyTree.open(TENANT, self.store, self._key, TreeOptions(cache_seconds=KEPT_SECONDS, **options))

    def grow(self, size: int, group: int, say: Say) -> Took:
        """Insert subjects until there are `size`; return what the commits took, without making the paths up."""
        wall = cpu = 0.0
        for numbers in populations.groups(range(self.born, self.born + size - self.size), group):
            took = self._insert(numbers)
            wall, cpu = wall + took.wall, cpu + took.cpu
            say(f"building a tree of {size:,} subjects: {self.size:,}")
        return Took(wall, cpu)

    def insert(self, count: int) -> Took:
        """Insert new subjects with three paths each in one commit."""
        return self._insert(range(self.born, self.born + count))

    def _insert(self, numbers: Collection[int]) -> Took:
        paths = list(populations.paths(numbers))
        took = timed(lambda: self.tree.ensure(paths))
        self.size += len(numbers)
        self.born += len(numbers)
        return took

    def insert_by_threads(self, each: int, threads: int) -> Took:
        """Insert new subjects from many threads at once, each waiting for its own: commits are shared as it falls."""
        first = self.born

        def work(thread: int) -> None:
            for number in range(first + thread * each, first + (thread + 1) * each):
                self.tree.ensure(list(populations.paths([number])))

        with ThreadPoolExecutor(threads) as pool:
            took = timed(lambda: list(pool.map(work, range(threads))))
        self.size += each * threads
        self.born += each * threads
        return took

    def forget(self, numbers: Iterable[int]) -> Took:
        """Forget whole subjects in one commit."""
        prefixes = populations.prefixes(numbers)
        took = timed(lambda: self.tree.forget(prefixes, key_version=1))
        self.size -= len(prefixes)
        return took

    def cold(self, tree: KeyTree[Connection], path: KeyPath) -> float:
        """Look one path up with empty caches, the root confirmed; return seconds."""
        tree.drop()
        tree.root()
        return timed(lambda: tree.lookup(path)).wall

    def sealed(self) -> tuple[int, int]:
        """Return how many nodes live, and their sealed bytes."""
        with self.database.read() as connection:
            row = connection.execute(select(func.count(), func.sum(func.length(TREE_NODES.c.sealed)))).one()
        return int(row[0]), int(row[1])

    def close(self) -> None:
        """Close the database."""
        self.tree.drop()
        self.database.close()
