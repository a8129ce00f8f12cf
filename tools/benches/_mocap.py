"""Motion capture in space and through a camera; which clips tune and which report.

Nothing that a clip of REPORT showed may be tuned on: options and peers are chosen on TUNE. A name
that begins with `gait:` is a motion by formula; each of them, too, is on one side only. The clips
are split as `edge-tools synth` splits them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge import skeletons
from edge.capture._synthetic.body import STATURE_M, build
from edge.capture._synthetic.camera import Pinhole
from edge.capture._synthetic.clip import Clip
from edge.capture._synthetic.gaits import MOTIONS
from edge.capture._synthetic.load import load
from edge.structures import Poses

TUNE = ("walk", "jump", "kick", "cartwheel", "dance_a", "getup_facedown", "spin", "01_01")
REPORT = (
    "run",
    "punch",
    "roll",
    "crawl",
    "dance_b",
    "getup_faceup",
    "spinkick",
    "backflip",
    "01_03",
    "Boxing_Toes",
)
BODY = skeletons.get("coco17")
_AT_ONCE = 256  # bodies
_MARGIN_H = 0.05  # of a box around the keypoints


def clips(sets: Optional[Path], names: Tuple[str, ...]) -> Dict[str, Clip]:
    """Clips by name, fetched if they are not there.

    Raises:
        EdgeError: they cannot be fetched.
    """
    files = {p.stem.replace("humanoid3d_", ""): p for p in _files(sets)}
    return {name: load(files[name]) for name in names}


@lru_cache(maxsize=4)
def _files(sets: Optional[Path]) -> Tuple[Path, ...]:
    from tools.fetch.by_name import ensure_set  # tests of edge/ have no tqdm

    folders = [ensure_set(name, sets) for name in ("motion", "motion-bvh")]
    return tuple(p for f in folders for p in sorted([*f.glob("*.txt"), *f.glob("*.bvh")]))


def bodies(clip: Clip, t_s: np.ndarray) -> np.ndarray:
    """COCO's keypoints [T,17,3] m of somebody of average height, feet on z = 0, at times [T].

    A clip that loops goes on; another is played forwards and backwards. x is ahead at the start.
    """
    own, length_s = np.zeros((len(t_s), 3)), clip.length_s
    if not clip.loops and length_s > 0:
        t_s = length_s - np.abs(t_s % (2 * length_s) - length_s)
    found: List[np.ndarray] = [np.zeros((0, 17, 3))]
    for start in range(0, len(t_s), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        posture = clip.at(t_s[rows], own[rows])
        tall = np.full(len(posture.lift), STATURE_M)
        body = build(posture.frames, tall, posture.curl)
        place = np.column_stack((posture.travel * STATURE_M, posture.lift - body.lowest))
        found.append(body.moved(place).keypoints[:, :17])
    return np.concatenate(found)


def played(sets: Optional[Path], name: str, t_s: np.ndarray) -> Tuple[np.ndarray, float]:
    """Keypoints [T,17,3] m of a clip or a gait in its place, and its speed over the floor, m/s."""
    kind, _, gait = name.partition(":")
    if kind != "gait":
        clip = clips(sets, (name,))[name]
        points = bodies(clip, t_s)
        if clip.speed:
            points[..., :2] -= points[:, 11:13, :2].mean(1, keepdims=True)
        return points, clip.speed * STATURE_M
    motion: Any = MOTIONS[gait]
    posture = motion.at(t_s, np.zeros((len(t_s), 3)))
    body = build(posture.frames, np.full(len(t_s), STATURE_M), posture.curl)
    shift = np.zeros((len(t_s), 3))
    shift[:, 2] = posture.lift - body.lowest
    if motion.planted:
        shift[:, :2] = -body.joints[:, [11, 14], :2].mean(1)
    return body.moved(shift).keypoints[:, :17], motion.speed * STATURE_M


def turned(points: np.ndarray, heading_rad: float) -> np.ndarray:
    """Points [...,3] turned about the vertical."""
    cos, sin = np.cos(heading_rad), np.sin(heading_rad)
    out: np.ndarray = points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    return out


def looking(
    size: Tuple[int, int], focal_px: float, distance_m: float, pitch_deg: float, aim_m: float = 0.9
) -> Pinhole:
    """A camera that looks at a point `aim_m` above the origin, down by `pitch_deg`."""
    pitch = np.radians(pitch_deg)
    forward = np.array([0.0, np.cos(pitch), -np.sin(pitch)])
    position = np.array([0.0, 0.0, aim_m]) - distance_m * forward
    right = np.array([1.0, 0.0, 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    return Pinhole(*size, focal_px, rotation, position)


def poses_of(points: np.ndarray, scores: np.ndarray, height_px: float) -> Poses:
    """People of the keypoints [N,17,2] px and scores [N,17], with their row as id."""
    n, grow = len(points), _MARGIN_H * height_px
    boxes = np.concatenate((points.min(1) - grow, points.max(1) + grow), -1)
    return Poses(
        points.astype(np.float32),
        scores.astype(np.float32),
        boxes.astype(np.float32),
        np.arange(n),
        np.ones(n, np.float32),
        BODY.name,
    )


def pixels(camera: Pinhole, points: np.ndarray) -> np.ndarray:
    """Points [...,3] m -> [...,2] px."""
    return camera.project(camera.look(points))
