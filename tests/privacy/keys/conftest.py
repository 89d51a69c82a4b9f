"""A tree on true fakes, with a clock and a randomness that tests hold in their hands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from imagint_privacy import subjects
from imagint_privacy.keys.fakes import FakeTransit, MemoryTreeStore
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.keys.tree import KeyTree, TreeOptions

TENANT = "acme"
KEY = "tenant-acme"


@dataclass
class TreeRig:
    """One tenant's tree; `open` gives another process's view of the same tree."""

    transit: FakeTransit = field(default_factory=FakeTransit)
    store: MemoryTreeStore = field(default_factory=MemoryTreeStore)
    time: float = 0.0
    leaf_limit: int = 400

    def __post_init__(self) -> None:
        self.transit.admin().ensure(KEY)

    def open(self, **options: Any) -> KeyTree[None]:
        made = TreeOptions(clock=lambda: self.time, sleep=lambda _: None, leaf_limit=self.leaf_limit, **options)
        return KeyTree.open(TENANT, self.store, self.transit.tenant_key(KEY), made)

    def rotate(self) -> int:
        return self.transit.admin().rotate(KEY)

    def trim(self, version: int) -> None:
        self.transit.admin().raise_minimum(KEY, version)
        self.transit.admin().trim(KEY, version)


def _subject(number: int) -> str:
    return subjects.from_bytes(hashlib.sha256(b"subject %d" % number).digest()[:16])


@pytest.fixture
def rig() -> TreeRig:
    return TreeRig()


@pytest.fixture(scope="session")
def new_rig() -> type[TreeRig]:
    return TreeRig


@pytest.fixture(scope="session")
def subject() -> Callable[[int], str]:
    return _subject


@pytest.fixture(scope="session")
def path() -> Callable[..., KeyPath]:
    def made(number: int, category: str = "images", period: str = "2026-11") -> KeyPath:
        return KeyPath(_subject(number), category, period)

    return made


@pytest.fixture
def counter() -> Callable[[int], bytes]:
    """Randomness that is none: every call gives the next bytes of a fixed stream."""
    state = {"at": 0}

    def entropy(size: int) -> bytes:
        state["at"] += 1
        seed = b"imagint vector %d" % state["at"]
        return b"".join(hashlib.sha256(seed + bytes((block,))).digest() for block in range(size // 32 + 1))[:size]

    return entropy
