"""The rule `rom` on rendered exercises, by how far the camera is off the plane of the movement."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.people import angles
from edge.recording.record import RecordedFrame
from edge.rules._custom.measures import ALIASES
from edge.rules._posture import body_of
from edge.structures import PoseEvent
from tools.evaluation.page.tables import number
from tools.ruletests import corpus, recorded

# Name of a class of views -> the angle in deg from which, and up to which, it goes. The rule takes
# views up to 30 deg; between, the error of its estimate decides.
VIEWS: Dict[str, Tuple[float, float]] = {
    "in plane": (0.0, 25.0),
    "aslant": (25.0, 45.0),
    "off plane": (45.0, 90.1),
}
_LATE_S = 0.4  # after the end of a labelled repetition `rom` may still tell it
_ALTERNATE = ("knee_raise", "lunge", "side_bend")  # a label is of one side; else of both


class Told(NamedTuple):
    """Repetitions of one clip."""

    labels: int
    found: int
    false: int


def rows(
    motion: str, angle: str, clips: Sequence[recorded.Clip]
) -> List[Tuple[str, str, str, str, str, str, str]]:
    """Rows of an exercise, for each class of views that has clips; in the columns of `HEAD`."""
    off_deg = [off_plane_deg(clip.truth, angle) for clip in clips]
    made = []
    for view, (low, high) in VIEWS.items():
        some = [clip for clip, off in zip(clips, off_deg) if low <= off < high]
        if some:
            made.append(_row(f"rom, {angle} in {motion}, {view}", motion, angle, some))
    return made


def _row(
    name: str, motion: str, angle: str, clips: Sequence[recorded.Clip]
) -> Tuple[str, str, str, str, str, str, str]:
    each = [
        [told(clip, motion, angle, *how) for clip in clips]
        for how in ((False, False), (True, False), (False, True))
    ]
    errors = [_apart(clip, angle) for clip in clips]
    apart = np.concatenate([e for e, _ in errors])
    rms = float(np.sqrt(np.square(apart).mean())) if len(apart) else None

    def sums(field: str) -> str:
        return " / ".join(str(sum(getattr(t, field) for t in some)) for some in each)

    return (
        name,
        str(sum(t.labels for t in each[0])),
        sums("found"),
        sums("false"),
        "-",
        number(rms, 1),
        number(float(np.mean([r for _, r in errors])), 2),
    )


def off_plane_deg(truth: Path, angle: str) -> float:
    """The true angle in deg between the picture and the plane of a movement, a median.

    Args:
        truth: of a clip of one person.
        angle: as the option of `rom`.
    """
    with truth.open(encoding="utf-8") as lines:
        eye = np.array(json.loads(next(lines))["camera"]["position_m"])
        people = [p for line in lines for p in json.loads(line)["people"][:1]]
    body = np.array([p["keypoints_m"] for p in people])[:, :17]
    view = body[:, [5, 6, 11, 12]].mean(1) - eye
    seen = [_seen_off_deg(body, view, name) for name in names_of(angle)]
    return float(np.median(np.concatenate(seen)))


def _seen_off_deg(body: np.ndarray, view: np.ndarray, name: str) -> np.ndarray:
    """Angle [T] between views [T,3] and the normal of the plane of an angle of bodies [T,17,3]."""
    across = (body[:, 5] - body[:, 6]) + (body[:, 11] - body[:, 12])
    if angles.PLANES[name] == "own":
        shoulder, elbow, wrist = (5, 7, 9) if name.startswith("left") else (6, 8, 10)
        arm, forearm = body[:, elbow] - body[:, shoulder], body[:, wrist] - body[:, elbow]
        normal = np.cross(arm, forearm).mean(0, keepdims=True)
    elif angles.PLANES[name] == "frontal":
        normal = np.cross(across, [0.0, 0.0, 1.0])
    else:
        normal = across
    lengths = np.linalg.norm(normal, axis=1) * np.linalg.norm(view, axis=1)
    cosine = np.abs((normal * view).sum(1)) / np.maximum(lengths, 1e-9)
    return np.asarray(np.degrees(np.arccos(np.minimum(cosine, 1))))


def names_of(angle: str) -> List[str]:
    """Full names of an angle on both sides."""
    return [ALIASES.get(n, n) for n in (f"{side}_{angle}" for side in angles.SIDES)]


def told(clip: recorded.Clip, motion: str, angle: str, clean: bool, world: bool) -> Told:
    """Labelled repetitions of a clip, and those that `rom` told.

    Args:
        clip: of one person.
        motion: of that person.
        angle: as the option of `rom`.
        clean: take the true keypoints.
        world: let the rule have the network's joints in metres.
    """
    (rule,) = corpus.rules_of([{"kind": "rom", "angle": angle}], "clip")
    frames = corpus.frames_of(clip, clean)
    events: List[PoseEvent] = []
    for frame in frames:
        poses = frame.poses if world else dataclasses.replace(frame.poses, world=None)
        events += rule(poses, frame.camera, frame.t_ns)
    begin_ns = frames[0].t_ns if frames else 0
    person = recorded.head_of(clip.truth)[1]["people"][0]
    sides = [""] if motion in _ALTERNATE else names_of(angle)
    free = [
        (r["start_s"], r["end_s"], side)
        for r in person["events"]
        if r["kind"] == "rep"
        for side in sides
    ]
    labels, false = len(free), 0
    first_s = min((a for a, _, _ in free), default=0.0)
    for event in events:
        if event.data["action"] != "repetition":
            continue
        t_s, name = (event.t_ns - begin_ns) * 1e-9, event.data["angle"]
        mine = [r for r in free if r[0] <= t_s <= r[1] + _LATE_S and r[2] in ("", name)]
        if mine:
            free.remove(mine[0])
        else:  # one that the clip cuts off at its start or its end has no label
            false += int(first_s < t_s <= max(r["end_s"] for r in person["events"]) - 1)
    return Told(labels, labels - len(free), false)


def _apart(clip: recorded.Clip, angle: str) -> Tuple[np.ndarray, float]:
    """Differences [M] deg of the angle in the picture, and the share that is refused."""
    seen, true = (corpus.frames_of(clip, clean) for clean in (False, True))
    names = names_of(angle)
    out: List[np.ndarray] = []
    refused: List[float] = []
    for one, other in zip(seen, true):
        if not len(one.poses) or not len(other.poses):
            continue
        (got, known), (want, there) = (_angles(frame, names) for frame in (one, other))
        there &= np.isfinite(want)
        refused.append(float(1 - known[there].mean()) if there.any() else 1.0)
        out.append((got - want)[known & there])
    return np.concatenate([np.zeros(0), *out]), float(np.mean(refused)) if refused else 0.0


def _angles(frame: RecordedFrame, names: Sequence[str]) -> Tuple[np.ndarray, np.ndarray]:
    """Angles [2] deg of the largest person, and which the rule `rom` would take."""
    poses = frame.poses
    sizes = (poses.boxes[:, 2:] - poses.boxes[:, :2]).max(1)
    one = poses.take(np.array([int(sizes.argmax())]))
    found = angles.measure(one.keypoints, one.scores, one.skeleton, names, body_of(one)[2])
    known = np.isfinite(found.degrees[0]) & (found.off_plane_deg[0] <= 30)
    return found.degrees[0], known & (found.error_deg[0] <= 20)
