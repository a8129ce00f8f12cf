"""Values that leave their bounds and come back, without chatter (a Schmitt trigger)."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

_NEVER_NS = -(10**18)


def fields(name: str, count: int) -> Dict[str, Any]:
    """What is kept of a new person for `count` values; `name` begins the names of the fields."""
    return {
        f"{name}_beyond": np.zeros(count, np.int8),  # -1 = below, 1 = above, 0 = within
        f"{name}_since_ns": np.zeros(count, np.int64),  # when `beyond` last changed
        f"{name}_told": np.zeros(count, np.int8),  # `beyond` of the event that has not ended
        f"{name}_told_ns": np.zeros(count, np.int64),
        f"{name}_ended_ns": np.full(count, _NEVER_NS, np.int64),
    }


def step(
    state: Dict[str, np.ndarray],
    name: str,
    value: np.ndarray,
    known: np.ndarray,
    lost: np.ndarray,
    t_ns: int,
    limits: Tuple[np.ndarray, np.ndarray, np.ndarray],
    times_s: Tuple[float, float],
) -> Tuple[np.ndarray, np.ndarray]:
    """Take a frame in; [N,A] bool each: an event starts, and one ends.

    Args:
        state: arrays [N,A] of `fields(name, A)`, changed in place.
        name: of the fields.
        value: [N,A].
        known: [N,A] bool; other values change nothing.
        lost: [N,A] bool; not known for so long that an event is over.
        t_ns: time of the frame.
        limits: [A] lower bound, upper bound, and how far within them an event ends.
        times_s: a value must be beyond, or within again, for the first; an event cannot start
            within the second after one has ended.
    """
    low, high, slack = limits
    beyond, told = state[f"{name}_beyond"], state[f"{name}_told"]
    # Slack holds an event that was told. Before, a frame within the bounds starts the time again.
    above = value > np.where(told > 0, high - slack, high)
    below = value < np.where(told < 0, low + slack, low)
    now = above.astype(np.int8) - below.astype(np.int8)
    now = np.where(lost, 0, np.where(known, now, beyond)).astype(np.int8)
    since_ns = np.where(now != beyond, t_ns, state[f"{name}_since_ns"])
    long = (t_ns - since_ns) * 1e-9 >= times_s[0]
    rested = (t_ns - state[f"{name}_ended_ns"]) * 1e-9 >= times_s[1]
    ends = (told != 0) & (now != told) & (long | lost)
    starts = (told == 0) & (now != 0) & long & rested & known
    state[f"{name}_beyond"], state[f"{name}_since_ns"] = now, since_ns
    state[f"{name}_told"] = np.where(ends, 0, np.where(starts, now, told)).astype(np.int8)
    state[f"{name}_told_ns"] = np.where(starts, since_ns, state[f"{name}_told_ns"])
    state[f"{name}_ended_ns"] = np.where(ends, t_ns, state[f"{name}_ended_ns"])
    return starts, ends
