"""The parts of the benchmark by name, the figures each must give, and a run of them. It prints nothing."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from bench.keys import growth, naive, rows, vaults, volumes
from bench.keys.findings import Findings, Say
from bench.keys.gdprbench import turns
from bench.keys.plans import Plan

from imagint_dev import postgres

Measure = Callable[[Plan, Path, Findings, Say], None]
SEALING: Final = "bench.keys.sealing"


class SealingMissingError(RuntimeError):
    """The sealing benchmark is not in this tree."""


def _sealing_module() -> ModuleType:
    """Load what measures sealing.

    Raises:
        SealingMissingError: this tree has none.
    """
    try:
        return importlib.import_module(SEALING)
    except ModuleNotFoundError as error:
        if error.name != SEALING:
            raise
        raise SealingMissingError("bench/keys/sealing.py is not in this tree: leave out the part `sealing`") from None


def measure_sealing(plan: Plan, folder: Path, found: Findings, say: Say) -> None:
    """Take what the sealing benchmark measures into this run.

    Raises:
        SealingMissingError: this tree has none.
    """
    say("sealing beside raw AES-GCM")
    module = _sealing_module()
    ratios: dict[str, float] = module.seal_open_ratios()
    for name, value in ratios.items():
        found.set(name, value)
    say("the memory of an object of 100 MiB")
    found.set("object_100mib_peak_mib", module.object_peak_mib())


PARTS: Final[Mapping[str, Measure]] = {
    "sealing": measure_sealing,  # first: in a process whose heap is as a Gateway's, not after a million subjects
    "growth": growth.measure,
    "volumes": volumes.measure,
    "naive": naive.measure,
    "vaults": vaults.measure,
    "rows": rows.measure,
    "gdprbench": turns.measure,
}
PROMISED: Final[Mapping[str, tuple[str, ...]]] = {
    "growth": (
        "forget_one_1e6_over_1e3",
        "forget_batch_per_s",
        "insert_per_s",
        "lookup_warm_per_s",
        "lookup_cold_p99_ms",
        "tree_bytes_per_subject",
    ),
    "volumes": ("forget_one_big_over_small_data", "purge_big_s"),
    "sealing": ("seal_open_1mib_ratio", "seal_open_1kib_ratio", "object_100mib_peak_mib"),
    "naive": ("naive_forget_one_1e6_extrapolated_s",),
    "vaults": (
        "vault_key_per_subject_create_per_s",
        "vault_key_per_subject_use_per_s",
        "vault_key_per_subject_destroy_per_s",
        "vault_key_per_subject_bytes_of_memory_per_key",
        "vault_key_per_subject_bytes_of_storage_per_key",
    ),
    "rows": (),
    "gdprbench": ("gdprbench_overhead_max",),
}
"""Figures that a part gives whatever the plan; those of the databases' own alternatives are named by size."""


def run(plan: Plan, names: Sequence[str], say: Say) -> Findings:
    """Measure these parts, each in an empty folder that is removed after it."""
    found = Findings()
    found.raw["plan"] = plan.name
    found.raw["postgres"] = postgres.find() is not None
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"imagint-bench-{name}-") as folder:
            PARTS[name](plan, Path(folder), found, say)
    return found
