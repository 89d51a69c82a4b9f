"""Score a folder of the shapes model: `python -m imagint_serving.shapes.score [FOLDER]`.

Asks for all ninety pictures once a seed and exits with 1 below the gate. The command alone; the measure is `scoring`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table

from imagint_serving.models import bundled
from imagint_serving.shapes.drawings import every_scene, sentences
from imagint_serving.shapes.pipeline import ShapesPipeline
from imagint_serving.shapes.scoring import Score, score

GATE = 0.95
"""The least share of the ninety prompts that a model fit to ship gets entirely right, on average over the seeds."""

_BATCH = 30


def score_pipeline(pipeline: ShapesPipeline, seed: int) -> Score:
    """Return how many of the ninety prompts come out right, each with a seed of its own counted from `seed`."""
    scenes = every_scene()
    prompts, pictures = sentences(scenes), []
    for start in range(0, len(prompts), _BATCH):
        batch = prompts[start : start + _BATCH]
        generators = [torch.Generator().manual_seed(seed * 1000 + start + i) for i in range(len(batch))]
        pictures.append(pipeline(batch, generator=generators, output_type="pt", return_dict=False)[0])
    return score(torch.cat(pictures) * 2 - 1, scenes)


def report(scores: list[Score], console: Console) -> float:
    """Print one row a seed and return the mean share entirely right."""
    table = Table("seed", "colour", "shape", "background", "all right", title="90 prompts a seed")
    for seed, each in enumerate(scores):
        shares = (each.foreground, each.shape, each.background, each.everything)
        table.add_row(str(seed), *(f"{share:.1%}" for share in shares))
    mean = sum(each.everything for each in scores) / len(scores)
    table.add_section()
    table.add_row("mean", "", "", "", f"{mean:.1%}")
    console.print(table)
    return mean


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=bundled("shapes"))
@click.option("--seeds", default=3, show_default=True, help="How often all ninety prompts are drawn.")
def main(folder: Path, seeds: int) -> None:
    """Score the model in FOLDER (the bundled one, if none is named)."""
    torch.set_num_threads(1)
    console = Console()
    pipeline = ShapesPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    mean = report([score_pipeline(pipeline, seed) for seed in range(seeds)], console)
    if mean < GATE:
        console.print(f"[red]below the gate of {GATE:.0%}[/red]")
        sys.exit(1)


if __name__ == "__main__":
    main()
