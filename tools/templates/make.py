"""Make a template from one or several repetitions."""

from __future__ import annotations

import dataclasses
from typing import List, Sequence, Tuple

import numpy as np
from dtaidistance import dtw_ndim

from edge.errors import DataError
from edge.rules._action.features import NAMES
from edge.rules._action.judge import judge
from edge.rules._action.template import Phase, Template, as_table, of_table

RATE_HZ = 20.0
THRESHOLD = 1.4  # loose: views and builds cost; `judge` asks whether it moves alike, too
LEAST_TOLERANCE = 0.25  # views, builds and networks differ by this without anybody's fault
PHASES = (Phase("start", 0.25), Phase("middle", 0.75), Phase("end", 1.0))


def resampled(degrees: np.ndarray, t_s: np.ndarray, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Inclinations [M,9] at a constant rate; gaps are filled in from both sides.

    Args:
        degrees: [T,9], NaN = not seen.
        t_s: [T] rising.
        rate_hz: of the result.

    Raises:
        DataError: a limb was never seen.
    """
    times = np.arange(t_s[0], t_s[-1], 1 / rate_hz)
    columns = []
    for limb, column in enumerate(degrees.T):
        known = ~np.isnan(column)
        if not known.any():
            raise DataError(f"{NAMES[limb]} is never seen in this repetition; record it again")
        columns.append(np.interp(times, t_s[known], column[known]))
    return np.stack(columns, 1)


def from_examples(
    name: str,
    examples: Sequence[np.ndarray],
    source: str,
    licence: str,
    phases: Sequence[Phase] = PHASES,
    rate_hz: float = RATE_HZ,
) -> Template:
    """A template: the mean of the examples, aligned to the one in their middle.

    Args:
        name: of the exercise.
        examples: each [T,9] reaches at `rate_hz`, one repetition.
        source: where they come from.
        licence: of the motion.
        phases: of one repetition.
        rate_hz: of the examples.
    """
    middle = _medoid(examples)
    aligned = np.stack([_onto(example, examples[middle]) for example in examples])
    spread = aligned.std(0).mean(0)
    mean = aligned.mean(0)
    table = {
        "name": name,
        "source": source,
        "licence": licence,
        "rate_hz": rate_hz,
        "limbs": list(NAMES),
        "reaches": mean.tolist(),
        "tolerances": np.maximum(2 * spread, LEAST_TOLERANCE).tolist(),
        "phases": [dataclasses.asdict(phase) for phase in phases],
        "threshold": THRESHOLD,
        "examples": len(examples),
    }
    made = of_table(table)
    usual = float(np.median([judge(made, e, False).deviation for e in examples]))
    return of_table(as_table(dataclasses.replace(made, usual=usual)))


def _medoid(examples: Sequence[np.ndarray]) -> int:
    """Index of the example that is nearest to all others."""
    sums: List[float] = [
        sum(float(dtw_ndim.distance(a.copy(), b.copy())) for b in examples) for a in examples
    ]
    return int(np.argmin(sums))


def _onto(example: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """An example warped to the frames of another: the mean of what belongs to each frame."""
    path: List[Tuple[int, int]] = dtw_ndim.warping_path(frame.copy(), example.copy())
    at, of = np.array(path).T
    sums = np.zeros_like(frame)
    np.add.at(sums, at, example[of])
    return sums / np.bincount(at, minlength=len(frame))[:, None]
