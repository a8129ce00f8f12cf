"""Curves of exercises from the recorded people, and the moment that shows the worst fault."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge.recording.record import RecordedFrame
from edge.rules import build_rule
from edge.rules._action.features import MIRROR, NAMES, reaches
from edge.rules._action.judge import onto_template
from edge.rules._action.template import Template
from edge.rules._rom.options import Options
from edge.structures import Poses
from tools.reports.exercises import Exercise, span_ns
from tools.reports.recorded import Recorded, Told

_AROUND_NS = 1_500_000_000  # of rest is shown before and after an exercise


@dataclass(frozen=True)
class Moment:
    """One person at one time."""

    t_ns: int
    poses: Poses  # one person


@dataclass(frozen=True)
class Aligned:
    """A repetition in the time of its template."""

    told: Told
    reaches: np.ndarray  # [M,9]; NaN = not seen
    moments: List[Moment]  # of each frame of the template


@dataclass(frozen=True)
class AngleCurve:
    """An angle over time; NaN = not known."""

    t_s: np.ndarray  # since the curve begins
    degrees: np.ndarray
    begin_ns: int


def aligned(found: Recorded, one: Exercise, template: Template) -> List[Aligned]:
    """The repetitions of an action exercise, as far as the person was recorded."""
    frames = found.frames.get((one.run, one.camera), [])
    made = []
    for told in one.repetitions:
        moments = _moments(frames, one.person, *span_ns(told))
        if len(moments) >= 5:
            observed = np.concatenate([reaches(m.poses) for m in moments])
            onto, at = onto_template(template, observed, bool(told.data["mirrored"]))
            made.append(Aligned(told, onto, [moments[i] for i in at]))
    return made


def worst_moment(template: Template, rep: Aligned) -> Tuple[Moment, int, int]:
    """The moment of a repetition's largest deviation.

    Of the first fault's limb in its phase; without a fault, of any limb.

    Returns:
        The moment, the frame of the template, and the index of the limb in the template.
    """
    off = np.abs(rep.reaches - template.reaches) / template.tolerances * (template.weights > 0.3)
    off = np.nan_to_num(off)
    faults = rep.told.data["faults"]
    if faults:
        limb = NAMES.index(faults[0]["limb"])
        limb = int(MIRROR[limb]) if rep.told.data["mirrored"] else limb
        names = [name for name, _ in template.phases]
        during = template.phase_of() == names.index(faults[0]["phase"])
        off = off * during[:, None]
        off[:, np.arange(len(NAMES)) != limb] = 0
    frame, worst = divmod(int(off.argmax()), off.shape[1])
    return rep.moments[frame], frame, worst


def angles(found: Recorded, one: Exercise) -> Dict[str, AngleCurve]:
    """The angles of a rom exercise over its time, as the rule has them."""
    if not one.repetitions:
        return {}
    begin_ns = min(span_ns(told)[0] for told in one.repetitions) - _AROUND_NS
    end_ns = max(told.t_ns for told in [*one.repetitions, *one.others]) + _AROUND_NS
    frames = found.frames.get((one.run, one.camera), [])
    moments = _moments(frames, one.person, begin_ns, end_ns)
    return {name: _curve(moments, name, one) for name in one.angles()} if moments else {}


def at_peak(found: Recorded, one: Exercise, curves: Dict[str, AngleCurve]) -> Optional[Moment]:
    """The moment of the worst repetition's peak; None = it was not recorded."""
    told = one.worst()
    curve = curves.get(str(told.data["angle"])) if told else None
    if told is None or curve is None:
        return None
    begin_ns, end_ns = span_ns(told)
    t_ns = curve.begin_ns + curve.t_s * 1e9
    off = np.where(
        (t_ns >= begin_ns) & (t_ns <= end_ns),
        np.abs(curve.degrees - float(told.data["peak_deg"])),
        np.nan,
    )
    if np.isnan(off).all():
        return None
    at_ns = int(t_ns[int(np.nanargmin(off))])
    frames = found.frames[one.run, one.camera]
    near = _moments(frames, one.person, at_ns - 10**8, at_ns + 10**8)
    return min(near, key=lambda moment: abs(moment.t_ns - at_ns)) if near else None


def _curve(moments: Sequence[Moment], name: str, one: Exercise) -> AngleCurve:
    own = {field.name for field in fields(Options)}
    table = {key: value for key, value in one.table.items() if key in own}
    table.pop("max_uneven_deg", None)
    watch: Any = build_rule({**table, "kind": "rom", "angle": name}, "rules")
    degrees = []
    for moment in moments:
        watch(moment.poses, one.camera, moment.t_ns)
        row = np.flatnonzero(watch.people.ids == one.person)
        sure = len(row) and bool(watch.people["known"][row[0], 0])
        degrees.append(float(watch.people["angle"][row[0], 0]) if sure else np.nan)
    t_s = np.array([(m.t_ns - moments[0].t_ns) * 1e-9 for m in moments])
    return AngleCurve(t_s, np.array(degrees), moments[0].t_ns)


def _moments(
    frames: Sequence[RecordedFrame], person: int, begin_ns: int, end_ns: int
) -> List[Moment]:
    """One person in the frames of a time."""
    found = []
    for frame in frames:
        if begin_ns <= frame.t_ns <= end_ns:
            which = frame.poses.ids == person
            if which.any():
                found.append(Moment(frame.t_ns, frame.poses.take(which)))
    return found
