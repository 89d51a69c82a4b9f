"""Which tests share a process when they run two abreast: those of one folder, so that they share its stack.

The whole-stack tests come first, since they take longest; everything else runs beside them.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


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
