"""Which tests share a process when they run two abreast: those that share a stack, else those of one folder.

The whole-stack tests come first, since they take longest; everything else runs beside them.
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Groups the tests for `--dist loadgroup` and puts the longest group first."""
    root = config.rootpath
    for item in items:
        folder = item.path.parent.relative_to(root).as_posix()
        item.add_marker(pytest.mark.xdist_group("e2e" if folder.startswith("tests/e2e") else folder))
    items.sort(key=lambda item: "e2e" not in item.path.parts)
