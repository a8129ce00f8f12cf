"""The rule `hands_up`: people who hold both hands above the head.

Both hands are higher than the eyes (the nose or the ears if they are hidden) by `above_h`, for
`for_s`, in somebody whose torso is upright in the picture. The middle of a hand is a third of the
forearm beyond the wrist. If a wrist or an elbow is hidden, nothing begins and nothing ends.

Event data: `name` of the rule; `action` start | end; `held_s`; `above_h`, height of the lower hand
above the eyes in standing heights, null = not seen now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, NamedTuple

import numpy as np

from edge.errors import ConfigError
from edge.rules import Rule
from edge.rules import _spells as spells
from edge.rules._blindness import Blindness
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._posture import HIPS, SHOULDERS, middle, straight_body_of
from edge.rules._timing import approach
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

_UNSEEN_S = 1.5  # of a person who is unseen for this long it has ended
_FACE, _WRISTS, _ELBOWS = [0, 1, 2, 3, 4], [9, 10], [7, 8]
_MEAN_S = 0.15
_UPRIGHT_DEG = 50.0
_SHOULDERS_TO_EYES_H = 0.13  # Drillis and Contini (1966): eyes .936, shoulders .818, less a nod
_HAND = 0.33  # of the forearm, from the wrist to the middle of the hand


@dataclass(frozen=True)
class Options:
    """Settings of a hands-up rule."""

    name: str = key("hands_up", "name of the rule in events")
    above_h: float = key(0.0, "both hands are this far above the eyes, heights", -0.2, 0.5)
    hysteresis_h: float = key(0.06, "it ends when a hand is this far lower, heights", 0, 0.5)
    for_s: float = key(1.0, "report a person who holds them up for this long", 0, 60)
    until_s: float = key(0.5, "it ends after a hand is lower for this long", 0, 60)
    refractory_s: float = key(2.0, "pause before the same person is reported again", 0, 3600)


class Raised(NamedTuple):
    """The hands of [N] people."""

    above: np.ndarray  # f64 heights of the lower hand over the eyes
    known: np.ndarray  # bool, whether both forearms and the head or shoulders are visible
    upright: np.ndarray  # bool, the torso is upright in the picture


def build(options: Options) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the rule has no name.
    """
    if not options.name:
        raise ConfigError("name: is empty; give the rule a name")
    return HandsUp(options)


class HandsUp:
    """Reports when a person raises both hands, and when they come down."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._blindness = Blindness()
        self._people = PersonMemory(
            _UNSEEN_S, above=np.nan, known=False, score=0.0, **spells.fields()
        )

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen, options = self._people, with_ids(poses), self._options
        rows = people.rows_of(seen, t_ns)
        dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
        hands = raised(seen)
        self._blindness.note(hands.known, t_ns)
        above = self._steadied(rows, hands, dt_s)
        up = hands.upright & (above > options.above_h)
        down = ~(hands.upright & (above > options.above_h - options.hysteresis_h))
        spells.note(people, rows, hands.known, up, down, t_ns)
        people["known"][:] = False
        people["known"][rows], people["score"][rows] = hands.known, seen.person_scores
        away_s = people.note_seen(rows, t_ns)
        gone = away_s > _UNSEEN_S
        turns = spells.turn(
            people, away_s == 0, gone, t_ns, options.for_s, options.until_s, options.refractory_s
        )
        events = [self._event("end", int(i), camera, t_ns) for i in turns.ended]
        events += [self._event("start", int(i), camera, t_ns) for i in turns.started]
        people.forget(gone)
        return events

    def summary(self) -> RuleSummary:
        """The number of people who hold their hands up."""
        on = self._people["on"]
        return RuleSummary(
            self._options.name,
            "hands_up",
            {"people": int(on.sum())},
            unsure=self._blindness.unsure("a hand of everybody in view is hidden"),
            labels={int(i): "hands up" for i in self._people.ids[on]},
        )

    def _steadied(self, rows: np.ndarray, hands: Raised, dt_s: np.ndarray) -> np.ndarray:
        """Heights as a mean over `_MEAN_S`, without the noise of single frames."""
        field = self._people["above"]
        new = rows[np.isnan(field[rows]) & hands.known]
        field[new] = hands.above[np.isnan(field[rows]) & hands.known]
        which = rows[hands.known]
        approach(field, which, hands.above[hands.known], dt_s[hands.known], _MEAN_S)
        return np.asarray(field[rows])

    def _event(self, action: str, row: int, camera: str, t_ns: int) -> PoseEvent:
        people, options = self._people, self._options
        held_s = spells.held_s(people, row, t_ns)
        above = round(float(people["above"][row]), 2) if people["known"][row] else None
        data: Dict[str, JsonValue] = {
            "name": options.name,
            "action": action,
            "held_s": held_s,
            "above_h": above,
        }
        why = f"held both hands above the head for {held_s} s"
        if action == "start":
            why = f"both hands {above} H above the eyes >= {options.above_h:g} H for {held_s} s"
        level = "warning" if action == "start" else "info"
        # All of the score from a forearm's share above the eyes on.
        sure = 0.5 + 0.5 * min(max(((above or 0.0) - options.above_h) / 0.1, 0.0), 1.0)
        score = float(people["score"][row]) * sure
        return PoseEvent("hands_up", camera, int(people.ids[row]), t_ns, score, data, level, why)


def raised(seen: Poses) -> Raised:
    """How high people hold their hands; borrows the poses."""
    body, visible, tall = straight_body_of(seen)
    shoulder, has_shoulder = middle(body, visible, SHOULDERS)
    hip, has_hip = middle(body, visible, HIPS)
    face = visible[:, _FACE]
    eyes = (body[:, _FACE].imag * face).sum(1) / np.maximum(face.sum(1), 1)
    eyes = np.where(face.any(1), eyes, shoulder.imag - _SHOULDERS_TO_EYES_H * tall)
    wrists, elbows = body[:, _WRISTS].imag, body[:, _ELBOWS].imag
    hands = wrists + _HAND * (wrists - elbows)
    above = (eyes - hands.max(1)) / tall
    known = visible[:, _WRISTS + _ELBOWS].all(1) & (face.any(1) | has_shoulder)
    tilted = np.abs(np.degrees(np.angle((hip - shoulder) * -1j))) > _UPRIGHT_DEG
    upright = ~(has_shoulder & has_hip & tilted)
    return Raised(above.astype(np.float64), known, upright)
