"""The rules `action` and `rom` on rendered exercises: through the networks, and on clean motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.people import angles
from edge.recording.record import RecordedFrame
from edge.rules._custom.measures import ALIASES
from edge.rules._posture import body_of
from tools.evaluation.page.tables import number
from tools.render.motion.acts import REPORT
from tools.ruletests import corpus, recorded
from tools.scoreboard.rules import recordings
from tools.scoreboard.table import Table

SET = "rendered-rules-exercises"
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
_TOLERANCE_S = 0.6  # from the end of a repetition to the end that the rule gives
_BOTH_SIDES = {"knee_raise": 2}  # labelled repetitions of one repetition of a side


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
    clips = recordings(models, sets, (SET,), split, quiet)
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
            rows.append(_rom_row(motion, angle, some))
    note = (
        f"{len(clips)} rendered clips of the {split} split, one person each, 12 s at 15 or 30 "
        "frames a second. The first figure is through the networks, the second on the true "
        "keypoints. Score apart: mean distance of the score of a repetition from that on the true "
        "keypoints. Angle apart: root mean square of the rule's own angle in the picture against "
        "that of the true keypoints at the same time, where both are given. A repetition of `rom` "
        "is one of either side."
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
    ends_s = [e["end_s"] for e in _events(clip) if e["kind"] == "rep"]
    told = _repetitions(clip, template, clean)
    scores: Dict[int, float] = {}
    false = 0
    for rep in told:
        near = [
            i
            for i, s in enumerate(ends_s)
            if i not in scores and abs(s - rep.end_s) <= _TOLERANCE_S
        ]
        if near:
            scores[min(near, key=lambda i: abs(ends_s[i] - rep.end_s))] = rep.score
        elif ends_s and min(ends_s) - 1 < rep.end_s < max(ends_s) + 1:
            false += 1  # one that the clip cuts off has no label
    return Counted(len(ends_s), len(scores), false, scores)


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


def _rom_row(motion: str, angle: str, clips: Sequence[recorded.Clip]) -> Tuple[str, ...]:
    told = [[_told_by_rom(clip, angle, clean) for clip in clips] for clean in (False, True)]
    labels = sum(sum(e["kind"] == "rep" for e in _events(clip)) for clip in clips)
    labels = 2 * labels // _BOTH_SIDES.get(motion, 1)
    errors = [_apart(clip, angle) for clip in clips]
    apart = np.concatenate([e for e, _ in errors])
    refused = float(np.mean([r for _, r in errors])) if errors else None
    return (
        f"rom, {angle} in {motion}",
        str(labels),
        " / ".join(str(sum(some)) for some in told),
        "-",
        "-",
        number(float(np.sqrt(np.square(apart).mean())) if len(apart) else None, 1),
        number(refused, 2),
    )


def _told_by_rom(clip: recorded.Clip, angle: str, clean: bool) -> int:
    (rule,) = corpus.rules_of([{"kind": "rom", "angle": angle}], "clip")
    events = [e for f in corpus.frames_of(clip, clean) for e in rule(f.poses, f.camera, f.t_ns)]
    return sum(e.data["action"] == "repetition" for e in events)


def _apart(clip: recorded.Clip, angle: str) -> Tuple[np.ndarray, float]:
    """Differences [M] deg of the angle in the picture, and the share that is refused."""
    seen, true = (corpus.frames_of(clip, clean) for clean in (False, True))
    names = [ALIASES.get(n, n) for n in (f"{side}_{angle}" for side in angles.SIDES)]
    out: List[np.ndarray] = []
    refused: List[float] = []
    for one, other in zip(seen, true):
        if not len(one.poses) or not len(other.poses):
            continue
        (got, known), (want, fine) = (_angles(frame, names) for frame in (one, other))
        refused.append(float(1 - known[fine].mean()) if fine.any() else 0.0)
        out.append((got - want)[known & fine])
    return np.concatenate([np.zeros(0), *out]), float(np.mean(refused)) if refused else 0.0


def _angles(frame: RecordedFrame, names: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
    """Angles [2] deg of the largest person, and which the rule `rom` would take."""
    poses = frame.poses
    sizes = (poses.boxes[:, 2:] - poses.boxes[:, :2]).max(1)
    one = poses.take(np.array([int(sizes.argmax())]))
    tall = body_of(one)[2]
    found = angles.measure(one.keypoints, one.scores, one.skeleton, list(names), tall)
    known = np.isfinite(found.degrees[0]) & (found.off_plane_deg[0] <= 30)
    return found.degrees[0], known & (found.error_deg[0] <= 20)
