"""The rule `fall`: people who fall, lie on the ground, and get up again.

In a fall the shoulders come down fast to the height of the feet, and stay there. It is told when
the person has been down for `confirm_s` and the drop has ended. Lying down slowly is reported as
lying, after little movement. H = standing height.

What the picture shows of an upright body depends on the camera's pitch. It is given (`pitch_deg`),
or learned of each person while they stand. A fall away from a camera that looks down by 45 degrees
changes little in its picture and is missed. docs/rules.md has the figures; none is of a public
benchmark of real falls.

Event data: `action` fall | lying | recover | lost; `down_s`, how long the person has been lying;
`tilt_deg`, angle of the torso from upright; `drop_h` and `speed_h_s` of the shoulders over the
feet, 0 without a drop. `lost`: a person who was lying is no longer seen, so it is unknown whether
they got up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from edge.rules import Rule
from edge.rules._fall_memory import FALLEN, LYING, UP, remembered
from edge.rules._fall_words import why
from edge.rules._lying import ALL, LEAST_UPRIGHT, TORSO, WHOLE, Shape, postures, shape_of, uprights
from edge.rules._person_memory import with_ids
from edge.rules._posture import body_of
from edge.rules._timing import approach, since_s, start
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

_SPEED_MEAN_S = 0.2
_STILL_MEAN_S = 0.4
_SETTLED_S = 0.5  # a fall is told if the drop ended this long ago
_SHAPE_MEAN_S = 0.15
_CROUCH_H = 0.15  # the drop must be longer by this if crouching would look the same
_AWAY_H_S = 0.15  # and faster by this if going away would look the same
_HIGH = 0.5  # share of their height over the feet above which the shoulders are up
_SITS = 0.6  # the same of an upright torso
_HIGH_LEAK_S = 0.3  # the height from which a body falls is forgotten at this share a second
# The upright share of a person rises soon and falls slowly, so that a fall is not learned.
_UPRIGHT_RISE_S, _UPRIGHT_FALL_S, _UPRIGHT_ALL_S = 0.7, 6.0, 20.0
_HEIGHT_HOLD_S = 10.0  # standing heights are remembered, because a body seen end-on looks short
_BLINK_S = 0.3  # lying for less than this does not interrupt getting up
_FLICKER_S = 0.4  # bad poses may interrupt lying for this long
_RESTLESS = 4.0  # a person who moves is reported as down after this many times `still_s`
_LOST_S = 10.0
_LEVEL = {"fall": "alarm", "lying": "warning", "lost": "warning"}


@dataclass(frozen=True)
class Options:
    """Settings of a fall rule."""

    tilt_deg: float = key(55.0, "a torso further than this from upright is lying", 20, 90)
    speed_h_s: float = key(
        0.7, "in a fall the shoulders drop faster than this, in heights per second", 0.1, 5
    )
    drop_h: float = key(0.25, "in a fall the shoulders drop further than this, in heights", 0.05, 2)
    window_s: float = key(1.5, "longest time between the drop and the lying of one fall", 0.2, 10)
    confirm_s: float = key(1.3, "report a fallen person who stays down for this long", 0, 60)
    pitch_deg: float = key(
        -1.0, "how far the camera looks down; -1 = learned of people who stand", -1, 90
    )
    still_s: float = key(1.4, "report a person who lies still for this long", 0, 60)
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
        given = np.cos(np.radians(max(options.pitch_deg, 0)))
        self._upright = float(max(given, LEAST_UPRIGHT))
        self._people = remembered(_LOST_S)

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        people, seen = self._people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
        body, visible, tall = body_of(seen)
        self._remember_height(rows, tall, dt_s)
        raw = shape_of(seen, body, visible, people["tall"][rows])
        shape = self._steadied(rows, raw, dt_s)
        self._learn_pitch(rows, shape, dt_s)
        self._follow_motion(rows, body, visible, dt_s)
        self._follow_drop(rows, raw, dt_s, t_ns)
        self._judge_posture(rows, seen, shape, t_ns)
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

    def _steadied(self, rows: np.ndarray, shape: Shape, dt_s: np.ndarray) -> Shape:
        """The shape as a mean over `_SHAPE_MEAN_S`, without the noise of single frames."""
        mean = self._people["shape"]
        gain = -np.expm1(-dt_s / _SHAPE_MEAN_S)
        gain[self._people["new"][rows]] = 1
        mean[rows] += (gain * shape.known)[:, None] * (shape.parts - mean[rows])
        return shape._replace(parts=mean[rows])

    def _learn_pitch(self, rows: np.ndarray, shape: Shape, dt_s: np.ndarray) -> None:
        """Update which share of an upright body the picture shows, of each person and of all."""
        people = self._people
        share, stood_s = people["upright"], people["stood_s"]
        share[rows[share[rows] == 0]] = self._upright
        if self._options.pitch_deg >= 0:
            return
        stands, now = uprights(shape)
        stands &= (people["down_ns"][rows] < 0) & (people["fast_ns"][rows] < 0)
        stood_s[rows] += dt_s * stands
        mean_s = np.where(now > share[rows], _UPRIGHT_RISE_S, _UPRIGHT_FALL_S)
        gain = dt_s / np.maximum(np.minimum(stood_s[rows], mean_s), 1e-3) * stands
        share[rows] += np.minimum(gain, 1) * (now - share[rows])
        if stands.any():
            gain_all = -np.expm1(-float(dt_s[stands].mean()) / _UPRIGHT_ALL_S)
            self._upright += gain_all * (float(share[rows[stands]].mean()) - self._upright)

    def _follow_motion(
        self, rows: np.ndarray, body: np.ndarray, visible: np.ndarray, dt_s: np.ndarray
    ) -> None:
        """Update the speed of the whole body in H/s."""
        people = self._people
        both = visible & people["seen"][rows] & (dt_s > 0)[:, None]
        steps = (body - people["body"][rows]) * both / people["tall"][rows][:, None]
        whole = steps.sum(1) / np.maximum(both.sum(1), 1)
        approach(people["moving"], rows, whole / np.maximum(dt_s, 1e-3), dt_s, _STILL_MEAN_S)

    def _follow_drop(self, rows: np.ndarray, shape: Shape, dt_s: np.ndarray, t_ns: int) -> None:
        """Update how fast and how far the shoulders come down to the feet, in H/s and H."""
        people, options = self._people, self._options
        upright = people["upright"][rows]
        whole, before = shape.parts[:, ALL], people["whole"][rows]
        both = (shape.known == people["known"][rows]) & (dt_s > 0)
        step = np.where(both, whole - before, 0) * WHOLE
        velocity = step / np.maximum(dt_s, 1e-3)
        approach(people["velocity"], rows, velocity, dt_s, _SPEED_MEAN_S)
        mean = people["velocity"][rows]
        people["sinking"][rows] = np.hypot(np.maximum(-mean.imag / upright, 0), mean.real)
        people["whole"][rows] = whole
        people["known"][rows] = shape.known
        now = np.minimum(whole.imag / upright, 1.2)
        leaked = people["high"][rows] - _HIGH_LEAK_S * dt_s
        high = np.maximum(now, leaked)
        people["high"][rows] = high
        sits = (shape.parts[:, TORSO].imag > _SITS * upright) | ~shape.known
        people["high_ns"][rows[sits & (now > _HIGH)]] = t_ns
        standing = rows[(people["down_ns"][rows] < 0) & self._old(rows, t_ns)]
        people["peak_speed"][standing] = people["peak_drop"][standing] = 0
        people["fast_ns"][standing] = -1
        fast = people["sinking"][rows] > options.speed_h_s
        people["fast_ns"][rows[fast]] = t_ns
        falling = ~self._old(rows, t_ns)
        drop = np.abs(whole - 1j * high * upright) * WHOLE
        for peak, value in (("peak_speed", people["sinking"][rows]), ("peak_drop", drop)):
            people[peak][rows[falling]] = np.maximum(people[peak][rows], value)[falling]

    def _old(self, rows: np.ndarray, t_ns: int) -> np.ndarray:
        """Whose last fast drop, if any, was too long ago."""
        fast_ns = self._people["fast_ns"][rows]
        return (fast_ns < 0) | (since_s(fast_ns, t_ns) > self._options.window_s)

    def _judge_posture(self, rows: np.ndarray, seen: Poses, shape: Shape, t_ns: int) -> None:
        """Note since when people lie, are still, or are up."""
        people, options = self._people, self._options
        found = postures(
            seen, shape, people["tall"][rows], people["upright"][rows], options.tilt_deg
        )
        people["tilt"][rows] = found.tilt_deg
        # These may also crouch, lean, sit or go away: only a fast drop tells.
        fast = people["peak_speed"][rows] >= options.speed_h_s + _AWAY_H_S
        clear = found.aslant | found.flat & fast | ~shape.known
        least_h = options.drop_h + np.where(clear, 0, _CROUCH_H)
        far = ~self._old(rows, t_ns) & (people["peak_drop"][rows] >= least_h)
        fell = people["fell"][rows]
        lies = found.lies | (found.low | found.aslant) & (far | fell)
        lies |= found.flat & (far & fast | fell)
        begun_ns = np.where(people["lying_ns"][rows] < 0, t_ns, people["lying_ns"][rows])
        people["lying_ns"][rows] = np.where(lies, begun_ns, -1)
        people["lie_ns"][rows[lies]] = t_ns
        start(people["down_ns"], rows, lies, t_ns)
        brief = t_ns - people["lie_ns"][rows] <= _FLICKER_S * 1e9
        over = rows[found.known & ~brief & (people["reported"][rows] == UP)]
        people["down_ns"][over], people["fell"][over] = -1, False
        self._judge_fall(rows, far)
        still = (people["down_ns"][rows] >= 0) & (
            np.abs(people["moving"][rows]) < options.still_h_s
        )
        start(people["still_ns"], rows, still, t_ns)
        people["still_ns"][rows[~still]] = -1
        start(people["up_ns"], rows, found.up & ~lies, t_ns)
        lying_s = since_s(people["lying_ns"][rows], t_ns)
        people["up_ns"][rows[lies & (lying_s >= _BLINK_S)]] = -1

    def _judge_fall(self, rows: np.ndarray, far: np.ndarray) -> None:
        """Note who came down by a fall: from up to down in a short time, far and fast."""
        people, options = self._people, self._options
        down_ns, window_ns = people["down_ns"][rows], options.window_s * 1e9
        was_up = (people["high_ns"][rows] >= 0) & (down_ns - people["high_ns"][rows] <= window_ns)
        fast_ns = people["fast_ns"][rows]
        fast = (fast_ns >= 0) & (np.abs(down_ns - fast_ns) <= window_ns)
        people["fell"][rows] |= (down_ns >= 0) & was_up & fast & far

    def _report(self, here: np.ndarray, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of people in view, who are noted as reported."""
        people, options = self._people, self._options
        down = here & (people["reported"] == UP) & (people["down_ns"] >= 0)
        still = (people["still_ns"] >= 0) & (since_s(people["still_ns"], t_ns) >= options.still_s)
        down_s = since_s(people["down_ns"], t_ns)
        sure = still | (down_s >= _RESTLESS * options.still_s)
        ended_ns = np.maximum(people["fast_ns"], people["lying_ns"])
        settled = (since_s(ended_ns, t_ns) >= _SETTLED_S) & (people["lying_ns"] >= 0)
        settled &= np.abs(people["velocity"]) < options.still_h_s
        sure |= people["fell"] & (down_s >= options.confirm_s) & settled
        events: List[PoseEvent] = []
        for row in np.flatnonzero(down & sure):
            fell = bool(people["fell"][row])
            people["reported"][row] = FALLEN if fell else LYING
            events += self._event("fall" if fell else "lying", int(row), camera, t_ns)
        up_s = np.where(people["up_ns"] >= 0, since_s(people["up_ns"], t_ns), -1)
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
        said = why(action, data, fell, options.tilt_deg, options.speed_h_s, _LOST_S)
        who, level = int(people.ids[row]), _LEVEL.get(action, "info")
        return [PoseEvent("fall", camera, who, t_ns, score, data, level, said)]
