"""The smallest run of the whole benchmark: it must end, and give every figure that it promises."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
from bench.keys import forecasts, pages, parts, plots
from bench.keys.findings import Findings
from bench.keys.gdprbench.mixes import MIXES, Generator, Kind
from bench.keys.plans import TINY

from imagint_dev import postgres

HERE = Path(__file__).resolve().parents[3]


@pytest.fixture
def sealing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sealing benchmark takes long and has its own tests: here it is a stand-in that answers at once."""
    module = types.ModuleType(parts.SEALING)
    vars(module)["seal_open_ratios"] = lambda: {"seal_open_1mib_ratio": 1.0, "seal_open_1kib_ratio": 1.0}
    vars(module)["object_peak_mib"] = lambda: 1.0
    monkeypatch.setitem(sys.modules, parts.SEALING, module)


def available(name: str) -> str | None:
    """Say what a part lacks on this machine."""
    if name == "vaults":
        from bench.keys import vaults

        try:
            vaults.binary()
        except FileNotFoundError as error:
            return str(error)
    return None


@pytest.mark.parametrize("name", list(parts.PARTS))
@pytest.mark.usefixtures("sealing")
def test_the_smallest_run_of_a_part_gives_the_figures_it_promises(name: str) -> None:
    if reason := available(name):
        pytest.skip(reason)
    found = parts.run(TINY, [name], lambda _: None)
    assert set(parts.PROMISED[name]) <= set(found.figures)
    assert json.loads(json.dumps(found.raw)) == found.raw


@pytest.mark.skipif(postgres.find() is None, reason="no PostgreSQL")
def test_both_databases_are_vacuumed_at_every_size() -> None:
    found = parts.run(TINY, ["rows"], lambda _: None)
    wanted = {f"{name}_forget_one_{size}_s" for name in ("vacuum", "postgres_vacuum_full") for size in (20, 40)}
    assert wanted <= set(found.figures)


@pytest.mark.usefixtures("sealing")
def test_a_run_becomes_a_page_and_plots(tmp_path: Path) -> None:
    found = parts.run(TINY, ["growth", "naive", "gdprbench"], lambda _: None)
    page = tmp_path / "performance.md"
    page.write_text("# Measured\n")
    pages.write(found, "a machine", page)
    pages.write(found, "a machine", page)
    text = page.read_text()
    assert text.count(pages.BEGIN) == text.count(pages.END) == text.count("## Keys that forget") == 1
    drawn = plots.draw(found.raw, tmp_path / "images")
    assert {path.name for path in drawn} == {"keys-forget-one.png", "keys-tree.png", "keys-gdprbench.png"}
    assert all(f"images/{path.name}" in text for path in drawn)


def test_every_figure_that_has_a_reach_is_promised_by_a_part() -> None:
    assert set(pages.REACH) <= {name for names in parts.PROMISED.values() for name in names}


def test_without_its_module_the_sealing_part_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SEALING", "bench.keys.no_such_module")
    with pytest.raises(parts.SealingMissingError, match="sealing.py"):
        parts.measure_sealing(TINY, HERE, Findings(), lambda _: None)


def test_the_model_counts_the_nodes_that_the_tree_rewrites() -> None:
    assert forecasts.nodes(1) == pytest.approx(2.0)
    assert forecasts.nodes(1_000) == pytest.approx(2.0, abs=0.01)
    assert forecasts.nodes(100_000) == pytest.approx(3.0, abs=0.01)
    assert forecasts.nodes(100_000_000) == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("role", list(MIXES))
def test_a_mix_asks_in_its_shares_and_only_for_what_lives(role: str) -> None:
    generator = Generator(500, seed=1)
    mix = MIXES[role]
    operations = generator.draw(mix, 400)
    counts = {kind: sum(operation.kind is kind for operation in operations) / 400 for kind in Kind}
    assert all(abs(counts[kind] - mix.shares.get(kind, 0.0)) < 0.08 for kind in Kind)
    assert sum(mix.shares.values()) == pytest.approx(1.0)
    living = set(range(500))
    for operation in operations:
        if operation.kind is Kind.INSERT:
            living.add(operation.record)
        elif operation.kind is not Kind.VERIFY:
            assert operation.record in living
        if operation.kind is Kind.DELETE:
            living.remove(operation.record)


def test_the_same_seed_draws_the_same_operations() -> None:
    mix = MIXES["customer"]
    assert Generator(50, seed=3).draw(mix, 40) == Generator(50, seed=3).draw(mix, 40)
