"""The smallest run of the whole benchmark: it must end, and give every figure that it promises."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.keys import forecasts, pages, parts, plots, vaults
from bench.keys.findings import Findings
from bench.keys.gdprbench.mixes import MIXES, Generator, Kind
from bench.keys.plans import TINY

from imagint_dev import postgres

HERE = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sealing() -> Iterator[None]:
    """The sealing benchmark takes long and has its own tests: here it is a stand-in that answers at once."""
    module = types.ModuleType(parts.SEALING)
    vars(module)["seal_open_ratios"] = lambda: {"seal_open_1mib_ratio": 1.0, "seal_open_1kib_ratio": 1.0}
    vars(module)["object_peak_mib"] = lambda: 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, parts.SEALING, module)
        yield


@pytest.fixture(scope="module")
def missing() -> set[str]:
    """The parts that this machine cannot measure."""
    try:
        vaults.binary()
    except FileNotFoundError:
        return {"vaults"}
    return set()


@pytest.fixture(scope="module")
def found(sealing: None, missing: set[str]) -> Findings:
    return parts.run(TINY, [name for name in parts.PARTS if name not in missing], lambda _: None)


@pytest.mark.parametrize("name", list(parts.PARTS))
def test_the_smallest_run_of_a_part_gives_the_figures_it_promises(
    name: str, found: Findings, missing: set[str]
) -> None:
    if name in missing:
        pytest.skip("no vault: run `imagint build`")
    assert set(parts.PROMISED[name]) <= set(found.figures)


def test_the_raw_numbers_are_plain_data(found: Findings) -> None:
    assert json.loads(json.dumps(found.raw)) == found.raw


@pytest.mark.skipif(postgres.find() is None, reason="no PostgreSQL")
def test_both_databases_are_vacuumed_at_every_size_and_run_every_mix(found: Findings) -> None:
    wanted = {f"{name}_forget_one_{size}_s" for name in ("vacuum", "postgres_vacuum_full") for size in (20, 40)}
    wanted |= {f"gdprbench_{store}_{role}_overhead" for store in ("sqlite", "postgres") for role in MIXES}
    assert wanted <= set(found.figures)


def test_a_run_becomes_a_page_and_plots(found: Findings, tmp_path: Path) -> None:
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
    with pytest.raises(parts.SealingMissingError, match="not in this tree"):
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
