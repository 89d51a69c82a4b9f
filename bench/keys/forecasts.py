"""What forgetting one costs at any number of subjects: a formula, fitted on 10^3 to 10^5, tried at the largest size.

The tree is a trie over a hash, so how many subjects fall into one run of the hash is Poisson. With S subjects to a
full leaf, F(m) = P(Poisson(m) >= S) says how often a run that expects m others is split further, and

    nodes(N) = 2 + F(N / 256) + F(N / 256^2) + F(N / 256^3) + ...     leaf, root, and each branch between them
    bytes(N) = leaf + sum over those branches of 62 + 70 * children(N / 256^j)
    time(N)  = a + b * bytes(N)

`children(m)` counts the runs that a branch holds when it expects m subjects below. Only three constants are fitted: a,
b and `scale`, which multiplies bytes(N). It must not look at the largest size when it fits.
"""

from __future__ import annotations

import math
import statistics
from typing import Any, Final

from bench.keys.findings import Findings, label

from imagint_privacy.keys.branches import REF_BYTES
from imagint_privacy.keys.edits import LEAF_LIMIT
from imagint_privacy.keys.leaves import PATH_BYTES
from imagint_privacy.keys.paths import SUBJECT_BYTES
from imagint_privacy.keys.seals import OVERHEAD

FAR: Final = 100_000_000
_LEAF_HEAD: Final = 29
_SUBJECT: Final = SUBJECT_BYTES + 2 + 3 * PATH_BYTES
SUBJECTS: Final = (LEAF_LIMIT - _LEAF_HEAD) // _SUBJECT
"""S: how many subjects with three paths fill a leaf."""
_LEVELS: Final = 8
TIMES: Final = ("forget_one_ms", "forget_one_cpu_ms")


def poisson_below(mean: float, count: int) -> float:
    """Return P(Poisson(mean) < count)."""
    if mean > 700:
        return 0.0
    term = total = math.exp(-mean)
    for k in range(1, count):
        term *= mean / k
        total += term
    return min(total, 1.0)


def split(mean: float) -> float:
    """Return F(mean): how often the run of a subject that expects this many others is split."""
    return 1.0 - poisson_below(mean, SUBJECTS)


def children(mean: float) -> float:
    """Return how many runs a branch holds that expects this many subjects: 256 when it is full."""
    runs = 0.0
    for bits in range(1, 9):
        here = mean / (1 << bits)
        both = _both(here, at_most=SUBJECTS if bits < 8 else None)
        runs += (1 << bits) * both
    return max(runs, 1.0)


def _both(mean: float, at_most: int | None) -> float:
    """Return P(a run holds 1 to `at_most` subjects, and with its other half more than a leaf does)."""
    if mean > 300:
        return 0.0 if at_most is not None else 1.0
    found, term = 0.0, math.exp(-mean)
    for k in range(1, 1000):
        term *= mean / k
        if at_most is not None and k > at_most:
            break
        if term < 1e-15 and k > mean:
            break
        found += term * (1.0 - poisson_below(mean, SUBJECTS - k + 1) if k <= SUBJECTS else 1.0)
    return found


def nodes(size: float) -> float:
    """Return how many nodes forgetting one subject writes anew."""
    return 2.0 + sum(split(size / 256**level) for level in range(1, _LEVELS))


def written(size: float) -> float:
    """Return about how many sealed bytes forgetting one subject writes anew."""
    held = size
    while held > SUBJECTS:
        held /= 2
    total = OVERHEAD + _LEAF_HEAD + _SUBJECT * held
    for level in range(_LEVELS):
        mean = size / 256**level
        likely = 1.0 if level == 0 else split(mean)
        if likely > 1e-9:
            total += likely * (OVERHEAD + 33 + (REF_BYTES + 2) * children(max(mean, SUBJECTS + 1.0)))
    return total


def fit(points: dict[int, dict[str, float]]) -> dict[str, Any]:
    """Fit scale, and a and b for each kind of time, by least squares on the sizes given."""
    scale = statistics.mean(row["forget_one_bytes"] / written(size) for size, row in points.items())
    xs = [scale * written(size) for size in points]
    return {"scale": scale} | {name: _line(xs, [row[name] for row in points.values()]) for name in TIMES}


def _line(xs: list[float], ys: list[float]) -> dict[str, float]:
    slope, intercept = statistics.linear_regression(xs, ys) if len(xs) > 1 else (0.0, ys[0])
    # Noise can tilt so flat a line downwards; more bytes never cost less.
    if slope < 0:
        slope, intercept = 0.0, statistics.mean(ys)
    return {"a_ms": intercept, "b_ms_per_byte": slope}


def predict(size: int, constants: dict[str, Any]) -> dict[str, float]:
    """Return nodes, bytes and times of forgetting one at a size."""
    sealed = constants["scale"] * written(size)
    lines = {name: constants[name] for name in TIMES}
    times = {name: line["a_ms"] + line["b_ms_per_byte"] * sealed for name, line in lines.items()}
    return {"forget_one_nodes": nodes(size), "forget_one_bytes": sealed, **times}


def conclude(rows: dict[int, dict[str, float]], found: Findings) -> None:
    """Fit on all sizes but the largest, try the largest, and say what to expect at 10^8."""
    largest = max(rows)
    constants = fit({size: row for size, row in rows.items() if size != largest})
    told: dict[str, Any] = {"constants": constants, "subjects_per_leaf": SUBJECTS}
    predicted, measured = predict(largest, constants), rows[largest]
    for name, value in predicted.items():
        found.set(f"model_{name}_at_{label(largest)}_over_measured", value / measured[name])
    far = predict(FAR, constants)
    for name, value in far.items():
        found.set(f"model_{name}_at_{label(FAR)}", value)
    told |= {"predicted": {str(largest): predicted, str(FAR): far}, "largest": largest}
    told["curve"] = {str(size): predict(size, constants) for size in sorted({*rows, *(10**n for n in range(3, 9))})}
    found.raw["model"] = told
