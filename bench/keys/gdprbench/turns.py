"""Runs each role's mix on each database with and without the layer, and compares the medians of the rounds.

Every operation is carried out on all sides before the next begins, so that a busy moment of the machine meets all.

    overhead = time with the layer / time without - 1
"""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from bench.keys.findings import Findings, Say, settle, timed
from bench.keys.gdprbench.mixes import MIXES, Generator, Operation
from bench.keys.gdprbench.stores import MixStore, in_clear
from bench.keys.plans import Plan
from bench.keys.vaults import Vault, binary

from imagint_dev import postgres
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.ports import RootWrapper
from imagint_privacy.records.library import Library, StorageSettings

GROUP = 100
AT_ONCE = 1
SIDES = ("with", "at-once", "without")
Address = Callable[[str], str]


def measure(plan: Plan, folder: Path, found: Findings, say: Say) -> None:
    """Compare on SQLite, and on PostgreSQL where its programs are."""
    raw: dict[str, Any] = {"roles": {}, "new_subject": {}, "group": GROUP}
    with _wrapper(folder, raw) as wrapper, _places(folder, raw) as places:
        for name, address in places.items():
            raw["roles"][name] = _compare(plan, name, _sides(folder, name, address, wrapper), say)
    for name, roles in raw["roles"].items():
        raw["new_subject"][name] = roles.pop("new_subject")
        found.set(f"gdprbench_{name}_new_subject_overhead", raw["new_subject"][name]["with_overhead"])
    every = [role for roles in raw["roles"].values() for role in roles.values()]
    found.set("gdprbench_overhead_max", max(role["with_overhead"] for role in every))
    found.set("gdprbench_overhead_max_forgetting_at_once", max(role["at-once_overhead"] for role in every))
    for name, roles in raw["roles"].items():
        for role, times in roles.items():
            found.set(f"gdprbench_{name}_{role}_overhead", times["with_overhead"])
            found.set(f"gdprbench_{name}_{role}_with_ops_per_s", times["with_ops_per_s"])
            found.set(f"gdprbench_{name}_{role}_without_ops_per_s", times["without_ops_per_s"])
    found.raw["gdprbench"] = raw


@contextmanager
def _wrapper(folder: Path, raw: dict[str, Any]) -> Iterator[RootWrapper]:
    """Give the key of a real Vault, or of the fake where none was built."""
    try:
        binary()
    except FileNotFoundError:
        raw["key_service"] = "fake"
        transit = FakeTransit()
        transit.admin().ensure("tenant-bench")
        yield transit.tenant_key("tenant-bench")
        return
    raw["key_service"] = "vault"
    with Vault(folder / "mix-vault") as vault:
        yield vault.tenant_key()


@contextmanager
def _places(folder: Path, raw: dict[str, Any]) -> Iterator[dict[str, Address]]:
    with ExitStack() as stack:
        places: dict[str, Address] = {"sqlite": lambda side: f"sqlite:///{folder}/mix-{side}/records.db"}
        if postgres.find() is None:
            raw["postgres_missing"] = True
        else:
            server = stack.enter_context(postgres.PostgresServer())
            places["postgres"] = lambda side: server.create(f"mix_{side.replace('-', '_')}")
        yield places


def _sides(folder: Path, name: str, address: Address, wrapper: RootWrapper) -> Callable[[str, int], MixStore]:
    def open_side(side: str, users: int) -> MixStore:
        storage = StorageSettings(address(side), f"file://{folder}/mix-objects-{name}-{side}")
        library = Library.open("bench", storage, wrapper, key_name="tenant-bench", replica="bench")
        return MixStore(library, users, layered=side != "without", group=AT_ONCE if side == "at-once" else GROUP)

    return open_side


def _compare(plan: Plan, name: str, open_side: Callable[[str, int], MixStore], say: Say) -> dict[str, dict[str, Any]]:
    stores: dict[str, MixStore] = {}
    for side in SIDES:
        say(f"mixes: filling {name}, {side}")
        stores[side] = open_side(side, plan.mix_records)
        with _clear(stores[side]):
            stores[side].load(plan.mix_records)
    generator = Generator(plan.mix_records, seed=7)
    found = {}
    for role, mix in MIXES.items():
        rounds = []
        for number in range(plan.mix_rounds):
            say(f"mixes: {role} on {name}, round {number + 1} of {plan.mix_rounds}")
            settle()
            rounds.append(_round(stores, generator.draw(mix, plan.mix_operations)))
        found[role] = _compared(rounds, plan.mix_operations)
    found["new_subject"] = _new_subjects(stores, max(1, plan.mix_operations // 5), say)
    for store in stores.values():
        store.library.close()
    return found


def _round(stores: dict[str, MixStore], operations: list[Operation]) -> dict[str, dict[str, float]]:
    """Carry each operation out on every side, one side after the other, each first in turn; seconds by kind."""
    seconds: dict[str, dict[str, float]] = {side: defaultdict(float) for side in stores}
    order = deque(stores)
    for operation in operations:
        order.rotate(1)
        for side in order:
            with _clear(stores[side]):
                seconds[side][operation.kind] += timed(partial(stores[side].do, operation)).wall
    for side, store in stores.items():
        with _clear(store):
            seconds[side]["forget-the-rest"] += timed(store.forget_waiting).wall
    return seconds


def _new_subjects(stores: dict[str, MixStore], count: int, say: Say) -> dict[str, Any]:
    """Compare what a record of somebody new costs; beside the mixes, and not part of them."""
    say("mixes: records of new subjects")
    settle()
    seconds: dict[str, list[float]] = {side: [] for side in stores}
    order = deque(stores)
    for number in range(count):
        order.rotate(1)
        for side in order:
            with _clear(stores[side]):
                seconds[side].append(timed(partial(stores[side].insert_new, number)).wall)
    median = {side: statistics.median(times) for side, times in seconds.items()}
    return {"with_overhead": median["with"] / median["without"] - 1, "seconds": median}


def _clear(store: MixStore) -> AbstractContextManager[None]:
    return nullcontext() if store.layered else in_clear()


def _compared(rounds: list[dict[str, dict[str, float]]], operations: int) -> dict[str, Any]:
    """Compare the medians of the rounds; and say, for each kind of operation, where the time went."""
    median = {side: statistics.median(sum(seconds[side].values()) for seconds in rounds) for side in SIDES}
    row: dict[str, Any] = {}
    for side in SIDES:
        row[f"{side}_ops_per_s"] = operations / median[side]
        row[f"{side}_overhead"] = median[side] / median["without"] - 1
    kinds = sorted({kind for seconds in rounds for kind in seconds["without"]})
    row["seconds_by_kind"] = {
        str(kind): {side: statistics.median(seconds[side][kind] for seconds in rounds) for side in SIDES}
        for kind in kinds
    }
    return row
