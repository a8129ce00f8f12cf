"""Times and means of rules that keep arrays of people."""

from __future__ import annotations

import numpy as np


def approach(
    field: np.ndarray, rows: np.ndarray, value: np.ndarray, dt_s: np.ndarray, mean_s: float
) -> None:
    """Update an exponential mean over `mean_s`, independent of the frame rate."""
    field[rows] += -np.expm1(-dt_s / mean_s) * (value - field[rows])


def start(field: np.ndarray, rows: np.ndarray, now: np.ndarray, t_ns: int) -> None:
    """Set the time of rows where `now` is true and no time is set."""
    begins = rows[now & (field[rows] < 0)]
    field[begins] = t_ns


def since_s(times_ns: np.ndarray, t_ns: int) -> np.ndarray:
    """Seconds since times in ns."""
    return (t_ns - times_ns) * 1e-9


def recent(times_ns: np.ndarray, t_ns: int, within_s: float) -> np.ndarray:
    """Which times, -1 = none, are at most so long ago."""
    return (times_ns >= 0) & (since_s(times_ns, t_ns) <= within_s)
