"""`make bench NAME=keys`, or `python -m bench.keys [--quick] [--only PART]`: measure, tell, write figures and page.

A whole run writes `bench/results/keys.json`, the plots in `docs/images` and its section of `docs/performance.md`. A
quick or partial one writes nothing but its table on the screen.
"""

from __future__ import annotations

import sys
import time

import click
from bench.keys import pages, plots
from bench.keys.findings import Findings
from bench.keys.parts import PARTS, run
from bench.keys.plans import PLANS, Plan
from bench.machine import machine, write_figures
from rich.console import Console
from rich.table import Table


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes, under two minutes; writes no file.")
@click.option("--plan", "chosen", type=click.Choice(sorted(PLANS)), default="full", show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Measure this part; may be repeated.")
def main(*, quick: bool, chosen: str, only: tuple[str, ...]) -> None:
    """Measure the key tree beside its alternatives."""
    plan = PLANS["quick" if quick else chosen]
    names = only or tuple(PARTS)
    console = Console()
    console.print(machine(), highlight=False)
    found = measured(plan, names, console)
    console.print(as_table(found))
    if plan.name == "full" and not only:
        path = write_figures("keys", found.figures, raw=found.raw)
        plots.draw(found.raw)
        pages.write(found, machine())
        console.print(f"written to {path.name}, docs/images and docs/performance.md")


def measured(plan: Plan, names: tuple[str, ...], console: Console) -> Findings:
    """Measure, telling what is being measured and since when."""
    started = time.monotonic()
    with console.status("starting") as status:

        def say(text: str) -> None:
            minutes, seconds = divmod(int(time.monotonic() - started), 60)
            status.update(f"[dim]{minutes:02d}:{seconds:02d}[/dim] {text}")

        found = run(plan, names, say)
    found.raw["seconds"] = time.monotonic() - started
    return found


def as_table(found: Findings) -> Table:
    """Put every figure into one table."""
    table = Table("figure", "measured", title="bench/keys")
    table.columns[1].justify = "right"
    for name, value in sorted(found.figures.items()):
        table.add_row(name, pages.number(value))
    return table


if __name__ == "__main__":
    sys.exit(main())
