"""How much is measured: whole, quick (under two minutes) or tiny (for the smoke test). Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and counts of one run; everything that is measured is bounded by these."""

    name: str
    sizes: tuple[int, ...]
    build_group: int
    insert_groups: tuple[int, ...]
    rounds: int
    batch: int
    singles: int
    thread_inserts: int
    cold: int
    warm: int
    big_records: int
    big_bytes: int
    naive_sizes: tuple[int, ...]
    vault_keys: int
    vacuum_sizes: tuple[int, ...]
    mix_records: int
    mix_operations: int
    mix_rounds: int


FULL: Final = Plan(
    name="full",
    sizes=(1_000, 10_000, 100_000, 1_000_000),
    build_group=100_000,
    insert_groups=(1, 100, 1_000, 10_000),
    rounds=6,
    batch=1_000,
    singles=60,
    thread_inserts=100,
    cold=500,
    warm=5_000,
    big_records=10_000,
    big_bytes=1 << 30,
    naive_sizes=(1_000, 10_000, 100_000),
    vault_keys=10_000,
    vacuum_sizes=(1_000, 10_000, 100_000),
    mix_records=10_000,
    mix_operations=1_000,
    mix_rounds=4,
)
QUICK: Final = Plan(
    name="quick",
    sizes=(1_000, 3_000, 10_000),
    build_group=10_000,
    insert_groups=(1, 100, 1_000),
    rounds=3,
    batch=1_000,
    singles=20,
    thread_inserts=20,
    cold=100,
    warm=2_000,
    big_records=1_000,
    big_bytes=16 << 20,
    naive_sizes=(1_000, 3_000, 10_000),
    vault_keys=300,
    vacuum_sizes=(1_000, 3_000, 10_000),
    mix_records=1_000,
    mix_operations=200,
    mix_rounds=2,
)
TINY: Final = Plan(
    name="tiny",
    sizes=(100, 200, 400),
    build_group=400,
    insert_groups=(1, 10),
    rounds=1,
    batch=20,
    singles=2,
    thread_inserts=1,
    cold=5,
    warm=20,
    big_records=4,
    big_bytes=4 << 10,
    naive_sizes=(50, 100),
    vault_keys=5,
    vacuum_sizes=(20, 40),
    mix_records=30,
    mix_operations=10,
    mix_rounds=1,
)
PLANS: Final = {plan.name: plan for plan in (FULL, QUICK, TINY)}
