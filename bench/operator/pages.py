"""Writes the operator's section of `docs/performance.md` between its two marks, from what a whole run found.

What misses its reach, or was not measured, is said, not hidden. It measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.keys.findings import Findings
from bench.keys.pages import number, table
from bench.operator.plots import NAMES
from bench.operator.words import BESIDE, HOW, MINIMUM, PARTS, PUBLISHED

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BEGIN: Final = "<!-- bench/operator begins: written by `make bench NAME=operator` -->"
END: Final = "<!-- bench/operator ends -->"
REACH: Final[Mapping[str, tuple[str, str, float]]] = {
    "reconciles_per_s": ("looks per second, over all three convergences", ">=", 43),
    "tenants_1000_ready_s": ("1,000 tenants Ready from nothing, s", "<=", 120),
    "restart_s": ("kill -9 to every object looked at again, s", "<=", 60),
    "writes_at_rest_per_min": ("writes per minute at rest, without the Lease", "<=", 0),
    "cpu_at_rest_ratio": ("of one core at rest", "<=", 0.01),
    "status_p99_s": ("a change to its status, p99, s", "<=", 1),
    "memory_mib": ("resident memory with everything in its caches, MiB", "<=", 300),
    "takeover_s": ("the longest takeover, s", "<=", 20),
}
WRITES: Final = "api_writes_per_tenant"
LEAST: Final = "api_writes_per_tenant_minimum"


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
    parts = ["## The operator at scale: `make bench NAME=operator`", f"{machine}. {HOW}", _reach(found.figures)]
    parts += [_short(found), PARTS, _pictures(), MINIMUM, _calls(found.raw), _rest(found), BESIDE, _rates(found)]
    parts.append(_all(found.figures))
    return "\n\n".join(part for part in parts if part)


def short_of(figures: Mapping[str, float]) -> list[str]:
    """The figures that miss their reach, and those that are missing."""
    missed = [name for name, (_, sign, bound) in REACH.items() if not _reached(figures.get(name), sign, bound)]
    least = figures.get(LEAST)
    within = least is not None and _reached(figures.get(WRITES), "<=", least + 1)
    return missed if within else [*missed, WRITES]


def _reached(value: float | None, sign: str, bound: float) -> bool:
    return value is not None and (value <= bound if sign == "<=" else value >= bound)


def _reach(figures: Mapping[str, float]) -> str:
    bounds = {name: (text, sign, bound) for name, (text, sign, bound) in REACH.items()}
    if LEAST in figures:
        least = figures[LEAST]
        bounds[WRITES] = (f"writes per new tenant; the least is {number(least)}", "<=", least + 1)
    rows = []
    for name, (text, sign, bound) in bounds.items():
        value = figures.get(name)
        said = "not measured" if value is None else number(value)
        verdict = "yes" if _reached(value, sign, bound) else "**no**"
        rows.append((f"`{name}`: {text}", said, f"{'≤' if sign == '<=' else '≥'} {number(bound)}", verdict))
    return table(("figure", "measured", "to reach", "reached"), rows)


def _short(found: Findings) -> str:
    missed, problems = short_of(found.figures), found.raw.get("problems", [])
    said = f"**Falls short:** {', '.join(f'`{name}`' for name in missed)}." if missed else "Every reach is met."
    busy = found.raw.get("load_at_begin", 0.0)
    load = f" The load of the machine before the run was {number(busy)}." if busy > 0.5 else ""
    return f"{said}{load}" + "".join(f"\n\n- {problem}" for problem in problems)


def _pictures() -> str:
    return "\n\n".join(f"![{alt}](images/{name}.png)" for name, alt in NAMES.items())


def _calls(raw: Mapping[str, Any]) -> str:
    """What was written for all tenants, models and requests, by verb and resource."""
    rows = [
        (part, f"{call.rpartition(' ')[0]} → {call.rpartition(' ')[2]}", number(many))
        for part in ("tenants", "models", "requests")
        for call, many in raw.get(part, {}).get("writes", {}).items()
    ]
    return table(("convergence", "the operator's writes", "times"), rows) if rows else ""


def _rest(found: Findings) -> str:
    told = found.raw.get("rest")
    if told is None:
        return ""
    others = sum(told["writes_of_anybody"].values())
    return (
        f"In {told['seconds']:.0f} s at rest the operator looked {number(sum(told['looks'].values()))} times and wrote "
        f"{number(sum(told['own_writes'].values()))} times; all Leases of the cluster were renewed "
        f"{number(told['lease_writes'])} times, everybody together wrote {number(others)} times besides, and etcd "
        f"counted {number(told['revisions'])} revisions."
    )


def _rates(found: Findings) -> str:
    ours = [(f"Imagint, {what} (this run)", found.figures.get(f"reconciles_per_s_{name}"))
            for what, name in (("looks at new tenants", "tenants"), ("looks at new models", "models"),
                               ("looks at requests", "requests"))]  # fmt: skip
    ours.append(("Imagint, requests that came to their end (this run)", found.figures.get("requests_ended_per_s")))
    rows = [(text, number(rate), "measured") for text, rate in ours if rate is not None]
    rows += [(text, number(rate), "published, derived") for text, rate in PUBLISHED]
    shown = [table(("what", "per second", "how"), rows)]
    pairs = (("reads of the apiserver a look, after a restart", "reads_per_look", "naive_reads_per_look"),
             ("processor ms a look, start included", "cpu_ms_per_look", "naive_cpu_ms_per_look"),
             ("restart, s", "restart_s", "naive_restart_s"))  # fmt: skip
    figures = found.figures
    beside = [(text, number(figures[a]), number(figures[b])) for text, a, b in pairs if a in figures and b in figures]
    if beside:
        shown.append(table(("with caches, and without", "ours", "naive"), beside))
        naive = found.raw["naive"]
        if not naive["caught_up"]:
            shown.append(f"The naive one had not caught up when it was stopped after {number(naive['seconds'])} s.")
    return "\n\n".join(shown)


def _all(figures: Mapping[str, float]) -> str:
    rows = [(f"`{name}`", number(value)) for name, value in sorted(figures.items())]
    return table(("every figure", "measured"), rows)
