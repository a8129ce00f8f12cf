"""The rules `action` and `rom` on rendered exercises: through the networks, and on clean motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from tools.evaluation.page.tables import number
from tools.render.motion.acts import REPORT
from tools.ruletests import corpus, recorded
from tools.scoreboard import exercise_views
from tools.scoreboard.rules import recordings
from tools.scoreboard.table import Table

SETS = ("rendered-rules-exercises", "rendered-rules-side")
# Motion -> the template of `action`, and the angle of `rom`; empty = none.
DONE: Dict[str, Tuple[str, str]] = {
    "squat": ("squat", "knee"),
    "lunge": ("lunge", ""),
    "jumping_jack": ("jumping_jack", "shoulder_abduction"),
    "push_up": ("push_up", ""),
    "basketball_shot": ("basketball_shot", ""),
    "biceps_curl": ("", "elbow"),
    "press": ("", "elbow"),
    "knee_raise": ("", "knee"),
}
HEAD = ("", "repetitions", "found", "false", "score apart", "angle apart deg", "refused")
# From the end of a repetition to the end that the rule gives; a share of its length if that is
# more: where one flows into the next, the body is nearly still.
_TOLERANCE_S, _TOLERANCE = 0.6, 0.25
_WAITS = 0.5  # `action` tells a repetition after this share of its length at the latest


class Rep(NamedTuple):
    """A repetition that `action` told."""

    end_s: float
    score: float


class Counted(NamedTuple):
    """Repetitions of one clip."""

    labels: int
    found: int
    false: int
    scores: Dict[int, float]  # label -> score


def table(models: Optional[Path], sets: Path, quiet: bool = False, split: str = REPORT) -> Table:
    """Rows of `action` by template and of `rom` by angle."""
    clips = recordings(models, sets, SETS, split, quiet, world=True)
    by_motion: Dict[str, List[recorded.Clip]] = {}
    for clip in clips:
        _, head = recorded.head_of(clip.truth)
        by_motion.setdefault(str(head["people"][0]["motion"]), []).append(clip)
    rows: List[Tuple[str, ...]] = []
    for motion, some in sorted(by_motion.items()):
        template, angle = DONE.get(motion, ("", ""))
        if template:
            rows.append(_action_row(template, some))
        if angle:
            rows += exercise_views.rows(motion, angle, some)
    note = (
        f"{len(clips)} rendered clips of the {split} split, one person each, 10 to 12 s at 15 or "
        "30 frames a second. The first figure is through the networks, the second on the true "
        "keypoints, the third of `rom` through the networks with `pose.world`. Score apart: mean "
        "distance of the score of a repetition from that on the true keypoints. Views of `rom`: "
        "up to 25 deg off the plane of the movement, up to 45, and further. In the picture the "
        "rule refuses views beyond 30 deg and counts nothing there. Angle apart: root mean square "
        "of the angle in the picture against that of the true keypoints, where both are given. "
        "Refused: share of the frames. A repetition of `action` that ends less than half its "
        "length before the clip does is left out: the rule waits for so long. A repetition of "
        "`rom` is one of either side."
    )
    return Table("Exercises on rendered people", note, HEAD, list(rows))


def _action_row(template: str, clips: Sequence[recorded.Clip]) -> Tuple[str, ...]:
    found = {clean: [counted(clip, template, clean) for clip in clips] for clean in (False, True)}
    apart = [
        abs(score - true.scores[label])
        for seen, true in zip(found[False], found[True])
        for label, score in seen.scores.items()
        if label in true.scores
    ]
    sums = [
        [sum(getattr(c, n) for c in found[k]) for k in (False, True)] for n in ("found", "false")
    ]
    return (
        f"action, {template}",
        str(sum(c.labels for c in found[False])),
        *(" / ".join(map(str, pair)) for pair in sums),
        number(float(np.mean(apart)) if apart else None, 1),
        "-",
        "-",
    )


def counted(clip: recorded.Clip, template: str, clean: bool) -> Counted:
    """Labelled repetitions of a clip, and those that `action` told."""
    clip_s = _long_s(clip)
    spans = [(e["start_s"], e["end_s"]) for e in _events(clip) if e["kind"] == "rep"]
    spans = [(a, b) for a, b in spans if b + _WAITS * (b - a) <= clip_s]
    scores: Dict[int, float] = {}
    false = 0
    for rep in _repetitions(clip, template, clean):
        near = [
            i
            for i, (a, b) in enumerate(spans)
            if i not in scores and abs(b - rep.end_s) <= max(_TOLERANCE_S, _TOLERANCE * (b - a))
        ]
        if near:
            scores[min(near, key=lambda i: abs(spans[i][1] - rep.end_s))] = rep.score
        elif spans and spans[0][0] < rep.end_s < spans[-1][1]:
            false += 1  # one that the clip cuts off has no label
    return Counted(len(spans), len(scores), false, scores)


def _long_s(clip: recorded.Clip) -> float:
    rate_hz, head = recorded.head_of(clip.truth)
    return float(head["frames"]) / rate_hz


def _events(clip: recorded.Clip) -> List[Dict[str, Any]]:
    events: List[Dict[str, Any]] = recorded.head_of(clip.truth)[1]["people"][0]["events"]
    return events


def _repetitions(clip: recorded.Clip, template: str, clean: bool) -> List[Rep]:
    frames = corpus.frames_of(clip, clean)
    if not frames:
        return []
    table = {"kind": "action", "template": template}
    (rule,) = corpus.rules_of([table], frames[0].camera)
    found: List[Rep] = []
    for frame in frames:
        for event in rule(frame.poses, frame.camera, frame.t_ns):
            end_s = (event.t_ns - frames[0].t_ns) * 1e-9 - float(str(event.data["ended_s"]))
            found.append(Rep(end_s, float(str(event.data["score"]))))
    return found
