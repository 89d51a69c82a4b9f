"""Draws what was measured: three PNG files in `docs/images`, from the raw numbers of a run. It measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib import ticker

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
OURS, NAIVE, SQLITE, POSTGRES, GREY = "#0b6e4f", "#c1292e", "#e08e45", "#3d5a98", "#666666"
_SIZE = (8.0, 5.0)


def draw(raw: Mapping[str, Any], folder: Path = FOLDER) -> list[Path]:
    """Write every plot whose numbers are there, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    mpl.use("Agg")
    drawn = []
    for name, needs, picture in (
        ("keys-forget-one", "growth", _forget_one),
        ("keys-tree", "growth", _tree),
        ("keys-gdprbench", "gdprbench", _mixes),
    ):
        if needs in raw:
            figure = picture(raw)
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=130, metadata={"Software": None})
            plt.close(figure)
            drawn.append(path)
    return drawn


def _forget_one(raw: Mapping[str, Any]) -> Any:
    """Forgetting one, ours and the alternatives, over the number of subjects; extrapolations are dashed."""
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    growth = _numbers(raw["growth"])
    axes.plot(*_xy(growth, "forget_one_ms", 1e-3), "o-", color=OURS, lw=2.5, label="key tree, measured")
    curve = _numbers(raw["model"]["curve"])
    axes.plot(*_xy(curve, "forget_one_ms", 1e-3), "--", color=GREY, lw=1.5, label=_fitted(raw["model"]))
    if "naive" in raw:
        seconds = {int(n): s for n, s in raw["naive"]["seconds"].items()}
        axes.plot(list(seconds), list(seconds.values()), "s-", color=NAIVE, label="re-wrap all keys, measured")
        last = max(seconds)
        far = {last: seconds[last]} | {int(n): s for n, s in raw["naive"]["extrapolated"].items()}
        axes.plot(list(far), list(far.values()), ":", color=NAIVE, label="re-wrap all keys, extrapolated")
    if "rows" in raw:
        labels = (("sqlite", SQLITE, "^", "SQLite"), ("postgres", POSTGRES, "v", "PostgreSQL"))
        for key, colour, mark, name in labels:
            points = {int(n): s for n, s in raw["rows"][key].items()}
            if points:
                text = f"{name}: delete rows and vacuum, measured"
                axes.plot(list(points), list(points.values()), f"{mark}-", color=colour, label=text)
    axes.set(xscale="log", yscale="log", xlabel="subjects held", ylabel="seconds to forget one")
    axes.set_title("Forgetting one subject")
    _finish(axes)
    return figure


def _fitted(model: Mapping[str, Any]) -> str:
    return f"key tree, model fitted below {model['largest']:,}"


def _tree(raw: Mapping[str, Any]) -> Any:
    """Rates and times of the tree by size, in two panels."""
    growth = _numbers(raw["growth"])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.0, 4.6), layout="constrained")
    for name, colour, mark, text in (
        ("lookup_warm_per_s", OURS, "o", "look-ups, warm"),
        ("forget_batch_per_s", NAIVE, "s", "forgotten, in batches"),
        ("insert_batch_per_s", POSTGRES, "^", "inserted, in groups as large"),
    ):
        left.plot(*_xy(growth, name), f"{mark}-", color=colour, label=text)
    left.set(xscale="log", yscale="log", xlabel="subjects held", ylabel="per second, one process")
    left.set_title("Rates (batches of 1,000; of 100 at 10³)")
    for name, colour, mark, text in (
        ("lookup_cold_p99_ms", NAIVE, "s", "look-up, cold: p99"),
        ("lookup_cold_p50_ms", OURS, "o", "look-up, cold: median"),
        ("forget_one_ms", POSTGRES, "^", "forget one: median"),
    ):
        right.plot(*_xy(growth, name), f"{mark}-", color=colour, label=text)
    right.set(xscale="log", yscale="log", xlabel="subjects held", ylabel="milliseconds")
    right.set_title("Times")
    right.yaxis.set_major_formatter(ticker.FuncFormatter(_plain))
    right.yaxis.set_minor_formatter(ticker.FuncFormatter(_plain))
    for axes in (left, right):
        _finish(axes)
    return figure


def _mixes(raw: Mapping[str, Any]) -> Any:
    """Overhead of each role's mix, on each database."""
    roles = raw["gdprbench"]["roles"]
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    names = list(next(iter(roles.values())))
    styles = {"sqlite": (SQLITE, "SQLite"), "postgres": (POSTGRES, "PostgreSQL")}
    width = 0.8 / len(roles)
    for place, (store, found) in enumerate(roles.items()):
        colour, text = styles[store]
        heights = [100 * found[name]["with_overhead"] for name in names]
        xs = [index + (place - (len(roles) - 1) / 2) * width for index in range(len(names))]
        bars = axes.bar(xs, heights, width, color=colour, label=text)
        axes.bar_label(bars, fmt="%.0f %%", padding=2, fontsize=9)
    axes.axhline(25, color=GREY, ls="--", lw=1, label="to reach: at most 25 %")
    axes.axhline(0, color="black", lw=0.8)
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="more time than the same store unencrypted, %")
    axes.set_title("GDPRbench mixes: what the layer costs")
    axes.margins(y=0.15)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plain(value: float, _position: object = None) -> str:
    """Write a tick as a plain number; on a short logarithmic axis only these leave room for each other."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""


def _finish(axes: Any) -> None:
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _numbers(rows: Mapping[str, Mapping[str, float]]) -> dict[int, Mapping[str, float]]:
    return {int(size): row for size, row in rows.items()}


def _xy(rows: Mapping[int, Mapping[str, float]], name: str, factor: float = 1.0) -> tuple[list[int], list[float]]:
    return sorted(rows), [rows[size][name] * factor for size in sorted(rows)]
