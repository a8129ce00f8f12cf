"""Counts of repetitions by person and side, and the progress of a plan."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from edge.rules._rom.compensation import NAMES
from edge.rules._rom.repetitions import Repetition
from edge.structures import JsonValue

_RECENT = 0.3  # weight of the newest repetition in the mean for the asymmetry
ENOUGH = 3  # repetitions of each side before sides are compared


def fields(count: int) -> Dict[str, Any]:
    """What is kept of a new person for `count` sides."""
    zeros = np.zeros(count)
    return {
        "count": np.zeros(count, np.int64),
        "good": np.zeros(count, np.int64),
        "range_sum": zeros,
        "range_best": zeros,
        "range_worst": np.full(count, np.inf),
        "range_recent": zeros,
        "time_sum": zeros,
        "hold_sum": zeros,
        "alarms": 0,
        "compensated": np.zeros(len(NAMES), np.int64),
        "uneven": False,
        "sets": 0,
        "unsure_s": 0.0,
        "watched_s": 0.0,
    }


def add(row: Any, person: int, side: int, found: Repetition, is_good: bool) -> None:
    """Count a repetition.

    Args:
        row: arrays by name; `row[name][person]` is changed in place.
        person: row of the person.
        side: index of the angle.
        found: the repetition.
        is_good: whether it counts for the plan.
    """
    at, size = (person, side), found.high_deg - found.low_deg
    before = row["range_recent"][at] if row["count"][at] else size
    row["range_recent"][at] = before + _RECENT * (size - before)
    row["count"][at] += 1
    row["good"][at] += is_good
    row["range_sum"][at] += size
    row["range_best"][at] = max(row["range_best"][at], size)
    row["range_worst"][at] = min(row["range_worst"][at], size)
    row["time_sum"][at] += found.duration_s
    row["hold_sum"][at] += found.hold_s


def sides(row: Any, person: int, names: List[str]) -> Dict[str, JsonValue]:
    """Counts, and means over all repetitions, by name of the angle."""
    told: Dict[str, JsonValue] = {}
    for side, name in enumerate(names):
        at = (person, side)
        n = int(row["count"][at])
        each = {"repetitions": n, "good": int(row["good"][at])}
        told[name] = {**each, **(_means(row, at, n) if n else {})}
    return told


def _means(row: Any, at: Any, n: int) -> Dict[str, float]:
    return {
        "range_deg": round(float(row["range_sum"][at]) / n, 1),
        "best_deg": round(float(row["range_best"][at]), 1),
        "worst_deg": round(float(row["range_worst"][at]), 1),
        "duration_s": round(float(row["time_sum"][at]) / n, 2),
        "hold_s": round(float(row["hold_sum"][at]) / n, 2),
    }
