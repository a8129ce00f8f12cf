"""The rule `strike`: one punch or kick, also into the air.

A blow is found in the last half second of a person's limbs (edge.rules._strikes.blows), whichever
side it is seen from, and must be faster than `speed_h_s` in the picture. H = standing height. A
person who is near enough in that direction is named as `target`; whether the blow has hit them is
not known. docs/rules.md has the figures and what passes for a blow.

Event data: `action` punch | kick; `limb`; `speed_h_s`, highest speed against the trunk; `way_h`,
how far the limb went; `target`, id of the person at whom it was aimed, -1 = into the air.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from edge.rules import Rule
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._strikes import blows, windows
from edge.rules._strikes.aim import aimed_at
from edge.rules._strikes.sight import Sight
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

_KEEP_S = 2.0  # a person who is unseen for longer begins afresh
_SHOWN_S = 1.5  # a picture says "punch" for this long


@dataclass(frozen=True)
class Options:
    """Settings of a strike rule."""

    min_sure: float = key(0.75, "report a blow that is at least this likely", 0.05, 1)
    speed_h_s: float = key(
        0.5, "a blow is faster than this in the picture, in heights per second", 0, 10
    )
    refractory_s: float = key(0.15, "pause before the same person is reported again", 0, 60)
    reach_h: float = key(
        0.9, "a person further away than this, in heights, is not the target", 0.1, 3
    )
    kicks: bool = key(True, "report kicks, too")


def build(options: Options) -> Rule:
    """The rule of one camera."""
    return Strike(options)


class Strike:
    """Reports each blow once."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._people = PersonMemory(
            _KEEP_S,
            **windows.fields(),
            **blows.fields(),
            told_ns=-(10**18),
            told_limb=-1,
            count=0,
            score=0.0,
        )
        self._sight = Sight()
        self._t_ns = 0

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        found = windows.bodies(people, rows, seen, t_ns)
        people["score"][rows] = seen.person_scores
        self._sight.note(found, t_ns)
        events: List[PoseEvent] = []
        if windows.follow(people, rows, found, t_ns):
            options = self._options
            rested = t_ns - people["told_ns"][rows] >= options.refractory_s * 1e9
            struck = blows.find(
                people, rows[rested & found.known], options.min_sure, options.speed_h_s, t_ns
            )
            events = self._report(struck, rows, found, camera, t_ns)
        people.forget(people.note_seen(rows, t_ns) > _KEEP_S)
        self._t_ns = t_ns
        return events

    def summary(self) -> RuleSummary:
        """Blows of the people in view."""
        people = self._people
        striking = people["told_ns"] >= self._t_ns - _SHOWN_S * 1e9
        labels = {
            int(people.ids[row]): blows.LIMBS[people["told_limb"][row]].replace("_", " ")
            for row in np.flatnonzero(striking)
        }
        figures: Dict[str, JsonValue] = {
            "blows": int(people["count"].sum()),
            "striking": int(striking.sum()),
        }
        unsure = self._sight.unsure()
        return RuleSummary("strike", "strike", figures, unsure=unsure, labels=labels)

    def _report(
        self,
        struck: blows.Blows,
        rows: np.ndarray,
        found: windows.Bodies,
        camera: str,
        t_ns: int,
    ) -> List[PoseEvent]:
        if not self._options.kicks:
            struck = blows.Blows(*(value[struck.limbs < 2] for value in struck))
        targets = aimed_at(struck, rows, found, self._options.reach_h)
        people = self._people
        people["told_ns"][struck.rows], people["told_limb"][struck.rows] = t_ns, struck.limbs
        people["count"][struck.rows] += 1
        return [
            self._event(struck, i, int(targets[i]), camera, t_ns) for i in range(len(struck.rows))
        ]

    def _event(self, struck: blows.Blows, i: int, target: int, camera: str, t_ns: int) -> PoseEvent:
        people, row = self._people, int(struck.rows[i])
        limb, kick = blows.LIMBS[struck.limbs[i]], bool(struck.limbs[i] >= 2)
        at = int(people.ids[target]) if target >= 0 else -1
        speed, way = round(float(struck.speed[i]), 2), round(float(abs(struck.path[i])), 2)
        data: Dict[str, JsonValue] = {
            "action": "kick" if kick else "punch",
            "limb": limb,
            "speed_h_s": speed,
            "way_h": way,
            "target": at,
        }
        where = f"towards person {at}" if at >= 0 else "into the air"
        least = self._options.speed_h_s
        why = f"{limb.replace('_', ' ')} struck {where}: {way} H at {speed} H/s > {least:g} H/s"
        score = float(people["score"][row] * struck.sure[i])
        who = int(people.ids[row])
        return PoseEvent("strike", camera, who, t_ns, score, data, "warning", why)
