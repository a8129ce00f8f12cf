"""The rule `fall`: people who fall, lie on the ground, and get up again.

A fall is a fast drop of the hips that ends in lying, followed by little movement. Lying down
without a drop is reported as lying. By default the torso is more than 55 degrees from upright and
the hips drop faster than .8 H/s (H = standing height). These values are in line with the thresholds
published for keypoint rules.

The rule was made and tested on drawn motion, seen from all sides, with cameras that look down by up
to 30 degrees, at 10 and 30 frames a second. It has no figure on a public benchmark. To a steeper
camera, a body seen end-on looks like a sitting one. In a fall from a chair or a bed the hips drop
less than the default `drop_h`: set it lower for such rooms.

Event data: `action` fall | lying | recover | lost; `down_s`, how long the person has been lying;
`tilt_deg`, angle of the torso from upright; `drop_h` and `speed_h_s` of the drop, 0 without a drop.
`lost`: a person who was lying is no longer seen, so it is unknown whether they got up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Tuple

import numpy as np

from edge.rules import Rule
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._posture import ANKLES, HIPS, KNEES, SHOULDERS, body_of, middle
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

# Shares of the standing height (Drillis and Contini 1966): hips to shoulders, to ankles, to knees.
_TORSO, _LEG, _THIGH = 0.288, 0.491, 0.245
_HIPS_LOW = 0.65  # share of the standing hip height above the ankles, below which nobody stands
_SHANK_UPRIGHT = 0.8 * 0.246
_BOX_WIDE, _BOX_LOW = 1.2, 0.5  # shape of the box of a lying person whose torso is hidden
_SPEED_MEAN_S = 0.1
_STILL_MEAN_S = 0.4
_DROP_LEAK_H_S = 0.15  # a drop shrinks at this rate, so that slow sinking does not add up
_HEIGHT_HOLD_S = 10.0  # standing heights are remembered, because a body seen end-on looks short
_FLICKER_S = 0.4  # bad poses may interrupt lying for this long
_RESTLESS = 4.0  # a person who moves is reported as down after this many times `still_s`
_LOST_S = 10.0
_LEVEL = {"fall": "alarm", "lying": "warning", "lost": "warning"}
UP, LYING, FALLEN = 0, 1, 2  # the posture that was last reported


@dataclass(frozen=True)
class Options:
    """Settings of a fall rule."""

    tilt_deg: float = key(55.0, "a torso further than this from upright is lying", 20, 90)
    speed_h_s: float = key(
        0.8, "in a fall the hips drop faster than this, in heights per second", 0.1, 5
    )
    drop_h: float = key(0.25, "in a fall the hips drop further than this, in heights", 0.05, 1)
    window_s: float = key(1.5, "longest time between the drop and the lying of one fall", 0.2, 10)
    still_s: float = key(1.4, "report a person who is still on the ground for this long", 0, 60)
    still_h_s: float = key(
        0.3, "a person slower than this, in heights per second, is still", 0.01, 5
    )
    recover_s: float = key(1.0, "report a person who is up again for this long", 0, 60)
    lying: bool = key(True, "report people who lie down slowly, too")


def build(options: Options) -> Rule:
    """The rule of one camera."""
    return Fall(options)


class Fall:
    """Follows the posture of each person; reports each fall, lying, and getting up once."""

    def __init__(self, options: Options) -> None:
        self._options = options
        # Times, -1 = none: `drop_ns` of the last fast drop, `down_ns` and `lie_ns` of the first and
        # the last frame of lying, `still_ns` and `up_ns` of the first frame of being so.
        self._people = PersonMemory(
            _LOST_S,
            reported=UP,
            fell=False,
            new=True,
            score=0.0,
            body=np.zeros(17, np.complex64),
            seen=np.zeros(17, bool),
            tall=0.0,
            tilt=0.0,
            sinking=0.0,
            drop=0.0,
            peak_speed=0.0,
            peak_drop=0.0,
            moving=0j,
            drop_ns=-1,
            down_ns=-1,
            lie_ns=-1,
            still_ns=-1,
            up_ns=-1,
        )

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
        body, visible, tall = body_of(seen)
        self._remember_height(rows, tall, dt_s)
        self._follow_motion(rows, body, visible, dt_s, t_ns)
        self._judge_posture(rows, seen, body, visible, t_ns)
        people["body"][rows], people["seen"][rows] = body, visible
        people["score"][rows], people["new"][rows] = seen.person_scores, False
        away_s = people.note_seen(rows, t_ns)
        events = self._report(away_s == 0, camera, t_ns)
        gone = away_s > _LOST_S
        for row in np.flatnonzero(gone & (people["reported"] > UP)):
            events += self._event("lost", int(row), camera, t_ns)
        people.forget(gone)
        return events

    def summary(self) -> RuleSummary:
        """The number of people who were reported as down and have not got up."""
        reported = self._people["reported"]
        down, fallen = int((reported > UP).sum()), int((reported == FALLEN).sum())
        labels = {
            int(who): "fallen" if how == FALLEN else "lying"
            for who, how in zip(self._people.ids[reported > UP], reported[reported > UP])
        }
        figures: Dict[str, JsonValue] = {"down": down, "fallen": fallen}
        return RuleSummary("fall", "fall", figures, down=down, labels=labels)

    def _remember_height(self, rows: np.ndarray, tall: np.ndarray, dt_s: np.ndarray) -> None:
        old = self._people["tall"][rows]
        gain = np.clip(dt_s / np.where(tall > old, 0.3, _HEIGHT_HOLD_S), 0, 1)
        gain[self._people["new"][rows]] = 1
        self._people["tall"][rows] = old + gain * (tall - old)

    def _follow_motion(
        self, rows: np.ndarray, body: np.ndarray, visible: np.ndarray, dt_s: np.ndarray, t_ns: int
    ) -> None:
        """Update the speeds of hips (downwards) and body in H/s, and the drop of the hips in H."""
        people, options = self._people, self._options
        both = visible & people["seen"][rows] & (dt_s > 0)[:, None]
        steps = (body - people["body"][rows]) * both / people["tall"][rows][:, None]
        whole = steps.sum(1) / np.maximum(both.sum(1), 1)
        hips = both[:, HIPS].all(1)
        sunk = np.where(hips, steps[:, HIPS].mean(1), whole).imag
        rate = 1 / np.maximum(dt_s, 1e-3)
        _approach(people["sinking"], rows, sunk * rate, dt_s, _SPEED_MEAN_S)
        _approach(people["moving"], rows, whole * rate, dt_s, _STILL_MEAN_S)
        people["drop"][rows] = np.maximum(people["drop"][rows] + sunk - _DROP_LEAK_H_S * dt_s, 0)
        since_ns = t_ns - people["drop_ns"][rows]
        old = (people["drop_ns"][rows] < 0) | (since_ns * 1e-9 > options.window_s)
        over = rows[old & (people["down_ns"][rows] < 0)]
        people["peak_speed"][over] = people["peak_drop"][over] = 0
        fast = people["sinking"][rows] > options.speed_h_s
        people["drop_ns"][rows[fast]] = t_ns
        falling = rows[fast | ~old]
        for peak, now in (("peak_speed", "sinking"), ("peak_drop", "drop")):
            people[peak][falling] = np.maximum(people[peak][falling], people[now][falling])

    def _judge_posture(
        self, rows: np.ndarray, seen: Poses, body: np.ndarray, visible: np.ndarray, t_ns: int
    ) -> None:
        """Note since when people lie, are still, or are up."""
        people, options = self._people, self._options
        people["tilt"][rows], lies, up, known = postures(
            seen, body, visible, people["tall"][rows], options.tilt_deg
        )
        people["lie_ns"][rows[lies]] = t_ns
        _start(people["down_ns"], rows, lies, t_ns)
        brief = t_ns - people["lie_ns"][rows] <= _FLICKER_S * 1e9
        over = rows[known & ~brief & (people["reported"][rows] == UP)]
        people["down_ns"][over], people["fell"][over] = -1, False
        down = people["down_ns"][rows] >= 0
        apart_ns = np.abs(people["down_ns"][rows] - people["drop_ns"][rows])
        fell = down & (people["drop_ns"][rows] >= 0) & (apart_ns * 1e-9 <= options.window_s)
        people["fell"][rows] |= fell & (people["peak_drop"][rows] >= options.drop_h)
        still = down & (np.abs(people["moving"][rows]) < options.still_h_s)
        _start(people["still_ns"], rows, still, t_ns)
        people["still_ns"][rows[~still]] = -1
        _start(people["up_ns"], rows, up, t_ns)
        people["up_ns"][rows[lies]] = -1

    def _report(self, here: np.ndarray, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of people in view, who are noted as reported."""
        people, options = self._people, self._options
        down = here & (people["reported"] == UP) & (people["down_ns"] >= 0)
        still = (people["still_ns"] >= 0) & (_since_s(people["still_ns"], t_ns) >= options.still_s)
        sure = still | (_since_s(people["down_ns"], t_ns) >= _RESTLESS * options.still_s)
        events: List[PoseEvent] = []
        for row in np.flatnonzero(down & sure):
            fell = bool(people["fell"][row])
            people["reported"][row] = FALLEN if fell else LYING
            events += self._event("fall" if fell else "lying", int(row), camera, t_ns)
        up_s = np.where(people["up_ns"] >= 0, _since_s(people["up_ns"], t_ns), -1)
        for row in np.flatnonzero(here & (people["reported"] > UP) & (up_s >= options.recover_s)):
            events += self._event("recover", int(row), camera, t_ns)
            people["reported"][row], people["fell"][row], people["down_ns"][row] = UP, False, -1
        return events

    def _event(self, action: str, row: int, camera: str, t_ns: int) -> List[PoseEvent]:
        people, options = self._people, self._options
        fell = people["reported"][row] == FALLEN
        if not fell and not options.lying:
            return []
        speed, drop = (float(people[f"peak_{n}"][row]) if fell else 0.0 for n in ("speed", "drop"))
        # Half of the score is for lying. The rest grows with speed and drop over their thresholds.
        beyond = min(speed / options.speed_h_s, 2.0) + min(drop / options.drop_h, 2.0)
        data: Dict[str, JsonValue] = {
            "action": action,
            "down_s": round(max(float(t_ns - people["down_ns"][row]), 0.0) * 1e-9, 2),
            "tilt_deg": round(float(people["tilt"][row]), 1),
            "drop_h": round(drop, 2),
            "speed_h_s": round(speed, 2),
        }
        score = min(float(people["score"][row]) * (0.5 + 0.125 * beyond), 1.0)
        why = _why(action, data, fell, options)
        who, level = int(people.ids[row]), _LEVEL.get(action, "info")
        return [PoseEvent("fall", camera, who, t_ns, score, data, level, why)]


def _why(action: str, data: Mapping[str, JsonValue], fell: bool, options: Options) -> str:
    """The figures of an event in words."""
    if action == "recover":
        return f"is up again after {data['down_s']} s on the ground"
    if action == "lost":
        return f"was on the ground and has not been seen for {_LOST_S:g} s"
    lies = f"torso {data['tilt_deg']} deg from upright > {options.tilt_deg:g} deg"
    if not fell:
        return f"{lies} for {data['down_s']} s, without a drop"
    fast = f"{data['speed_h_s']} H/s > {options.speed_h_s:g} H/s"
    return f"hips dropped {data['drop_h']} H at {fast}, then {lies} for {data['down_s']} s"


def postures(
    seen: Poses, body: np.ndarray, visible: np.ndarray, tall: np.ndarray, tilt_deg: float
) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Which people lie and which are up; a person may be neither.

    The tilt is computed from the torso's vertical extent in the picture, compared with its length.
    So it works from every side, also end-on. Bending over tilts the torso as well, but then the
    hips stay high above the feet.

    Args:
        seen: [N] people.
        body: [N,17] c64 px.
        visible: [N,17] bool.
        tall: [N] px standing heights.
        tilt_deg: least tilt of lying.

    Returns:
        tilt: [N] deg of the torso from upright, 0 if it is hidden.
        lies: [N] bool.
        up: [N] bool.
        known: [N] bool, whether the torso is visible or the box is clear enough.
    """
    (shoulder, a), (hip, b) = middle(body, visible, SHOULDERS), middle(body, visible, HIPS)
    (knee, has_knee), (ankle, has_ankle) = (middle(body, visible, p) for p in (KNEES, ANKLES))
    known = a & b
    upright = (hip - shoulder).imag / (_TORSO * tall)
    tilt = np.where(known, np.degrees(np.arccos(np.clip(upright, -1, 1))), 0)
    floor = seen.boxes[:, 3]
    leg = np.where(
        has_ankle,
        (ankle - hip).imag / (_LEG * tall),
        np.where(has_knee, (knee - hip).imag / (_THIGH * tall), (floor - hip.imag) / (_LEG * tall)),
    )
    wide, high = seen.boxes[:, 2] - seen.boxes[:, 0], floor - seen.boxes[:, 1]
    flat_box = (wide > _BOX_WIDE * high) & (high < _BOX_LOW * tall)
    # A person bent over on a chair has upright shanks and shoulders above the knees.
    sits = has_knee & has_ankle & ((ankle - knee).imag > _SHANK_UPRIGHT * tall)
    sits &= (knee - shoulder).imag > 0.05 * tall
    lies = np.where(known, (tilt > tilt_deg) & (leg < _HIPS_LOW) & ~sits, flat_box)
    stands = (tilt < tilt_deg - 10) | (leg > _HIPS_LOW + 0.1)
    up = np.where(known, stands, (high > 0.75 * tall) & (wide < 0.8 * high))
    return tilt, lies, up & ~lies, known | flat_box | up


def _approach(
    field: np.ndarray, rows: np.ndarray, value: np.ndarray, dt_s: np.ndarray, mean_s: float
) -> None:
    """Update an exponential mean over `mean_s`, independent of the frame rate."""
    field[rows] += -np.expm1(-dt_s / mean_s) * (value - field[rows])


def _start(field: np.ndarray, rows: np.ndarray, now: np.ndarray, t_ns: int) -> None:
    """Set the time of rows where `now` is true and no time is set."""
    begins = rows[now & (field[rows] < 0)]
    field[begins] = t_ns


def _since_s(times_ns: np.ndarray, t_ns: int) -> np.ndarray:
    return (t_ns - times_ns) * 1e-9
