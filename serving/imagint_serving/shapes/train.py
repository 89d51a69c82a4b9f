"""Train the bundled model anew: `python -m imagint_serving.shapes.train`, five to seven minutes on one CPU core.

Writes the diffusers folder only when the new weights pass the scorer's gate, so a bad run cannot replace a good model.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from imagint_serving.models import bundled
from imagint_serving.shapes.pipeline import ShapesPipeline
from imagint_serving.shapes.score import GATE, report, score_pipeline
from imagint_serving.shapes.tokenizer import ShapesTokenizer
from imagint_serving.shapes.training import Network, Recipe, new_network, train

_SEEDS = 3


def as_pipeline(network: Network) -> ShapesPipeline:
    """Return trained parts as the pipeline that is saved and served."""
    unet = network.unet.to(memory_format=torch.contiguous_format).eval()
    pipeline = ShapesPipeline(
        ShapesTokenizer(), network.text_encoder.eval(), unet, FlowMatchEulerDiscreteScheduler(shift=1.0)
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def fit(recipe: Recipe, console: Console) -> Network:
    """Train from nothing, showing how far it is."""
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
    network, recent = new_network(recipe.seed), 1.0
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("training", total=recipe.steps, loss=recent)
        for loss in train(network, recipe):
            recent = 0.95 * recent + 0.05 * loss
            progress.update(task, advance=1, loss=recent)
    return network


def save(pipeline: ShapesPipeline, folder: Path) -> None:
    """Write the folder, leaving no trace of where it was made in it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        pipeline.save_pretrained(scratch, safe_serialization=True)
        for path in Path(scratch).rglob("*"):
            if path.is_file():
                target = folder / path.relative_to(scratch)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.chmod(0o644)
                path.replace(target)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=bundled("shapes"), show_default=True)
@click.option("--seed", default=Recipe().seed, show_default=True)
@click.option("--steps", default=Recipe().steps, show_default=True, help="Batches to train on.")
def main(out: Path, seed: int, steps: int) -> None:
    """Train, score, and write the model to OUT if it is good enough."""
    torch.set_num_threads(1)
    console = Console()
    pipeline = as_pipeline(fit(Recipe(seed=seed, steps=steps), console))
    mean = report([score_pipeline(pipeline, each) for each in range(_SEEDS)], console)
    if mean < GATE:
        console.print(f"[red]{mean:.1%} is below the gate of {GATE:.0%}: nothing was written[/red]")
        sys.exit(1)
    save(pipeline, out)
    console.print(f"wrote {out}")


if __name__ == "__main__":
    main()
