"""Draws what was measured: PNG files in `docs/images`, from the raw numbers of a run. It measures nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from bench.keys.findings import Findings
from bench.operator.words import PUBLISHED
from matplotlib import pyplot as plt

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
OURS, OTHER, THIRD, GREY = "#0b6e4f", "#c1292e", "#3d5a98", "#999999"
NAMES: Final = {
    "operator-convergence": "How many tenants, models and requests had converged, over time",
    "operator-status": "Time from a change to its status",
    "operator-rates": "Rates beside published ones",
}


def draw(found: Findings, folder: Path = FOLDER) -> list[Path]:
    """Write every plot whose numbers are there, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    drawn = []
    pictures: Mapping[str, Callable[[Findings], Any]] = {
        "operator-convergence": _convergence, "operator-status": _status, "operator-rates": _rates,
    }  # fmt: skip
    for name in NAMES:
        figure = pictures[name](found)
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=130, metadata={"Software": None})
        plt.close(figure)
        drawn.append(path)
    return drawn


def _convergence(found: Findings) -> Any:
    plan = found.raw["plan"]
    tenants = plan["tenants"]
    panels = (
        ("tenants", tenants, (("ready", "Ready", OURS), ("served", "served", THIRD))),
        ("models", tenants * plan["models_each"], (("ready", "Ready", OURS),)),
        ("requests", tenants * 5, (("told", "status told", THIRD), ("ended", "at their end", OURS))),
    )
    figure, axes = plt.subplots(1, 3, figsize=(12.0, 4.2), layout="constrained")
    for at, (name, many, curves) in zip(axes, panels, strict=True):
        raw = found.raw.get(name, {})
        for curve, label, colour in curves:
            moments = raw.get(curve, [])
            at.plot(moments, _shares(moments, many), color=colour, label=label)
        at.set(xlabel="seconds", ylabel=name, title=f"{many:,} {name}")
        at.set_xlim(left=0)
        at.set_ylim(0, many * 1.05)
        at.grid(visible=True, alpha=0.3)
        at.legend(loc="lower right")
    return figure


def _shares(moments: Sequence[float], many: int) -> list[float]:
    return [many * (place + 1) / len(moments) for place in range(len(moments))]


def _status(found: Findings) -> Any:
    figure, axes = plt.subplots(figsize=(8.0, 4.5), layout="constrained")
    for (name, seconds), colour in zip(found.raw.get("changes", {}).items(), (OURS, THIRD), strict=False):
        ordered = sorted(seconds)
        shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
        axes.step(ordered, shares, where="post", color=colour, label=f"{name} ({len(ordered)} changes)")
    axes.axvline(1.0, color=OTHER, ls="--", label="to reach at 99 %")
    axes.set(xscale="log", xlabel="seconds from a change to its status", ylabel="share of the changes", ylim=(0, 1.02))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def _rates(found: Findings) -> Any:
    wanted = (
        ("looks, all", "reconciles_per_s"),
        ("looks at requests", "reconciles_per_s_requests"),
        ("requests at their end", "requests_ended_per_s"),
        ("looks at tenants", "reconciles_per_s_tenants"),
    )
    ours = [(f"Imagint: {text}", found.figures[name], OURS) for text, name in wanted if name in found.figures]
    bars = [*ours, *((text, rate, GREY) for text, rate in PUBLISHED)][::-1]
    figure, axes = plt.subplots(figsize=(9.0, 4.5), layout="constrained")
    axes.barh([text for text, _, _ in bars], [rate for _, rate, _ in bars], color=[colour for _, _, colour in bars])
    axes.set(xlabel="per second (grey: published, derived, other hardware and other objects)")
    axes.grid(visible=True, axis="x", alpha=0.3)
    return figure
