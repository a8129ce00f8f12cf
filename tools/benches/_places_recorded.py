"""The rules of places on drawn people whose poses the networks gave: recordings beside the truth.

A set has NAME.truth.jsonl and poses/KEY/NAME/*.poses for each clip; KEY stands for the settings of
the networks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from edge.capture._synthetic.camera import Pinhole
from edge.recording.record import RecordedFrame, unpack
from edge.recording.ring import SUFFIX, read_segment
from edge.rules import build_rule
from edge.scene.ground import Ground
from tools.benches import _places_truth as truths
from tools.benches._places_scenes import ground_of, on_picture, person_of
from tools.benches._places_truth import Score, Truth

LOITER_S, LOITER_M = 5.0, 0.8
_TRUTH = ".truth.jsonl"
_LINE_M = 3.0  # to both sides of the middle
SLACK_S = 2.5


class Clip(NamedTuple):
    """A clip and what happened in it."""

    name: str
    rate_hz: float
    points: np.ndarray  # [T,N,17,3] m; NaN = not in the picture
    boxes: np.ndarray  # [T,N,4] px; NaN = not in the picture
    camera: Pinhole
    ground: Ground
    frames: List[RecordedFrame]


def clips(folder: Path) -> Iterator[Clip]:
    """The clips of a set that were recorded."""
    for truth in sorted(folder.glob("*" + _TRUTH)):
        name = truth.name[: -len(_TRUTH)]
        segments = sorted(folder.glob(f"poses/*/{name}/*{SUFFIX}"))
        if segments:
            yield _clip(name, truth, segments)


def _clip(name: str, truth: Path, segments: List[Path]) -> Clip:
    head, *rows = [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]
    count = len(head["people"])
    points = np.full((len(rows), count, 17, 3), np.nan)
    boxes = np.full((len(rows), count, 4), np.nan)
    for t, row in enumerate(rows):
        for person in row["people"]:
            points[t, person["id"]] = np.array(person["keypoints_m"])[:17]
            boxes[t, person["id"]] = person["box"]
    view = head["camera"]
    camera = Pinhole(
        view["width"],
        view["height"],
        view["focal_px"],
        np.array(view["rotation"]),
        np.array(view["position_m"]),
    )
    payloads = [p for s in segments for kind, p in read_segment(s) if kind == "P"]
    return Clip(
        name, head["fps"], points, boxes, camera, ground_of(camera), [unpack(p) for p in payloads]
    )


def told(clip: Clip, rule: Any) -> List[Tuple[int, str, float]]:
    """What a rule tells: person, action and time of each event; ends are left out."""
    found = []
    for frame in clip.frames:
        t = min((frame.t_ns - clip.frames[0].t_ns) * 1e-9 * clip.rate_hz, len(clip.boxes) - 1)
        for event in rule(frame.poses, "clip", frame.t_ns):
            if event.data["action"] != "end":
                box = frame.poses.boxes[frame.poses.ids == event.person]
                who = person_of(clip.boxes[round(t)], box)
                found.append((who, str(event.data["action"]), t / clip.rate_hz))
    return found


def score(clip: Clip, name: str) -> Score:
    """How right a rule is in a clip."""
    rule, truth = _trial(clip, name)
    return truths.judge(truth, told(clip, build_rule(rule, "rules[0]")), SLACK_S)


def _trial(clip: Clip, name: str) -> Tuple[Dict[str, Any], Truth]:
    place, rate_hz = truths.feet(clip.points, clip.rate_hz), clip.rate_hz
    if name == "hands_up":
        return {"kind": name}, truths.hands_up(clip.points, rate_hz)
    if name == "loiter":
        options = {"after_s": LOITER_S, "radius_m": LOITER_M, "ground": clip.ground}
        return {"kind": name, **options}, truths.loitering(place, rate_hz, LOITER_S, LOITER_M)
    middle, across = (
        np.nanmedian(place.real) + 1j * np.nanmedian(place.imag),
        clip.camera.rotation[0],
    )
    side = (across[0] + 1j * across[1]) / abs(across[0] + 1j * across[1])
    ends = middle - _LINE_M * side, middle + _LINE_M * side
    seen = on_picture(clip.camera, np.array(ends))
    return (
        {"kind": "line", "line": [[p.real, p.imag] for p in seen]},
        truths.crossings(place, rate_hz, ends),
    )
