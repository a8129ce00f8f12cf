"""The contract of a motion: the postures of people over time.

Angles are degrees about the axes of `body`. Bending a limb to the front is negative about y,
bending a knee positive about y, raising a left arm sideways positive about x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Protocol, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import AT, chained, turns

X, Y, Z = 0, 1, 2
Extremes = Sequence[Tuple[float, float]]


@dataclass
class Move:
    """Joint angles of N people, each at one time."""

    angles: np.ndarray  # [N,15,3] degrees of each segment against its parent
    lift: np.ndarray  # [N] metres between the floor and the lowest point of the body
    curl: np.ndarray  # [N,2] of left and right hand

    def turn(self, name: str, axis: int, degrees: np.ndarray) -> None:
        """Add to one angle of one segment; degrees: [N]."""
        self.angles[:, AT[name], axis] += degrees

    def both(self, limb: str, axis: int, degrees: np.ndarray) -> None:
        """Add to both sides, mirrored: rotations about x and z get the opposite sign."""
        for side, sign in (("left", 1.0), ("right", 1.0 if axis == Y else -1.0)):
            self.turn(f"{side}_{limb}", axis, sign * degrees)

    def flatten_feet(self) -> None:
        """Keep the soles horizontal at any leg angle."""
        for side in ("left", "right"):
            above = [AT["pelvis"], AT[f"{side}_thigh"], AT[f"{side}_shank"]]
            self.angles[:, AT[f"{side}_foot"], Y] = -self.angles[:, above, Y].sum(1)


Play = Callable[[np.ndarray, np.ndarray], Move]


@dataclass(frozen=True)
class Posture:
    """Postures of N people, each at one time, as axes of their segments."""

    frames: np.ndarray  # [N,15,3,3], x in the direction of the person's heading
    lift: np.ndarray  # [N] metres between the floor and the lowest point of the body
    travel: np.ndarray  # [N,2] statures to the front and to the left of the person's place
    curl: np.ndarray  # [N,2] of left and right hand


class Motion(Protocol):
    """One kind of motion, played by any number of people."""

    @property
    def speed(self) -> float:
        """Statures per second over the floor; 0 = in place."""

    @property
    def planted(self) -> bool:
        """Whether the feet stay in place."""

    @property
    def once(self) -> bool:
        """Whether it happens once: its time is negative before the start."""

    @property
    def span_s(self) -> float:
        """Time until another person starts it from the beginning; 0 = it never ends."""

    def at(self, t_s: np.ndarray, own: np.ndarray) -> Posture:
        """Postures at [N] seconds; own: [N,3] random numbers 0..1, constant for each person."""


@dataclass(frozen=True)
class Gait:
    """A motion by formula: `play` gives joint angles for the arguments of `Motion.at`."""

    play: Play
    speed: float = 0.0
    planted: bool = True
    once: bool = False
    span_s: float = 0.0

    def at(self, t_s: np.ndarray, own: np.ndarray) -> Posture:
        """Postures at [N] seconds, see `Motion.at`."""
        move = self.play(t_s, own)
        still = np.zeros((len(t_s), 2))
        return Posture(chained(turns(move.angles)), move.lift, still, move.curl)


def ease(phase: np.ndarray, extremes: Extremes) -> np.ndarray:
    """A smooth curve through (phase, value) extremes: half a cosine between neighbours."""
    at, value = np.array(extremes).T
    i = np.clip(np.searchsorted(at, phase, side="right") - 1, 0, len(at) - 2)
    share = np.clip((phase - at[i]) / (at[i + 1] - at[i]), 0, 1)
    out: np.ndarray = value[i] + (value[i + 1] - value[i]) * (1 - np.cos(np.pi * share)) / 2
    return out
