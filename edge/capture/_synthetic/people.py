"""The people of a scene over time: numbers, places, sizes, paths.

Walkers cross the floor on straight lanes; at the end of a lane, a new person with a new number
starts. People with other motions stay in place. Everything follows from one seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M
from edge.capture._synthetic.motion import Motion

_SPREAD_M = (1.5, 1.0)  # half the floor area of people in place, along x and y
_APART_M = 0.85


@dataclass(frozen=True)
class Traits:
    """The constant properties of a person."""

    number: int
    stature_m: float
    own: np.ndarray  # [3] 0..1, random numbers for the motion
    curl: float
    place: np.ndarray  # [2] m; of a walker, the middle of the lane
    heading: float  # rad from world x
    colours: np.ndarray  # [5,3] u8 BGR: skin, hair, shirt, trousers, shoes
    onset_s: float  # start of a motion that happens once


@dataclass(frozen=True)
class Cast:
    """All people at one time."""

    traits: List[Traits]
    t_s: np.ndarray  # [N] time of each person's motion
    place: np.ndarray  # [N,2] m on the floor

    def column(self, name: str) -> np.ndarray:
        """One trait of all people as an array [N,...]."""
        return np.array([getattr(t, name) for t in self.traits])


class People:
    """The cast of a scene.

    Args:
        motions: one per person, 0 = the first.
        seed: the same seed gives the same people.
        event_s: start of motions that happen once; up to 1 s later for all but the first person.
        lane_m: half the length of a walker's lane.
    """

    def __init__(self, motions: Sequence[Motion], seed: int, event_s: float, lane_m: float) -> None:
        self.motions = list(motions)
        self._seed, self._event_s, self._lane_m = seed, event_s, lane_m
        self._known: Dict[int, Tuple[int, Traits]] = {}
        self._places = _places(len(self.motions), seed)
        rng = np.random.default_rng([seed, 7])
        # Of each walker: the share of the lane covered at the start, and the pace.
        self._starts = rng.uniform((0.2, 0.85), (0.75, 1.15), (len(self.motions), 2)).tolist()

    def at(self, t_s: float) -> Cast:
        """All people at a time of the scene."""
        traits, times, places = [], [], []
        for person, motion in enumerate(self.motions):
            who, along_m, t = self._now(person, motion, t_s)
            step = along_m * np.array([np.cos(who.heading), np.sin(who.heading)])
            traits.append(who)
            times.append(t)
            places.append(who.place + step)
        return Cast(traits, np.array(times), np.array(places).reshape(-1, 2))

    def _now(self, person: int, motion: Motion, t_s: float) -> Tuple[Traits, float, float]:
        """Traits, m along the lane, and time of the motion, of the person with this part now."""
        if motion.speed:
            return self._walker(person, motion, t_s)
        if motion.span_s:
            lap, into_s = divmod(t_s, motion.span_s)
            return self._traits(person, int(lap)), 0.0, into_s
        who = self._traits(person, 0)
        return who, 0.0, t_s - who.onset_s if motion.once else t_s

    def _walker(self, person: int, motion: Motion, t_s: float) -> Tuple[Traits, float, float]:
        share, pace = self._starts[person]
        pace_mps = motion.speed * STATURE_M * pace
        span_s = 2 * self._lane_m / pace_mps
        lap, into_s = divmod(t_s + share * span_s, span_s)
        return self._traits(person, int(lap)), pace_mps * into_s - self._lane_m, t_s

    def _traits(self, person: int, lap: int) -> Traits:
        known = self._known.get(person)
        if known is None or known[0] != lap:
            known = self._known[person] = lap, self._new_person(person, lap)
        return known[1]

    def _new_person(self, person: int, lap: int) -> Traits:
        rng = np.random.default_rng([self._seed, person, lap, 3])
        if self.motions[person].speed:
            place = np.array([0.0, rng.uniform(-1.4, 2.4)])
            heading = rng.choice([0.0, np.pi]) + rng.uniform(-0.3, 0.3)
        else:
            place = self._places[person]
            heading = -np.pi / 2 + rng.uniform(-0.7, 0.7)  # roughly towards camera 0
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
    """[count,2] random places on the floor, at least `_APART_M` apart if they fit."""
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
    """[5,3] BGR of skin, hair, shirt, trousers and shoes."""
    shirt = rng.integers(50, 230, 3)
    trousers = rng.integers(40, 130, 3)
    shoes = rng.integers(20, 80, 3)
    skin, hair = _SKINS[rng.integers(len(_SKINS))], _HAIRS[rng.integers(len(_HAIRS))]
    return np.array([skin, hair, shirt, trousers, shoes], np.uint8)
