"""Who is in the scene at an instant: numbers, places, sizes, ways.

Walkers cross the floor in straight lines; whoever has left is followed by somebody new with a new
number. People with other motions stay in their places. All from one seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M
from edge.capture._synthetic.motion import Motion

_SPREAD_M = (1.5, 1.0)  # half the floor that people in place share, right and away
_APART_M = 0.85


@dataclass(frozen=True)
class Traits:
    """What stays the same as long as a person is there."""

    number: int
    stature_m: float
    own: np.ndarray  # [3] 0..1 for the motion
    curl: float
    place: np.ndarray  # [2] m, in place: where; on a lane: where it crosses the middle
    heading: float  # rad from world x
    colours: np.ndarray  # [5,3] u8 BGR: skin, hair, shirt, trousers, shoes
    onset_s: float  # when a motion that happens once begins


@dataclass(frozen=True)
class Cast:
    """Everybody at one instant."""

    traits: List[Traits]
    t_s: np.ndarray  # [N] for the motion
    place: np.ndarray  # [N,2] m over the floor

    def column(self, name: str) -> np.ndarray:
        """One trait of all as an array."""
        return np.array([getattr(t, name) for t in self.traits])


class People:
    """The cast of a scene.

    Args:
        motions: one per person, 0 = the first.
        seed: the same seed gives the same people.
        event_s: when motions that happen once begin; each person but the first up to 1 s later.
        lane_m: walkers appear and vanish this far to the sides.
    """

    def __init__(self, motions: Sequence[Motion], seed: int, event_s: float, lane_m: float) -> None:
        self.motions = list(motions)
        self._seed, self._event_s, self._lane_m = seed, event_s, lane_m
        self._known: Dict[int, Tuple[int, Traits]] = {}
        self._places = _places(len(self.motions), seed)
        rng = np.random.default_rng([seed, 7])
        # Of each walker: how much of the lane is behind at the start, and the pace.
        self._starts = rng.uniform((0.2, 0.85), (0.75, 1.15), (len(self.motions), 2)).tolist()

    def at(self, t_s: float) -> Cast:
        """Everybody who is there."""
        traits, times, places = [], [], []
        for person, motion in enumerate(self.motions):
            who, along_m, t = self._now(person, motion, t_s)
            step = along_m * np.array([np.cos(who.heading), np.sin(who.heading)])
            traits.append(who)
            times.append(t)
            places.append(who.place + step)
        return Cast(traits, np.array(times), np.array(places).reshape(-1, 2))

    def _now(self, person: int, motion: Motion, t_s: float) -> Tuple[Traits, float, float]:
        """Who plays a part now, how far along the lane, and the time of the motion."""
        if motion.speed:
            return self._walker(person, motion, t_s)
        if motion.span_s:
            lap, into_s = divmod(t_s, motion.span_s)
            return self._traits(person, int(lap)), 0.0, into_s
        who = self._traits(person, 0)
        return who, 0.0, t_s - who.onset_s if motion.once else t_s

    def _walker(self, person: int, motion: Motion, t_s: float) -> Tuple[Traits, float, float]:
        share, haste = self._starts[person]
        pace_mps = motion.speed * STATURE_M * haste
        span_s = 2 * self._lane_m / pace_mps
        lap, into_s = divmod(t_s + share * span_s, span_s)
        return self._traits(person, int(lap)), pace_mps * into_s - self._lane_m, t_s

    def _traits(self, person: int, lap: int) -> Traits:
        known = self._known.get(person)
        if known is None or known[0] != lap:
            known = self._known[person] = lap, self._born(person, lap)
        return known[1]

    def _born(self, person: int, lap: int) -> Traits:
        rng = np.random.default_rng([self._seed, person, lap, 3])
        if self.motions[person].speed:
            place = np.array([0.0, rng.uniform(-1.4, 2.4)])
            heading = rng.choice([0.0, np.pi]) + rng.uniform(-0.3, 0.3)
        else:
            place = self._places[person]
            heading = -np.pi / 2 + rng.uniform(-0.7, 0.7)  # more or less to camera 0
        return Traits(
            number=person + lap * len(self.motions),
            stature_m=float(np.clip(rng.normal(STATURE_M, 0.09), 1.45, 2.0)),
            own=rng.uniform(0, 1, 3),
            curl=float(rng.uniform(0.15, 0.6)),
            place=place,
            heading=float(heading),
            colours=_colours(rng),
            onset_s=self._event_s + (rng.uniform(0, 1) if person else 0.0),
        )


def _places(count: int, seed: int) -> np.ndarray:
    """[count,2] places on the floor that do not touch, first come first served."""
    rng = np.random.default_rng([seed, 11])
    grow = max(1.0, (count / 5) ** 0.5)
    size = np.array(_SPREAD_M) * grow
    found = [np.zeros(2)] if count == 1 else []
    tries = 0
    while len(found) < count:
        place = rng.uniform(-size, size)
        tries += 1
        apart_m = _APART_M if tries < 200 * count else 0.0
        if all(np.hypot(*(place - other)) > apart_m for other in found):
            found.append(place)
    return np.array(found).reshape(-1, 2)


_SKINS = ((176, 208, 240), (140, 180, 226), (110, 150, 205), (80, 115, 170), (50, 75, 120))
_HAIRS = ((30, 35, 40), (40, 60, 95), (60, 90, 140), (110, 165, 205), (150, 150, 155))


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Skin, hair, shirt, trousers and shoes."""
    shirt = rng.integers(50, 230, 3)
    trousers = rng.integers(40, 130, 3)
    shoes = rng.integers(20, 80, 3)
    skin, hair = _SKINS[rng.integers(len(_SKINS))], _HAIRS[rng.integers(len(_HAIRS))]
    return np.array([skin, hair, shirt, trousers, shoes], np.uint8)
