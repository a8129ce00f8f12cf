"""The rule `fall`: people who fall, lie on the ground, and get up again.

A small network (edge.rules._fall.evidence) reads how the body of each person moved in the last
2.6 s and says how likely a fall is. It is believed if it says so twice in a row, if the shoulders
came down fast and far enough, and if the person stays down for `confirm_s`. Lying down slowly is
reported as lying, after little movement. H = standing height.

What the picture shows of an upright body depends on the camera's pitch. It is given (`pitch_deg`),
or learned of each person while they stand. A fall away from a camera that looks down by 45 degrees
changes little in its picture and may be missed. docs/rules.md has the figures; none is of a public
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
from edge.rules._fall import evidence
from edge.rules._fall_memory import FALLEN, LYING, UP, remembered
from edge.rules._fall_words import why
from edge.rules._lying import ALL, LEAST_UPRIGHT, WHOLE, Shape, postures, shape_of, uprights
from edge.rules._person_memory import with_ids
from edge.rules._posture import straight_body_of
from edge.rules._timing import approach, recent, since_s, start
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

_SPEED_MEAN_S = 0.2
_STILL_MEAN_S = 0.4
_SHAPE_MEAN_S = 0.15
_FAST_H_S, _FAST_HOLD_S = 0.7, 1.5  # somebody who was so fast is not learned from for a while
_LATE_S = 3.0  # lying that was told may turn out as a fall for this long
_DOWN = 0.5  # chance of being down, above which a fallen person is
_HIGH_LEAK_S = 0.3  # the height from which a body falls is forgotten at this share a second
# The upright share of a person rises soon and falls slowly, so that a fall is not learned.
_UPRIGHT_RISE_S, _UPRIGHT_FALL_S, _UPRIGHT_ALL_S = 0.7, 6.0, 20.0
_HEIGHT_HOLD_S = 10.0  # standing heights are remembered, because a body seen end-on looks short
_BLINK_S = 0.3  # lying for less than this does not interrupt getting up
_FLICKER_S = 0.4  # bad poses may interrupt lying for this long
_RESTLESS = 4.0  # a person who moves is reported as down after this many times `still_s`
_UNSEEN_S = 1.5  # people who fell are reported though they have not been seen for so long
_LOST_S = 10.0
_LEVEL = {"fall": "alarm", "lying": "warning", "lost": "warning"}


@dataclass(frozen=True)
class Options:
    """Settings of a fall rule."""

    tilt_deg: float = key(55.0, "a torso further than this from upright is lying", 20, 90)
    sure: float = key(0.5, "chance of a fall that is needed, as the network gives it", 0.05, 1)
    speed_h_s: float = key(
        0.3, "in a fall the shoulders drop faster than this, in heights per second", 0, 5
    )
    drop_h: float = key(0.1, "in a fall the shoulders drop further than this, in heights", 0, 2)
    window_s: float = key(2.5, "speed and drop of a fall are remembered for this long", 0.2, 10)
    confirm_s: float = key(
        0.5, "report a fallen person who stays down for this long after the fall was seen", 0, 60
    )
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
        body, visible, tall = straight_body_of(seen)
        self._remember_height(rows, tall, dt_s)
        raw = shape_of(seen, body, visible, people["tall"][rows])
        shape = self._steadied(rows, raw, dt_s)
        self._learn_pitch(rows, shape, dt_s, t_ns)
        self._follow_motion(rows, body, visible, dt_s)
        self._follow_drop(rows, raw, dt_s, t_ns)
        self._weigh(rows, shape, body, visible, t_ns)
        self._judge_posture(rows, seen, shape, t_ns)
        people["body"][rows], people["seen"][rows] = body, visible
        people["score"][rows], people["new"][rows] = seen.person_scores, False
        away_s = people.note_seen(rows, t_ns)
        events = self._report(away_s, camera, t_ns)
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

    def _learn_pitch(self, rows: np.ndarray, shape: Shape, dt_s: np.ndarray, t_ns: int) -> None:
        """Update which share of an upright body the picture shows, of each person and of all."""
        people = self._people
        share, stood_s = people["upright"], people["stood_s"]
        share[rows[share[rows] == 0]] = self._upright
        if self._options.pitch_deg >= 0:
            return
        stands, now = uprights(shape)
        stands &= (people["down_ns"][rows] < 0) & ~recent(
            people["fast_ns"][rows], t_ns, _FAST_HOLD_S
        )
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
        people["high"][rows] = np.maximum(now, people["high"][rows] - _HIGH_LEAK_S * dt_s)
        people["fast_ns"][rows[people["sinking"][rows] > _FAST_H_S]] = t_ns
        drop = np.abs(whole - 1j * people["high"][rows] * upright) * WHOLE
        for name, value in (("speed", people["sinking"][rows]), ("drop", drop)):
            peak, at_ns = people[f"peak_{name}"], people[f"peak_{name}_ns"]
            kept = recent(at_ns[rows], t_ns, options.window_s) & (value < peak[rows])
            more = ~kept & ~people["fell"][rows]
            peak[rows[more]], at_ns[rows[more]] = value[more], t_ns

    def _weigh(
        self, rows: np.ndarray, shape: Shape, body: np.ndarray, visible: np.ndarray, t_ns: int
    ) -> None:
        """Let the network judge the last seconds; note who has fallen, twice in a row."""
        people, options = self._people, self._options
        tall, upright = people["tall"], people["upright"]
        now = evidence.signals(shape, body, visible, tall[rows], upright[rows])
        due = evidence.sample(people, rows, now, t_ns)
        if not len(due):
            return
        found = evidence.chances(evidence.inputs(people["past"][due], tall[due], upright[due]))
        fell = np.minimum(found[:, 0], people["fell_chance"][due]) > options.sure
        people["fell_chance"][due], people["down_chance"][due] = found.T
        fell &= people["peak_speed"][due] >= options.speed_h_s
        fell &= people["peak_drop"][due] >= options.drop_h
        new = due[fell & ~people["fell"][due]]
        people["fell"][new], people["fell_ns"][new] = True, t_ns

    def _judge_posture(self, rows: np.ndarray, seen: Poses, shape: Shape, t_ns: int) -> None:
        """Note since when people lie, are still, or are up."""
        people, options = self._people, self._options
        found = postures(
            seen, shape, people["tall"][rows], people["upright"][rows], options.tilt_deg
        )
        people["tilt"][rows] = found.tilt_deg
        fallen = people["fell"][rows] & (people["down_chance"][rows] > _DOWN) & ~found.sits
        lies = found.lies | fallen
        begun_ns = np.where(people["lying_ns"][rows] < 0, t_ns, people["lying_ns"][rows])
        people["lying_ns"][rows] = np.where(lies, begun_ns, -1)
        people["lie_ns"][rows[lies]] = t_ns
        start(people["down_ns"], rows, lies, t_ns)
        brief = t_ns - people["lie_ns"][rows] <= _FLICKER_S * 1e9
        over = rows[found.known & ~brief & (people["reported"][rows] == UP)]
        people["down_ns"][over], people["fell"][over] = -1, False
        still = (people["down_ns"][rows] >= 0) & (
            np.abs(people["moving"][rows]) < options.still_h_s
        )
        start(people["still_ns"], rows, still, t_ns)
        people["still_ns"][rows[~still]] = -1
        start(people["up_ns"], rows, found.up & ~lies, t_ns)
        lying_s = since_s(people["lying_ns"][rows], t_ns)
        people["up_ns"][rows[lies & (lying_s >= _BLINK_S)]] = -1

    def _report(self, away_s: np.ndarray, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of people in view, or who fell and are not seen since; notes them as reported.

        Args:
            away_s: [N] for how long each person has not been seen, 0 = in view.
            camera: of the events.
            t_ns: time of the frame.
        """
        people, options = self._people, self._options
        here = away_s == 0
        late = people["fell_ns"] - people["down_ns"] <= _LATE_S * 1e9
        new = (people["reported"] == UP) | people["fell"] & late & (people["reported"] == LYING)
        down = (here | people["fell"] & (away_s <= _UNSEEN_S)) & new & (people["down_ns"] >= 0)
        still = (people["still_ns"] >= 0) & (since_s(people["still_ns"], t_ns) >= options.still_s)
        down_s = since_s(people["down_ns"], t_ns)
        sure = still | (down_s >= _RESTLESS * options.still_s)
        stays = (people["lying_ns"] >= 0) & (people["fell_ns"] >= 0)
        stays &= since_s(people["fell_ns"], t_ns) >= options.confirm_s
        sure = np.where(people["fell"], stays, sure)
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
