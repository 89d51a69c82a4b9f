"""Our tree at every size: insert, look up warm and cold, forget one and many, bytes and memory.

Forgetting one is measured on all sizes in turns, so that a busy moment of the machine meets all of them alike.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.keys import footprints, forecasts, populations
from bench.keys.findings import Findings, Say, Took, label, median, percentile, settle, timed
from bench.keys.plans import Plan
from bench.keys.trees import GrownTree

THREADS = 64


def measure(plan: Plan, folder: Path, found: Findings, say: Say) -> None:
    """Build a tree of every size and measure all of them."""
    with ExitStack() as stack:
        trees: dict[int, GrownTree] = {}
        rows: dict[int, dict[str, float]] = {}
        for size in plan.sizes:
            trees[size] = GrownTree(folder / f"tree-{size}")
            stack.callback(trees[size].close)
            rows[size] = _one_size(plan, trees[size], size, say)
        # Before the batches: what they insert splits leaves, and a leaf once split stays so.
        _forget_one(plan, trees, rows, say)
        for size in plan.sizes:
            rows[size] |= _commits(plan, trees[size], size, say)
    found.raw["growth"] = {str(size): row for size, row in rows.items()}
    _figures(plan, rows, found)
    forecasts.conclude(rows, found)


def _one_size(plan: Plan, grown: GrownTree, size: int, say: Say) -> dict[str, float]:
    built = grown.grow(size, plan.build_group, say)
    nodes, sealed = grown.sealed()
    row = {
        "build_per_s": size / built.wall,
        "nodes": float(nodes),
        "bytes_per_subject": sealed / size,
    }
    say(f"memory at {size:,}")
    row["memory_mib"] = footprints.footprint_mib(grown.database, grown.secret, size)
    return row | _lookups(plan, grown, size, say)


def _lookups(plan: Plan, grown: GrownTree, size: int, say: Say) -> dict[str, float]:
    say(f"look-ups at {size:,}")
    settle()
    warm = list(populations.paths(populations.some(size, plan.warm // 3 + 1, 1)))[: plan.warm]
    for path in warm:
        grown.tree.lookup(path)
    times = [timed(lambda: [grown.tree.lookup(path) for path in warm]) for _ in range(5)]
    cold_tree = grown.fresh()
    numbers = populations.some(size, plan.cold, 2)
    cold = [grown.cold(cold_tree, path) for path in list(populations.paths(numbers))[::3]]
    return {
        "lookup_warm_per_s": len(warm) / median(times).wall,
        "lookup_cold_p50_ms": statistics.median(cold) * 1e3,
        "lookup_cold_p99_ms": percentile(cold, 0.99) * 1e3,
    }


def _commits(plan: Plan, grown: GrownTree, size: int, say: Say) -> dict[str, float]:
    """Forget and insert in turns, so that the size stays; at the smallest sizes a batch is a tenth of all."""
    row: dict[str, float] = {}
    batch = min(plan.batch, size // 10)
    left = _doomed(plan, size)[plan.singles :]
    forgets: list[Took] = []
    inserts: list[Took] = []
    for number, numbers in enumerate(populations.groups(left, batch), 1):
        say(f"batches at {size:,}: {number} of {plan.rounds}")
        settle()
        forgets.append(grown.forget(numbers))
        settle()
        inserts.append(grown.insert(batch))
    row["forget_batch_per_s"] = batch / median(forgets).wall
    row["forget_batch_cpu_per_s"] = batch / median(forgets).cpu
    row["insert_batch_per_s"] = batch / median(inserts).wall
    row["insert_batch_cpu_per_s"] = batch / median(inserts).cpu
    for group in [group for group in plan.insert_groups if group <= size]:
        say(f"inserting at {size:,} in groups of {group:,}")
        settle()
        times = [grown.insert(group) for _ in range(5 if group < 10_000 else 2)]
        row[f"insert_group_{group}_per_s"] = group / median(times).wall
        grown.forget(range(grown.born - group * len(times), grown.born))
    say(f"inserting at {size:,} from {THREADS} threads")
    settle()
    took = grown.insert_by_threads(plan.thread_inserts, THREADS)
    row["insert_by_threads_per_s"] = plan.thread_inserts * THREADS / took.wall
    return row


def _forget_one(plan: Plan, trees: dict[int, GrownTree], rows: dict[int, dict[str, float]], say: Say) -> None:
    """Forget single subjects, one on each size in turn."""
    say("forgetting one, at every size in turns")
    settle()
    times: dict[int, list[Took]] = {size: [] for size in trees}
    nodes: dict[int, list[int]] = {size: [] for size in trees}
    written: dict[int, list[int]] = {size: [] for size in trees}
    doomed = {size: _doomed(plan, size)[: plan.singles] for size in trees}
    for number in range(plan.singles):
        for size, grown in trees.items():
            times[size].append(grown.forget([doomed[size][number]]))
            nodes[size].append(grown.store.fresh_nodes)
            written[size].append(grown.store.fresh_bytes)
        say(f"forgetting one, at every size in turns: {number + 1} of {plan.singles}")
    for size, row in rows.items():
        row["forget_one_ms"] = median(times[size]).wall * 1e3
        row["forget_one_cpu_ms"] = median(times[size]).cpu * 1e3
        row["forget_one_nodes"] = statistics.mean(nodes[size])
        row["forget_one_bytes"] = statistics.mean(written[size])


def _doomed(plan: Plan, size: int) -> list[int]:
    """Draw those who will be forgotten: first those who go alone, then the batches."""
    return populations.some(size, plan.singles + plan.rounds * min(plan.batch, size // 10), 3)


def _figures(plan: Plan, rows: dict[int, dict[str, float]], found: Findings) -> None:
    small, large = rows[plan.sizes[0]], rows[plan.sizes[-1]]
    found.set("forget_one_1e6_over_1e3", large["forget_one_ms"] / small["forget_one_ms"])
    found.set("forget_one_1e6_over_1e3_cpu", large["forget_one_cpu_ms"] / small["forget_one_cpu_ms"])
    found.set("forget_batch_per_s", large["forget_batch_per_s"])
    groups = [group for group in plan.insert_groups if group <= plan.sizes[-1]]
    found.set("insert_per_s", large[f"insert_group_{groups[-1]}_per_s"])
    found.set("insert_batch_per_s", large["insert_batch_per_s"])
    found.set("insert_by_threads_per_s", large["insert_by_threads_per_s"])
    found.set("lookup_warm_per_s", large["lookup_warm_per_s"])
    found.set("lookup_cold_p99_ms", large["lookup_cold_p99_ms"])
    found.set("tree_bytes_per_subject", large["bytes_per_subject"])
    found.set("tree_memory_mib", large["memory_mib"])
    for size, row in rows.items():
        found.set(f"forget_one_{label(size)}_ms", row["forget_one_ms"])
        for name in ("insert_batch_per_s", "forget_batch_per_s", "lookup_cold_p50_ms", "lookup_cold_p99_ms"):
            found.set(f"{name}_at_{label(size)}", row[name])


def rows_of(found: Findings) -> dict[int, dict[str, Any]]:
    """Return what was measured at every size."""
    return {int(size): row for size, row in found.raw.get("growth", {}).items()}
