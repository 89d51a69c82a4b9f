"""Writes the keys section of `docs/performance.md` between its two marks, from what a whole run found.

Numbers come from the run; what misses its reach or its prediction is said, not hidden. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from bench.keys.findings import Findings, label
from bench.keys.words import ALTERNATIVES, HOW, MIXES, MODEL

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BEGIN: Final = "<!-- bench/keys begins: written by `make bench NAME=keys` -->"
END: Final = "<!-- bench/keys ends -->"
REACH: Final[Mapping[str, tuple[str, str, float]]] = {
    "forget_one_1e6_over_1e3": ("forgetting one at 10^6 ÷ at 10^3 subjects", "<=", 3),
    "forget_one_big_over_small_data": ("forgetting 10,000 records (1 GiB) ÷ 1 record (1 KiB), the commit", "<=", 1.5),
    "forget_batch_per_s": ("forgotten per second, in batches of 1,000 at 10^6, one core", ">=", 2_000),
    "insert_per_s": ("new subjects per second at 10^6, in full group commits (30,000 paths)", ">=", 5_000),
    "lookup_warm_per_s": ("look-ups per second, warm, one process, at 10^6", ">=", 200_000),
    "lookup_cold_p99_ms": ("look-up with empty caches at 10^6, p99, ms", "<=", 5),
    "tree_bytes_per_subject": ("bytes of tree per subject with three paths, at 10^6", "<=", 400),
    "seal_open_1mib_ratio": ("seal and open 1 MiB, speed ÷ raw AES-GCM from the same 32-byte key", ">=", 0.9),
    "seal_open_1kib_ratio": (
        "seal and open 1 KiB, speed ÷ raw AES-GCM from the same 32-byte key",
        ">=",
        0.5,
    ),
    "object_100mib_peak_mib": ("memory for an object of 100 MiB, MiB", "<=", 64),
    "gdprbench_overhead_max": ("GDPRbench mixes: most time over the same store unencrypted", "<=", 0.25),
}
_ROWS: Final = (
    ("inserted per second, groups as the batch", "insert_batch_per_s"),
    ("inserted per second by 64 threads, one subject at a time", "insert_by_threads_per_s"),
    ("forgotten per second, in the batch", "forget_batch_per_s"),
    ("forget one, ms (median)", "forget_one_ms"),
    ("forget one, processor ms", "forget_one_cpu_ms"),
    ("nodes rewritten to forget one", "forget_one_nodes"),
    ("sealed bytes rewritten to forget one", "forget_one_bytes"),
    ("look-ups per second, warm", "lookup_warm_per_s"),
    ("look-up cold, p50 ms", "lookup_cold_p50_ms"),
    ("look-up cold, p99 ms", "lookup_cold_p99_ms"),
    ("tree bytes per subject", "bytes_per_subject"),
    ("memory of a process with a tree in use, caches filled, MiB", "memory_mib"),
)


def number(value: float) -> str:
    """Write a number with three digits that matter."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def write(found: Findings, machine: str, page: Path = PAGE) -> None:
    """Put the section between its marks, or at the end of a page that has none."""
    text = page.read_text()
    section = f"{BEGIN}\n{compose(found, machine)}\n{END}"
    if BEGIN in text and END in text:
        before, rest = text.split(BEGIN, 1)
        text = before + section + rest.split(END, 1)[1]
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    page.write_text(text)


def compose(found: Findings, machine: str) -> str:
    """Return the section."""
    raw = found.raw
    parts = ["## Keys that forget: `make bench NAME=keys`", f"{machine}. {HOW}", _reach(found.figures)]
    for name, paint in _CHAPTERS:
        if name in raw:
            parts.append(paint(found))
    return "\n\n".join(parts)


def _reach(figures: Mapping[str, float]) -> str:
    rows = []
    for name, (text, sign, bound) in REACH.items():
        if name in figures:
            value = figures[name]
            reached = value <= bound if sign == "<=" else value >= bound
            verdict = "yes" if reached else "**no**"
            rows.append(
                (f"`{name}`: {text}", number(value), f"{'≤' if sign == '<=' else '≥'} {number(bound)}", verdict)
            )
    return table(("figure", "measured", "to reach", "reached"), rows)


def _growth(found: Findings) -> str:
    rows = {int(size): row for size, row in found.raw["growth"].items()}
    head = ("at this many subjects, three paths each", *(f"10^{label(size)[2:]}" for size in rows))
    lines = [(text, *(number(row[name]) for row in rows.values())) for text, name in _ROWS]
    picture = "![Rates and times of the key tree by number of subjects](images/keys-tree.png)"
    return f"{table(head, lines)}\n\n{picture}\n\n{_model(found)}"


def _model(found: Findings) -> str:
    told, rows = found.raw["model"], found.raw["growth"]
    largest = str(told["largest"])
    predicted, far = told["predicted"][largest], told["predicted"]["100000000"]
    lines, misfits = [], []
    for name, text in (
        ("forget_one_nodes", "nodes"),
        ("forget_one_bytes", "sealed bytes"),
        ("forget_one_ms", "milliseconds"),
        ("forget_one_cpu_ms", "processor milliseconds"),
    ):
        ratio = predicted[name] / rows[largest][name]
        if abs(ratio - 1) > 0.25:
            misfits.append(text)
        cells = (number(predicted[name]), number(rows[largest][name]), f"{ratio:.2f}", number(far[name]))
        lines.append((f"{text} to forget one", *cells))
    head = (f"model fitted on the smaller sizes, at {int(largest):,}", "predicted", "measured", "ratio", "at 10^8")
    verdict = f"It does **not** fit within 25 % for {' and '.join(misfits)}." if misfits else "It fits within 25 %."
    constants = told["constants"]
    line = constants["forget_one_ms"]
    fitted = (
        f"Fitted here: a = {number(line['a_ms'])} ms, b = {number(1e6 * line['b_ms_per_byte'])} ns a byte, "
        f"scale = {number(constants['scale'])}; S = {told['subjects_per_leaf']}."
    )
    return f"{MODEL}\n\n{fitted}\n\n{table(head, lines)}\n\n{verdict}"


def _volumes(found: Findings) -> str:
    told = found.raw["volumes"]
    small, big = (number(told["purge_s"][who]) for who in ("small", "big"))
    return (
        f"Forgetting somebody with 1 record of 1 KiB took {number(told['small_ms'])} ms, somebody with "
        f"{told['records']:,} records and {told['bytes'] / 2**30:.3g} GiB {number(told['big_ms'])} ms "
        f"(medians, in turns). From that commit on nobody can read the data. Deleting the bytes as well depends on how "
        f"many there are, as with any method: {small} s and {big} s."
    )


def _alternatives(found: Findings) -> str:
    named = ("naive_", "vault_", "vacuum_", "postgres_vacuum_")
    rows = [(f"`{name}`", number(value)) for name, value in sorted(found.figures.items()) if name.startswith(named)]
    ours = [
        (f"`{name}` (ours)", number(v))
        for name, v in found.figures.items()
        if name.startswith("forget_one_1e") and name.endswith("_ms")
    ]
    picture = "![Seconds to forget one subject: key tree, re-wrapping, vacuum](images/keys-forget-one.png)"
    return f"{ALTERNATIVES}\n\n{table(('figure', 'measured'), [*ours, *rows])}\n\n{picture}"


def _mixes(found: Findings) -> str:
    rows = [
        (f"{role} on {store}", number(told["without_ops_per_s"]), number(told["with_ops_per_s"]),
         f"{100 * told['with_overhead']:.0f} %", f"{100 * told['at-once_overhead']:.0f} %")
        for store, roles in found.raw["gdprbench"]["roles"].items()
        for role, told in roles.items()
    ]  # fmt: skip
    head = ("mix", "without, op/s", "with, op/s", "overhead", "overhead, each deletion forgotten at once")
    keys = f"Key service: {found.raw['gdprbench']['key_service']}."
    picture = "![Overhead of each GDPRbench mix on SQLite and PostgreSQL](images/keys-gdprbench.png)"
    return f"{MIXES}\n\n{keys}\n\n{table(head, rows)}\n\n{picture}"


def table(head: tuple[str, ...], rows: list[Any]) -> str:
    """Write a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


_CHAPTERS: Final[tuple[tuple[str, Callable[[Findings], str]], ...]] = (
    ("growth", _growth),
    ("volumes", _volumes),
    ("naive", _alternatives),
    ("gdprbench", _mixes),
)
