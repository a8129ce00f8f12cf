"""Which events are right: each label answers for one event of its kind, in time."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence

from tools.ruletests.labels import Label


class Told(NamedTuple):
    """An event that a rule told."""

    kind: str
    t_s: float  # since the first frame of the camera
    camera: str
    why: str


class Score(NamedTuple):
    """How right the events of one kind are; None: nothing to divide by."""

    labels: int
    told: int
    right: int
    precision: Optional[float]
    recall: Optional[float]
    delay_s: Optional[float]  # median after the end of the label


class Judged(NamedTuple):
    """The outcome of a recording."""

    scores: Dict[str, Score]
    missed: List[Label]
    false: List[Told]


def judge(labels: Sequence[Label], told: Sequence[Told], tolerance_s: float) -> Judged:
    """Match events with labels, the earliest first.

    An event is right if it comes from `tolerance_s` before the start of a label of its kind until
    `tolerance_s` after its end, and no earlier event has answered the label.
    """
    free = sorted(labels, key=lambda a: a.end_s)
    right: Dict[str, List[float]] = {}
    false: List[Told] = []
    for event in sorted(told, key=lambda e: e.t_s):
        label = next((a for a in free if _answers(event, a, tolerance_s)), None)
        if label is None:
            false.append(event)
        else:
            free.remove(label)
            right.setdefault(event.kind, []).append(event.t_s - label.end_s)
    kinds = sorted({a.kind for a in labels} | {e.kind for e in told})
    scores = {
        kind: _score(
            sum(a.kind == kind for a in labels),
            sum(e.kind == kind for e in told),
            sorted(right.get(kind, [])),
        )
        for kind in kinds
    }
    return Judged(scores, free, false)


def _answers(event: Told, label: Label, tolerance_s: float) -> bool:
    near = label.start_s - tolerance_s <= event.t_s <= label.end_s + tolerance_s
    return near and event.kind == label.kind and label.camera in ("", event.camera)


def _score(labels: int, told: int, delays_s: Sequence[float]) -> Score:
    right = len(delays_s)
    return Score(
        labels,
        told,
        right,
        right / told if told else None,
        right / labels if labels else None,
        round(delays_s[right // 2], 2) if right else None,
    )
