"""The rule `fight`: two people who strike, shove or wrestle with each other.

Evidence of a pair grows with each blow or shove of one at the other, and while both are shaken in
contact; it is forgotten within `forget_s`. Blows come from edge.rules._strikes. A pair keeps its
evidence while the tracker loses one of them or gives another id. H = standing height.

Event data: `action` start | end; `other`, id of the second person (the event's person strikes
more); `blows` and `blows_other`, how many each has struck; `shaken_s`, how long they shook each
other; `gap_h` between the trunks; `held_s` since the first of it. docs/rules.md has the figures,
and what passes for a fight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from edge.rules import Rule
from edge.rules._fight.contact import Near, near, shaking
from edge.rules._fight.pairs import Pairs
from edge.rules._fight.words import why
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._posture import ANKLES
from edge.rules._strikes import blows, windows
from edge.rules._strikes.sight import Sight
from edge.rules._timing import approach
from edge.settings.schema import key
from edge.structures import JsonValue, Outline, PoseEvent, Poses, RuleSummary

_KEEP_S = 3.0  # a person who is unseen for longer is gone
_BEGUN = 0.3  # evidence from which on a fight is timed, and below which it is over
_TOUCHING_H = 0.35  # the direction of somebody who is nearer in the picture says nothing
_ASIDE = 0.0  # least cosine between a blow and the direction of the other person
_SHAKE_S = 1.0  # shaking is a mean over this time
_SHAKEN = 0.5  # evidence of a second of shaking


@dataclass(frozen=True)
class Options:
    """Settings of a fight rule."""

    evidence: float = key(
        1.2,
        "a fight is that much evidence; a blow counts up to 1, a second of shaking .5",
        0.1,
        20,
    )
    forget_s: float = key(5.0, "evidence falls to a third in this time", 0.2, 60)
    dwell_s: float = key(0.4, "report a fight that goes on for this long", 0, 60)
    refractory_s: float = key(5.0, "pause before the same two are reported again", 0, 600)
    reach_h: float = key(0.9, "people further apart than this, in heights, do not fight", 0.1, 3)
    min_sure: float = key(0.25, "a blow or shove that is at least this likely counts", 0.05, 1)
    speed_h_s: float = key(
        0.5, "a blow is faster than this in the picture, in heights per second", 0, 10
    )
    shake_h_s: float = key(
        0.25,
        "people in contact whose trunks move more unevenly than this shake each other",
        0.05,
        5,
    )
    contact_h: float = key(0.55, "people nearer than this, in heights, are in contact", 0.05, 2)


def build(options: Options) -> Rule:
    """The rule of one camera."""
    return Fight(options)


class Fight:
    """Follows all pairs of people within reach; reports the start and end of each fight."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._people = PersonMemory(
            _KEEP_S,
            **windows.fields(),
            **blows.fields(),
            number=-1,
            place=0j,
            feet=0.0,
            box=np.zeros(4, np.float32),
            shake=0.0,
            busy=False,
            score=0.0,
        )
        self._numbers = 0
        # Blows of the first and the second person since `begun_ns`; -1 = not begun.
        self._pairs = Pairs(
            heat=0.0,
            begun_ns=-1,
            on=False,
            ended_ns=-(10**18),
            first=0,
            second=0,
            shaken_s=0.0,
            gap=0.0,
            near_ns=0,
            place=0j,
            tall=0.0,
            whole=True,
            first_id=-1,
            second_id=-1,
            score=0.0,
        )
        self._sight = Sight()
        self._tick_ns = -1

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        self._number_new(rows)
        found = windows.bodies(people, rows, seen, t_ns)
        self._note_places(rows, seen, found)
        self._sight.note(found, t_ns)
        ticks = windows.follow(people, rows, found, t_ns)
        away_s = people.note_seen(rows, t_ns)
        events: List[PoseEvent] = []
        if ticks:
            events = self._judge(rows, found, away_s == 0, camera, t_ns)
        people.forget(away_s > _KEEP_S)
        return events

    def summary(self) -> RuleSummary:
        """The pairs that fight now."""
        pairs, people = self._pairs, self._people
        fighting = np.flatnonzero(pairs["on"])
        ids = np.stack((pairs["first_id"], pairs["second_id"]), 1)[fighting]
        outlines = [
            _around(people["box"][np.isin(people.ids, both)])
            for both in ids
            if np.isin(people.ids, both).any()
        ]
        figures: Dict[str, JsonValue] = {"fights": len(fighting), "pairs": ids.tolist()}
        labels = {int(who): "fight" for who in ids.ravel()}
        unsure = self._sight.unsure()
        return RuleSummary(
            "fight", "fight", figures, unsure=unsure, labels=labels, outlines=outlines
        )

    def _number_new(self, rows: np.ndarray) -> None:
        """Give rows that are new a number that stays, whatever their ids."""
        new = rows[self._people["number"][rows] < 0]
        self._people["number"][new] = self._numbers + np.arange(len(new))
        self._numbers += len(new)

    def _note_places(self, rows: np.ndarray, seen: Poses, found: windows.Bodies) -> None:
        people, ankles = self._people, list(ANKLES)
        middle = (seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2
        place = np.where(found.known, found.trunk, middle[:, 0] + 1j * middle[:, 1])
        low = np.where(found.visible[:, ankles], found.points[:, ankles].imag, -np.inf).max(1)
        people["place"][rows] = place
        people["feet"][rows] = np.where(np.isfinite(low), low, seen.boxes[:, 3])
        people["box"][rows], people["score"][rows] = seen.boxes, seen.person_scores

    def _judge(
        self,
        rows: np.ndarray,
        found: windows.Bodies,
        here: np.ndarray,
        camera: str,
        t_ns: int,
    ) -> List[PoseEvent]:
        """Take the evidence of a tick, and report the fights that begin or end with it."""
        people, pairs, options = self._people, self._pairs, self._options
        dt_s = max(t_ns - self._tick_ns, 0) * 1e-9 if self._tick_ns >= 0 else 0.0
        self._tick_ns = t_ns
        close = near(people, here, options.reach_h)
        at = pairs.rows_of(people["number"][close.one], people["number"][close.other])
        self._note_pairs(close, at, here, t_ns)
        heat = pairs["heat"]
        heat *= np.exp(-dt_s / options.forget_s)
        self._add_blows(rows[found.known], close, at, t_ns)
        self._add_shaking(rows[found.known], close, at, min(dt_s, 0.5))
        begun = (pairs["begun_ns"] < 0) & (pairs["heat"] >= _BEGUN)
        pairs["begun_ns"][begun] = t_ns
        events = self._begun(camera, t_ns) + self._ended(camera, t_ns)
        pairs.forget((pairs["begun_ns"] < 0) & (t_ns - pairs["near_ns"] > _KEEP_S * 1e9))
        return events

    def _note_pairs(self, close: Near, at: np.ndarray, here: np.ndarray, t_ns: int) -> None:
        people, pairs = self._people, self._pairs
        pairs["whole"][:] = False
        pairs["whole"][at] = here[close.one] & here[close.other]
        pairs["place"][at] = (people["place"][close.one] + people["place"][close.other]) / 2
        pairs["tall"][at] = (people["tall"][close.one] + people["tall"][close.other]) / 2
        pairs["gap"][at], pairs["near_ns"][at] = close.gap, t_ns
        one_first = people["number"][close.one] < people["number"][close.other]
        one, other = people.ids[close.one], people.ids[close.other]
        pairs["first_id"][at] = np.where(one_first, one, other)
        pairs["second_id"][at] = np.where(one_first, other, one)
        pairs["score"][at] = np.minimum(people["score"][close.one], people["score"][close.other])

    def _add_blows(self, rows: np.ndarray, close: Near, at: np.ndarray, t_ns: int) -> None:
        """Count each blow for the nearest pair that it fits."""
        options, people, pairs = self._options, self._people, self._pairs
        paired = np.zeros(len(people), bool)
        paired[close.one] = paired[close.other] = True
        struck = blows.find(
            people, rows[paired[rows]], options.min_sure, options.speed_h_s, t_ns, shoves=True
        )
        for i, row in enumerate(struck.rows):
            mine = np.flatnonzero((close.one == row) | (close.other == row))
            others = np.where(close.one[mine] == row, close.other[mine], close.one[mine])
            way = np.conj(people["place"][others] - people["place"][row])
            tip = struck.tip[i]
            along = (way * np.conj(tip)).real / np.maximum(np.abs(way) * np.abs(tip), 1e-6)
            fits = (along >= _ASIDE) | (close.gap[mine] < _TOUCHING_H)
            if not fits.any():
                continue
            best = mine[np.where(fits, close.gap[mine], np.inf).argmin()]
            pair = at[best]
            pairs["heat"][pair] += struck.sure[i] ** 2
            is_first = people["number"][row] == pairs.first[pair]
            pairs["first" if is_first else "second"][pair] += 1

    def _add_shaking(self, rows: np.ndarray, close: Near, at: np.ndarray, dt_s: float) -> None:
        people, pairs, options = self._people, self._pairs, self._options
        uneven, busy = shaking(people["past"][rows])
        approach(people["shake"], rows, uneven, np.full(len(rows), dt_s), _SHAKE_S)
        people["busy"][rows] = busy
        mean = (people["shake"][close.one] + people["shake"][close.other]) / 2
        shakes = (close.gap < options.contact_h) & (mean > options.shake_h_s)
        shakes &= ~people["busy"][close.one] & ~people["busy"][close.other]
        pairs["heat"][at[shakes]] += _SHAKEN * dt_s
        pairs["shaken_s"][at[shakes]] += dt_s

    def _begun(self, camera: str, t_ns: int) -> List[PoseEvent]:
        pairs, options = self._pairs, self._options
        long = (t_ns - pairs["begun_ns"]) * 1e-9 >= options.dwell_s
        rested = t_ns - pairs["ended_ns"] >= options.refractory_s * 1e9
        starts = ~pairs["on"] & (pairs["begun_ns"] >= 0) & long & rested
        starts &= pairs["heat"] >= options.evidence
        told = (pairs["on"] | ~rested) & (pairs["tall"] > 0)
        events: List[PoseEvent] = []
        for pair in np.flatnonzero(starts)[np.argsort(-pairs["heat"][starts])]:
            if not self._goes_on(int(pair), told):
                events.append(self._event("start", int(pair), camera, t_ns))
            told[pair] = pairs["on"][pair] = True
        return events

    def _goes_on(self, pair: int, told: np.ndarray) -> bool:
        """Whether this is part of a fight that was told: somebody joins, or has another id."""
        pairs = self._pairs
        far = np.abs(pairs["place"] - pairs["place"][pair])
        same = told & (far < self._options.reach_h * pairs["tall"][pair])
        who = (pairs.first[pair], pairs.second[pair])
        shared = np.isin(pairs.first, who) | np.isin(pairs.second, who)
        return bool((same & (shared | ~pairs["whole"])).any())

    def _ended(self, camera: str, t_ns: int) -> List[PoseEvent]:
        pairs = self._pairs
        over = (pairs["begun_ns"] >= 0) & (pairs["heat"] < _BEGUN)
        ends = np.flatnonzero(over & pairs["on"])
        events = [self._event("end", int(i), camera, t_ns) for i in ends]
        pairs["ended_ns"][ends] = t_ns
        pairs["on"][over], pairs["begun_ns"][over] = False, -1
        pairs["first"][over] = pairs["second"][over] = 0
        pairs["shaken_s"][over] = 0
        return events

    def _event(self, action: str, pair: int, camera: str, t_ns: int) -> PoseEvent:
        pairs, options = self._pairs, self._options
        ids = [int(pairs[name][pair]) for name in ("first_id", "second_id")]
        struck = [int(pairs[name][pair]) for name in ("first", "second")]
        if struck[1] > struck[0]:
            ids, struck = ids[::-1], struck[::-1]
        data: Dict[str, JsonValue] = {
            "action": action,
            "other": ids[1],
            "blows": struck[0],
            "blows_other": struck[1],
            "shaken_s": round(float(pairs["shaken_s"][pair]), 1),
            "gap_h": round(float(pairs["gap"][pair]), 2),
            "held_s": round((t_ns - int(pairs["begun_ns"][pair])) * 1e-9, 2),
        }
        # Twice the evidence that a fight needs is sure.
        sure = min(0.5 * float(pairs["heat"][pair]) / options.evidence, 1.0)
        score = float(pairs["score"][pair]) * (sure if action == "start" else 1.0)
        level = "alarm" if action == "start" else "info"
        said = why(data, ids[0], options.shake_h_s)
        return PoseEvent("fight", camera, ids[0], t_ns, score, data, level, said)


def _around(boxes: np.ndarray) -> Outline:
    """The rectangle around two boxes."""
    (left, top), (right, bottom) = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    corners = np.array([left + 1j * top, right + 1j * top, right + 1j * bottom, left + 1j * bottom])
    return Outline(corners, "fight")
