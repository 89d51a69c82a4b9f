"""`make bench NAME=operator`, or `python -m bench.operator [--plan quick] [--only PART]`: measure and tell.

A whole run writes `bench/results/operator.json`, the raw numbers beside it, the plots in `docs/images` and its section
of `docs/performance.md`. Any other writes nothing but its table on the screen. A part that fails is told among the
problems, and the others go on.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import signal
import time
import traceback
from pathlib import Path

import click
from bench.keys.findings import Findings
from bench.machine import machine, write_figures
from bench.operator import pages, parts, plots, quiet
from bench.operator.parts import Part, Run
from bench.operator.plans import PLANS, Plan
from bench.operator.processes import load
from bench.operator.site import site

PARTS: dict[str, Part] = {
    "tenants": parts.tenants,
    "models": parts.models,
    "requests": parts.requests,
    "rest": quiet.rest,
    "changes": quiet.changes,
    "restart": quiet.restart,
    "takeovers": quiet.takeovers,
    "naive": quiet.naive,
}


@click.command()
@click.option("--plan", "chosen", type=click.Choice(sorted(PLANS)), default="full", show_default=True)
@click.option("--tenants", type=click.IntRange(1, 5000), help="Another number of tenants; writes no file.")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Measure this part; may be repeated.")
@click.option("--raw", type=click.Path(path_type=Path), help="Write the raw numbers here as well.")
def main(*, chosen: str, tenants: int | None, only: tuple[str, ...], raw: Path | None) -> None:
    """Measure the operator on the embedded control plane."""
    plan = PLANS[chosen] if tenants is None else dataclasses.replace(PLANS[chosen], tenants=tenants, name="other")
    logging.getLogger("aiohttp").setLevel(logging.ERROR)
    print(machine(), flush=True)
    found = Findings()
    whole = plan.name == "full" and not only
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop, it takes everything down as well
    asyncio.run(measure(plan, only or tuple(PARTS), found, whole=whole))
    for name, value in sorted(found.figures.items()):
        print(f"{name:40s} {value:12.3f}")
    for problem in found.raw.get("problems", []):
        print(f"PROBLEM {problem}")
    if raw is not None:
        raw.write_text(json.dumps({"figures": found.figures, "raw": found.raw}, indent=1) + "\n")
    if whole:
        plots.draw(found)
        pages.write(found, machine())
        print("written to bench/results/operator.json, docs/images and docs/performance.md")


async def measure(plan: Plan, names: tuple[str, ...], found: Findings, *, whole: bool) -> None:
    """Run the parts in order; what was found is written after each, so that nothing is lost."""
    began, told = time.monotonic(), 0.0

    def say(text: str) -> None:
        nonlocal told
        if time.monotonic() - told >= 2:
            told = time.monotonic()
            print(f"{_clock(told - began)} {text}", flush=True)

    found.raw["plan"] = dataclasses.asdict(plan)
    found.raw["load_at_begin"] = load()
    async with site() as here:
        run = Run(here, plan, found, say)
        for name in names:
            if time.monotonic() - began > plan.whole_s:
                found.raw.setdefault("problems", []).append(f"{name}: not measured, the time was over")
                continue
            print(f"{_clock(time.monotonic() - began)} -- {name} (load {load():.1f})", flush=True)
            try:
                await PARTS[name](run)
            except Exception as error:  # the other parts are worth having
                traceback.print_exc()
                found.raw.setdefault("problems", []).append(f"{name}: {type(error).__name__}: {error}")
            found.raw["seconds"] = time.monotonic() - began
            if whole:
                write_figures("operator", found.figures, raw=found.raw)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


if __name__ == "__main__":
    main()
