from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imagint_dev import assets
from imagint_dev.binaries import catalog
from imagint_dev.binaries.toolchain import parse_version


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "vault"
    shutil.copytree(assets.module("vault"), copy)
    real = assets.module
    monkeypatch.setattr(assets, "module", lambda name: copy if name == "vault" else real(name))
    return copy


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go"])
def test_a_changed_source_makes_another_binary(module: Path, name: str) -> None:
    before = catalog.digest(module)
    (module / name).write_text((module / name).read_text() + "\n")
    assert catalog.digest(module) != before


def test_the_same_sources_make_the_same_binary(module: Path) -> None:
    assert catalog.digest(module) == catalog.digest(assets.module("vault"))


def test_another_architecture_makes_another_binary(module: Path) -> None:
    assert catalog.digest(module, "x86_64") != catalog.digest(module, "aarch64")


def test_a_file_beside_the_sources_changes_nothing(module: Path) -> None:
    before = catalog.digest(module)
    (module / "notes.txt").write_text("x")
    assert catalog.digest(module) == before


def test_kubernetes_binaries_are_stamped_with_the_pinned_version() -> None:
    flags = next(b for b in catalog.programs() if b.name == "kubectl").flags()
    assert "component-base/version.gitVersion=v1.36.3" in flags[-1]


def test_the_cache_folder_follows_xdg_and_ignores_a_relative_one() -> None:
    assert catalog.cache_root({"XDG_CACHE_HOME": "/c"}) == Path("/c/imagint")
    assert catalog.cache_root({"XDG_CACHE_HOME": "c"}) == Path.home() / ".cache/imagint"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        pytest.param("go1.26.8\n", (1, 26, 8), id="a release"),
        pytest.param("go1.27rc1", (1, 27), id="a release candidate counts as its release"),
        pytest.param("devel +abc", None, id="a development version is unknown"),
    ],
)
def test_go_versions_are_read(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_version(text) == version


def test_modules_hold_no_addresses() -> None:
    for name in ("kubernetes", "vault"):
        assert "https:" not in (assets.module(name) / "go.sum").read_text()
