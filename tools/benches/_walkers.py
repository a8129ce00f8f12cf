"""Crowds on a plane: who is where in each frame, who is hidden, and what a detector finds of them.

Walkers and runners go their ways and turn at random, dancers stay. Everybody leaves the picture for
1 to 4 s every 16 s. A pose is missed in runs of frames and while others hide most of it; some found
boxes are nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M
from edge.capture._synthetic.camera import Pinhole
from edge.structures import Poses
from tools.benches._mocap import BODY, looking, pixels, played
from tools.benches._noise import measured

RATE_HZ = 30
SIZE = (1280, 720)
TUNE_CLIPS = ("walk", "gait:run", "dance_a")
REPORT_CLIPS = ("gait:walk", "run", "dance_b")
MISSES, MISS_FRAMES = 0.1, (2, 8)
FALSE = 0.05  # found boxes that are nobody, as a share of the real ones
HIDDEN = 0.6  # share of a box behind nearer people from which on nobody is found
AWAY_EVERY_S, AWAY_S = 16.0, (1.0, 4.0)
STATED = (
    f"{MISSES:.0%} misses in runs of {MISS_FRAMES[0]} to {MISS_FRAMES[1]} frames and from "
    f"{HIDDEN:.0%} hidden on, {FALSE:.0%} false boxes, everybody away {AWAY_S[0]:g} to "
    f"{AWAY_S[1]:g} s every {AWAY_EVERY_S:g} s, {RATE_HZ} fps"
)
_AREA_M2 = 5.0  # of the floor, for each person
_TURN_S = 3.0  # mean time between two turns
_MARGIN = 0.06  # by which boxes are larger than keypoints, in heights


@dataclass(frozen=True, eq=False)
class Instant:
    """One frame: the people who can be seen, and what was found of them."""

    ids: np.ndarray  # [G] i64
    boxes: np.ndarray  # [G,4] px
    found: Poses  # of everybody who was found and of nobody; ids -1
    of: np.ndarray  # [N] i64 the person of each found row, -1 = nobody


def crowd(sets: Path, names: Tuple[str, ...], people: int, frames: int, seed: int) -> List[Instant]:
    """The frames of one crowd."""
    rng = np.random.default_rng([seed, people])
    there, points, depth = _played(sets, names, people, frames, rng)
    height_px = STATURE_M * _camera(people).focal_px / np.median(depth, 0)
    return detected(there, points, depth, height_px, RATE_HZ, rng)


def detected(
    there: np.ndarray,
    points: np.ndarray,
    depth: np.ndarray,
    height_px: np.ndarray,
    rate_hz: float,
    rng: np.random.Generator,
) -> List[Instant]:
    """What a detector and a pose network find of people.

    Args:
        there: [T,N] bool, who is in the room.
        points: [T,N,17,2] px.
        depth: [T,N] distances, m.
        height_px: [N] of a standing person.
        rate_hz: of the frames.
        rng: of noise, misses and false boxes.
    """
    frames, people = there.shape
    seen, scores = measured(points, height_px, rate_hz, rng)
    boxes = _boxes(points, height_px)
    missed = _runs((frames, people), rng)
    out: List[Instant] = []
    for t in range(frames):
        shown = np.flatnonzero(there[t] & _inside(boxes[t]))
        hidden = _hidden(boxes[t][shown], depth[t][shown])
        visible = shown[hidden < HIDDEN]
        hit = visible[~missed[t][visible]]
        rows = Poses(
            seen[t][hit].astype(np.float32),
            (scores[t][hit] * ~_covered(points[t], boxes[t], depth[t], hit)).astype(np.float32),
            _boxes(seen[t][hit], height_px[hit]).astype(np.float32),
            np.full(len(hit), -1, np.int64),
            rng.uniform(0.5, 1.0, len(hit)).astype(np.float32),
            BODY.name,
        )
        false = rng.random(len(hit)) < FALSE
        strange = _strange(rows.take(false), rng)
        found = Poses.join([rows, strange])
        of = np.concatenate((hit, np.full(len(strange), -1, np.int64)))
        out.append(Instant(visible, boxes[t][visible], found, of))
    return out


def _camera(people: int) -> Pinhole:
    reach_m = np.sqrt(_AREA_M2 * people)
    distance_m = reach_m / 2 + 4.5
    focal_px = 0.8 * SIZE[0] / reach_m * distance_m
    return looking(SIZE, float(focal_px), distance_m, 14.0)


def _played(
    sets: Path, names: Tuple[str, ...], people: int, frames: int, rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who is there [T,N], keypoints [T,N,17,2] px and distances [T,N] m."""
    camera = _camera(people)
    t_s = np.arange(frames) / RATE_HZ
    points = np.zeros((frames, people, 17, 2))
    there, depth = np.ones((frames, people), bool), np.zeros((frames, people))
    for i in range(people):
        body, speed_mps = played(sets, names[i % len(names)], t_s + rng.uniform(0, 10))
        speed_mps *= rng.uniform(0.8, 1.1)
        place, heading = _way(speed_mps, people, frames, rng)
        cos, sin = np.cos(heading), np.sin(heading)
        x, y = body[..., 0].copy(), body[..., 1].copy()
        body[..., 0] = cos[:, None] * x - sin[:, None] * y + place[:, :1]
        body[..., 1] = sin[:, None] * x + cos[:, None] * y + place[:, 1:]
        points[:, i], depth[:, i] = pixels(camera, body), camera.look(body)[..., 2].mean(1)
        there[:, i] = _present(t_s, rng)
    return there, points, depth


def _way(
    speed_mps: float, people: int, frames: int, rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
    """Places [T,2] m and headings [T] of somebody who turns now and then, and at the border."""
    half = np.sqrt(_AREA_M2 * people) / 2
    place, heading = rng.uniform(-half, half, 2), rng.uniform(0, 2 * np.pi)
    wanted = heading
    places, headings = np.zeros((frames, 2)), np.zeros(frames)
    for t in range(frames):
        if rng.random() < 1 / (_TURN_S * RATE_HZ):
            wanted = heading + rng.uniform(-2, 2)
        if (np.abs(place) > half).any():
            wanted = np.arctan2(-place[1], -place[0])
        heading += 0.12 * np.arctan2(np.sin(wanted - heading), np.cos(wanted - heading))
        place = place + speed_mps / RATE_HZ * np.array([np.cos(heading), np.sin(heading)])
        places[t], headings[t] = place, heading
    return places, headings


def _present(t_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    phase = (t_s + rng.uniform(0, AWAY_EVERY_S)) % AWAY_EVERY_S
    return np.asarray(phase >= rng.uniform(*AWAY_S))


def _boxes(points: np.ndarray, height_px: np.ndarray) -> np.ndarray:
    """[...,4] px around keypoints [...,17,2], with a margin."""
    grow = (_MARGIN * height_px)[:, None]
    return np.concatenate((points.min(-2) - grow, points.max(-2) + grow), -1)


def _inside(boxes: np.ndarray) -> np.ndarray:
    """Whether the middle of a box lies in the picture."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.asarray(((middle > 0) & (middle < SIZE)).all(1))


def _hidden(boxes: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The largest share of each box [N,4] that one nearer person's box covers."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), -1) * (depth[None] < depth[:, None])
    own = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    return np.asarray(both.max(1, initial=0) / np.maximum(own, 1e-9))


def _covered(
    points: np.ndarray, boxes: np.ndarray, depth: np.ndarray, who: np.ndarray
) -> np.ndarray:
    """Keypoints [n,17] of people `who` that lie in the inner part of a nearer person's box."""
    inner = np.concatenate(
        (boxes[:, :2] * 0.75 + boxes[:, 2:] * 0.25, boxes[:, :2] * 0.25 + boxes[:, 2:] * 0.75), 1
    )
    at = points[who][:, :, None]
    inside = ((at > inner[:, :2]) & (at < inner[:, 2:])).all(-1)
    nearer = depth[None] < depth[who][:, None]
    return np.asarray((inside & nearer[:, None]).any(-1))


def _runs(shape: Tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Misses [T,N] in runs."""
    begins = rng.random(shape) < MISSES / np.mean(MISS_FRAMES)
    lengths = rng.integers(MISS_FRAMES[0], MISS_FRAMES[1] + 1, shape)
    left, out = np.zeros(shape[1], np.int64), np.zeros(shape, bool)
    for t in range(shape[0]):
        left = np.maximum(left - 1, begins[t] * lengths[t])
        out[t] = left > 0
    return out


def _strange(rows: Poses, rng: np.random.Generator) -> Poses:
    """Poses of nobody: the shapes of others at random places, unsure."""
    away = rng.uniform(-0.4, 0.4, (len(rows), 1, 2)) * SIZE
    step = away.astype(np.float32)
    score = np.float32(0.6)
    return Poses(
        rows.keypoints + step,
        rows.scores * score,
        rows.boxes + np.tile(step[:, 0], 2),
        rows.ids,
        rows.person_scores * score,
        rows.skeleton,
    )
