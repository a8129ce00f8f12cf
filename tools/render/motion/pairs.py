"""What two people do with each other: they fight, shove, embrace, shake hands, talk.

Both play one script: they come together, do it from `start_s` to `end_s`, and stand again. The
place of a person is measured from the middle between the two; x of the body is towards the other.
Times are those of the clip. Lengths are in statures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge.capture._synthetic.body import chained, turns
from edge.capture._synthetic.gaits import WALK_SPEED, stand, walk
from edge.capture._synthetic.motion import Move, Posture, X, Y, Z, ease
from tools.render.motion.blows import HIT_S, KICKS, LONG_S, PUNCHES, SHOVE, Blow, draw_blows, struck

Draw = np.random.Generator
# Distance of the two while they do it.
APART: Dict[str, float] = {
    "fight_punches": 0.46,
    "fight_kicks": 0.52,
    "fight_shoves": 0.40,
    "fight_mixed": 0.44,
    "fight_wrestling": 0.30,
    "fight_captured": 0.56,
    "embrace": 0.20,
    "shake_hands": 0.44,
    "high_five": 0.42,
    "talk": 0.55,
    "dance_together": 0.38,
}
PAIRS = tuple(APART)
_SORTS = {
    "fight_punches": PUNCHES,
    "fight_kicks": KICKS,
    "fight_shoves": (SHOVE,),
    "fight_mixed": (*PUNCHES, *KICKS, SHOVE),
}
_EASE_S, _STEP_BACK_S = 0.5, 1.0
_BACK = {SHOVE: 0.16}  # how far a blow drives the other back
_BACK_ELSE = 0.04


@dataclass(frozen=True, eq=False)
class Script:
    """What the two do, and when."""

    kind: str
    start_s: float
    end_s: float
    away: Tuple[float, float]  # from where each comes, before; 0 = is there
    blows: Tuple[Blow, ...]  # `who` is 0 or 1

    @property
    def is_fight(self) -> bool:
        """Whether it is one."""
        return self.kind.startswith("fight")


@dataclass(frozen=True, eq=False)
class Part:
    """The part of one of the two; the contract is `edge.capture._synthetic.motion.Motion`.

    Attributes:
        script: of both.
        who: 0 or 1.
        clip: motion capture that is played instead of the script's arms and legs.
    """

    script: Script
    who: int
    clip: Optional[Any] = None
    speed: float = 0.0
    planted: bool = False
    once: bool = True
    span_s: float = 0.0

    def at(self, t_s: np.ndarray, own: np.ndarray) -> Posture:
        """Postures at [N] seconds of the clip."""
        if self.clip is not None:
            return self._captured(t_s, own)
        away = self.script.away[self.who]
        arrive_s = self.script.start_s - 0.2
        left = np.clip((arrive_s - t_s) * WALK_SPEED, 0, away)
        move = stand(t_s, own)
        if away:
            walks = np.clip((arrive_s + 0.3 - t_s) / 0.3, 0, 1) * (
                t_s > arrive_s - away / WALK_SPEED
            )
            other = walk(t_s, own)
            move.angles += walks[:, None, None] * (other.angles - move.angles)
        travel = np.zeros((len(t_s), 2))
        travel[:, 0] = -left
        self._act(move, t_s, own, travel)
        return Posture(chained(turns(move.angles)), move.lift, travel, move.curl)

    def _captured(self, t_s: np.ndarray, own: np.ndarray) -> Posture:
        """The clip, forwards and backwards, around the person's place."""
        clip = self.clip
        assert clip is not None
        span_s = float(clip.span_s)
        time = span_s - np.abs(t_s % (2 * span_s) - span_s) if span_s else t_s
        posture: Posture = clip.at(time, own)
        drift = posture.travel - 0.5 * (clip.travel.min(0) + clip.travel.max(0))
        return Posture(posture.frames, posture.lift, 0.3 * drift, posture.curl)

    def _act(self, move: Move, t: np.ndarray, own: np.ndarray, travel: np.ndarray) -> None:
        script = self.script
        share = ease(t, ((script.start_s - _EASE_S, 0), (script.start_s, 1)))
        share = share * (1 - ease(t, ((script.end_s, 0), (script.end_s + _EASE_S, 1))))
        if script.is_fight:
            self._fight(move, t, own, travel, share)
        else:
            _PEACEFUL[script.kind](move, t - script.start_s, own, share, self.who, travel)
        back = ease(t, ((script.end_s, 0), (script.end_s + _STEP_BACK_S, 1)))
        travel[:, 0] -= 0.12 * back

    def _fight(
        self, move: Move, t: np.ndarray, own: np.ndarray, travel: np.ndarray, share: np.ndarray
    ) -> None:
        """Guard, footwork, own blows, and what the other's blows do."""
        sway = np.sin(2 * np.pi * (0.6 * t + own[:, 0]))
        travel[:, 0] += 0.03 * share * sway
        travel[:, 1] += 0.04 * share * np.sin(2 * np.pi * (0.31 * t + own[:, 1]))
        if self.script.kind == "fight_wrestling":
            _wrestle(move, t, share, self.who, travel)
        else:
            guard(move, share, sway)
        for blow in self.script.blows:
            if blow.who == self.who:
                blow.throw(move, t)
            else:
                self._take(move, t, travel, blow)

    def _take(self, move: Move, t: np.ndarray, travel: np.ndarray, blow: Blow) -> None:
        """The body gives way to a blow of the other."""
        hit_s = blow.start_s + HIT_S[blow.sort]
        jolt = struck(t, hit_s)
        move.turn("chest", Y, -16 * jolt)
        move.turn("head", Y, -18 * jolt)
        move.turn("head", Z, (22 if blow.left else -22) * jolt)
        back = _BACK.get(blow.sort, _BACK_ELSE)
        gone = ease(t, ((hit_s, 0), (hit_s + 0.25, 1), (hit_s + 0.6, 1), (hit_s + 1.3, 0)))
        travel[:, 0] -= back * gone
        stumble = np.sin(np.pi * np.clip((t - hit_s) / 0.5, 0, 1)) * (back > _BACK_ELSE)
        move.turn("right_thigh", Y, 28 * stumble)
        move.turn("right_shank", Y, 25 * stumble)
        move.turn("left_thigh", Y, -22 * stumble)

    def events(self) -> List[Tuple[str, float, float]]:
        """Kind, start and end s of what this person does; `fight` is told of both."""
        script = self.script
        if not script.is_fight:
            return [(script.kind, script.start_s, script.end_s)]
        own = [b for b in script.blows if b.who == self.who]
        return [("fight", script.start_s, script.end_s)] + [
            ("shove" if b.sort == SHOVE else "strike", b.start_s, b.start_s + LONG_S[b.sort])
            for b in own
        ]


def draw_script(kind: str, seconds: float, rng: Draw) -> Script:
    """A script for a clip of some seconds."""
    start_s = float(rng.uniform(0.15, 0.4)) * seconds
    end_s = float(rng.uniform(0.75, 0.9)) * seconds
    both = rng.random() < 0.3
    comes = [float(rng.uniform(0.4, 0.9)) if both or who == 0 else 0.0 for who in (0, 1)]
    if rng.random() < 0.25:
        comes = [0.0, 0.0]
    if kind == "fight_captured":
        return Script(kind, 0.0, seconds, (0.0, 0.0), ())
    sorts = _SORTS.get(kind, ())
    blows = draw_blows(sorts, start_s, end_s, rng) if sorts else ()
    return Script(kind, start_s, end_s, (comes[0], comes[1]), blows)


def guard(move: Move, share: np.ndarray, sway: np.ndarray) -> None:
    """Fists before the face, knees bent, one foot ahead."""
    move.both("upper_arm", Y, -38 * share)
    move.both("upper_arm", X, 6 * share)
    move.both("forearm", Y, -98 * share)
    move.turn("chest", Y, 8 * share)
    move.turn("left_thigh", Y, (-24 - 4 * sway) * share)
    move.turn("left_shank", Y, 18 * share)
    move.turn("right_thigh", Y, (8 - 4 * sway) * share)
    move.turn("right_shank", Y, 18 * share)
    move.curl[:] = np.maximum(move.curl, 0.95 * share[:, None])


def _wrestle(move: Move, t: np.ndarray, share: np.ndarray, who: int, travel: np.ndarray) -> None:
    """Both hold the other's shoulders and pull to and fro."""
    pull = np.sin(2 * np.pi * 0.8 * t) + 0.6 * np.sin(2 * np.pi * 1.7 * t + 1)
    side = np.sin(2 * np.pi * 0.5 * t + 2)
    move.turn("pelvis", Y, 22 * share)
    move.both("thigh", Y, (-30 - 6 * pull) * share)
    move.both("shank", Y, (30 + 6 * pull) * share)
    move.both("upper_arm", Y, (-72 + 10 * pull) * share)
    move.both("forearm", Y, (-38 - 14 * pull) * share)
    move.turn("chest", Z, 18 * side * share * (1 if who else -1))
    travel[:, 0] += (0.07 if who else -0.07) * pull * share
    travel[:, 1] += (0.06 if who else -0.06) * side * share


def _embrace(
    move: Move, t: np.ndarray, own: np.ndarray, share: np.ndarray, who: int, travel: np.ndarray
) -> None:
    move.turn("pelvis", Y, 8 * share)
    move.turn("head", Z, 25 * share)
    move.both("upper_arm", Y, (-70 + 25 * who) * share)
    move.both("upper_arm", X, 22 * share)
    move.both("forearm", Y, (-62 + 6 * np.sin(5 * t)) * share)
    travel[:, 1] += 0.03 * share


def _shake_hands(
    move: Move, t: np.ndarray, own: np.ndarray, share: np.ndarray, who: int, travel: np.ndarray
) -> None:
    held = share * np.clip(np.minimum(t + 0.3, 3.0 - t) / 0.4, 0, 1)
    move.turn("right_upper_arm", Y, -38 * held)
    move.turn("right_forearm", Y, (-30 + 9 * np.sin(2 * np.pi * 2.2 * t)) * held)


def _high_five(
    move: Move, t: np.ndarray, own: np.ndarray, share: np.ndarray, who: int, travel: np.ndarray
) -> None:
    raised = ease(t, ((0.0, 0), (0.35, 0.8), (0.6, 0.8), (0.75, 1), (0.85, 1), (1.3, 0)))
    clap = ease(t, ((0.55, 0), (0.72, 1), (0.85, 1), (1.2, 0)))
    move.turn("right_upper_arm", Y, -120 * raised)
    move.turn("right_forearm", Y, -70 * raised + 50 * clap)
    move.curl[:, 1] = 0.05


def _talk(
    move: Move, t: np.ndarray, own: np.ndarray, share: np.ndarray, who: int, travel: np.ndarray
) -> None:
    """Hands that speak, in turns of two seconds."""
    turn_ = share * (np.sin(2 * np.pi * (0.25 * t + 0.5 * who)) > 0)
    lively = np.sin(2 * np.pi * (0.9 + 0.5 * own[:, 1]) * t)
    move.turn("right_upper_arm", Y, (-28 - 16 * lively) * turn_)
    move.turn("right_forearm", Y, (-60 - 28 * lively) * turn_)
    move.turn("left_upper_arm", Y, (-18 + 12 * lively) * turn_)
    move.turn("left_forearm", Y, (-55 + 22 * lively) * turn_)
    move.turn("head", Y, 5 * lively * share)


def _dance_together(
    move: Move, t: np.ndarray, own: np.ndarray, share: np.ndarray, who: int, travel: np.ndarray
) -> None:
    """Both hold hands and step to and fro."""
    beat = np.sin(2 * np.pi * 0.9 * t)
    sign = 1 if who else -1
    move.both("upper_arm", Y, (-48 + 10 * beat * sign) * share)
    move.both("forearm", Y, -45 * share)
    move.turn("left_thigh", Y, -18 * np.maximum(beat, 0) * share)
    move.turn("left_shank", Y, 24 * np.maximum(beat, 0) * share)
    move.turn("right_thigh", Y, -18 * np.maximum(-beat, 0) * share)
    move.turn("right_shank", Y, 24 * np.maximum(-beat, 0) * share)
    move.turn("pelvis", Z, 10 * beat * share)
    travel[:, 0] += 0.06 * beat * sign * share
    travel[:, 1] += 0.08 * np.sin(2 * np.pi * 0.45 * t) * sign * share


_PEACEFUL: Dict[str, Any] = {
    "embrace": _embrace,
    "shake_hands": _shake_hands,
    "high_five": _high_five,
    "talk": _talk,
    "dance_together": _dance_together,
}
