"""Which tests share a process when they run two abreast: those of one folder, so that they share its stack.

The whole-stack tests come first, since they take longest; everything else runs beside them. And the PostgreSQL server
that tests of several folders use: one a process, a new database a test.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from imagint_dev import postgres as servers


class OneFolderOneProcess(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Hands out whole folders (`--dist loadgroup` of xdist 3.8 has no effect under pytest 9.2)."""

    def _split_scope(self, nodeid: str) -> str:
        return str(PurePosixPath(nodeid.split("::", maxsplit=1)[0]).parent)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Tells xdist how to share the tests out."""
    return OneFolderOneProcess(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest folder first."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


def need_postgres() -> None:
    """Skips loudly where PostgreSQL's programs are missing, and fails in CI."""
    if servers.find() is None:
        reason = "no PostgreSQL server programs: run `python -m imagint_dev.postgres`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.PostgresServer]:
    """A server for tests that kill neither it nor its machine: it does not wait for the disk."""
    need_postgres()
    quick = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
    with servers.PostgresServer(settings=quick) as server:
        yield server


@pytest.fixture
def durable_postgres() -> Iterator[servers.PostgresServer]:
    """A server of the test's own, which it may kill; what commits is on disk."""
    need_postgres()
    with servers.PostgresServer() as server:
        yield server


@pytest.fixture
def new_database(postgres: servers.PostgresServer) -> Iterator[Callable[..., str]]:
    """Gives addresses of new databases, copies of a template; they are gone after the test."""
    made: list[str] = []

    def make(template: str = "template1") -> str:
        made.append(f"test_{next(_numbers)}")
        return postgres.create(made[-1], template=template)

    yield make
    for name in made:
        postgres.drop(name)


_numbers = itertools.count(1)
