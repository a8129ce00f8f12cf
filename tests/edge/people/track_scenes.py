"""Drawn people who walk, cross and hide each other, and the figures a tracker is judged by."""

from dataclasses import dataclass
from typing import Any, Dict

import numpy as np

from edge.geometry import iou
from edge.people.assignment import assign
from edge.structures import Detections, Poses

# A standing person in heights, feet at 0, y down: COCO order.
STANDING = np.array(
    [
        (0, -0.93),
        (0.02, -0.95),
        (-0.02, -0.95),
        (0.045, -0.94),
        (-0.045, -0.94),
        (0.11, -0.82),
        (-0.11, -0.82),
        (0.14, -0.63),
        (-0.14, -0.63),
        (0.15, -0.47),
        (-0.15, -0.47),
        (0.09, -0.52),
        (-0.09, -0.52),
        (0.09, -0.28),
        (-0.09, -0.28),
        (0.09, -0.04),
        (-0.09, -0.04),
    ]
)
SWING = np.zeros(17)
SWING[[7, 8, 9, 10, 13, 14, 15, 16]] = [0.05, -0.05, 0.12, -0.12, -0.08, 0.08, -0.16, 0.16]


@dataclass
class Scene:
    """What really happens: F frames, P people."""

    keypoints: np.ndarray  # [F,P,17,2] px
    boxes: np.ndarray  # [F,P,4] px
    hidden: np.ndarray  # [F,P] share of the box behind someone nearer
    heights: np.ndarray  # [F,P] px
    dt_ns: int
    fps: float


def walk(seed, people=20, frames=300, fps=30.0, size=(1920, 1080), speed=(0.3, 1.0)):
    """People on straight ways that bounce off the edges, at many distances."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None] / fps
    feet_y = rng.uniform(0.45, 1.0, people) * size[1]
    tall = 0.12 * size[1] + 0.45 * (feet_y / size[1] - 0.45) * size[1]
    span = size[0] * 0.9
    start, pace = rng.uniform(0, span, people), rng.uniform(*speed, people) * tall
    pace *= rng.choice((-1, 1), people)
    # They dawdle and hurry: the speed changes by half of it within seconds.
    sway = rng.uniform(0.8, 2.0, people)
    x = (start + pace * (t + 0.5 / sway * np.sin(sway * t + start))) % (2 * span)
    x = np.where(x > span, 2 * span - x, x) + size[0] * 0.05
    y = np.broadcast_to(feet_y, x.shape) + 0.02 * tall * np.sin(t * 4 + start)
    phase = t * 2 * np.pi * 0.9 + start
    return _draw(x, y, np.broadcast_to(tall, x.shape), phase, fps)


def _draw(x, y, tall, phase, fps):
    figure = np.repeat(STANDING[None, None], len(x), 0).repeat(x.shape[1], 1)
    figure[..., 0] += SWING * np.sin(phase)[..., None]
    keypoints = figure * tall[..., None, None] + np.stack((x, y), -1)[:, :, None]
    half = 0.2 * tall
    boxes = np.stack((x - half, y - tall, x + half, y + 0.02 * tall), -1)
    hidden = np.stack([_hidden(b, row) for b, row in zip(boxes, y)])
    return Scene(keypoints, boxes, hidden, np.array(tall), int(1e9 / fps), fps)


def _hidden(boxes, depth):
    """Share of each box behind the boxes of nearer people (whose feet are lower)."""
    wide = np.minimum(boxes[:, None, 2], boxes[:, 2]) - np.maximum(boxes[:, None, 0], boxes[:, 0])
    high = np.minimum(boxes[:, None, 3], boxes[:, 3]) - np.maximum(boxes[:, None, 1], boxes[:, 1])
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    both = np.maximum(wide, 0) * np.maximum(high, 0) / area[:, None]
    return (both * (depth > depth[:, None])).max(1)


def seen(scene, f, rng, miss=0.1, low=0.2, clutter=0.3, noise=0.01, hide=0.6):
    """One frame as a one-stage network might give it, and the true person of each row (-1)."""
    there = np.flatnonzero((scene.hidden[f] < hide) & (rng.random(len(scene.boxes[f])) > miss))
    weak = rng.random(len(there)) < low
    tall = scene.heights[f, there]
    spread = noise * np.where(weak, 2.0, 1.0) * tall
    kp = scene.keypoints[f, there] + rng.normal(size=(len(there), 17, 2)) * spread[:, None, None]
    boxes = scene.boxes[f, there] + rng.normal(size=(len(there), 4)) * (2 * spread)[:, None]
    person = np.where(weak, rng.uniform(0.15, 0.55, len(there)), rng.uniform(0.65, 1, len(there)))
    scores = np.clip(person[:, None] + rng.normal(size=(len(there), 17)) * 0.1, 0.05, 1)
    rows = [kp], [scores], [boxes], [person]
    for _ in range(rng.poisson(clutter)):
        a = _clutter(scene, rng)
        for column, value in zip(rows, a):
            column.append(value)
    kp, scores, boxes, person = (np.concatenate(c).astype(np.float32) for c in rows)
    truth = np.concatenate((there, np.full(len(kp) - len(there), -1)))
    order = rng.permutation(len(kp))
    poses = Poses(kp, scores, boxes, np.full(len(kp), -1), person, "coco17").take(order)
    return poses, truth[order]


def _clutter(scene, rng):
    tall = rng.uniform(60, 300)
    at = rng.uniform((0, 200), scene.keypoints.max((0, 1, 2)))
    kp = STANDING * tall * rng.normal(1, 0.2, 2) + at
    box = np.array([at[0] - 0.2 * tall, at[1] - tall, at[0] + 0.2 * tall, at[1]])
    score = rng.uniform(0.3, 0.7)
    return kp[None], np.full((1, 17), score), box[None], np.full(1, score)


def boxes_of(scene, f, rng, **how):
    """The same as a detector's boxes."""
    poses, _ = seen(scene, f, rng, **how)
    return Detections(poses.boxes, poses.person_scores)


def look(scene, f, candidates, rng, noise=0.01, every=1):
    """A top-down network: it finds the person who fills a candidate's crop best and is in front."""
    overlap = iou(candidates.boxes, scene.boxes[f].astype(np.float32))
    overlap = overlap * np.maximum(1 - scene.hidden[f], 0.02) ** 0.5
    best = overlap.argmax(1) if overlap.size else np.zeros(len(candidates), int)
    fit = overlap.max(1, initial=0)
    rows = np.flatnonzero(fit > 0.2)
    who = best[rows]
    tall = scene.heights[f, who]
    kp = scene.keypoints[f, who] + rng.normal(size=(len(who), 17, 2)) * noise * tall[:, None, None]
    covered = scene.hidden[f, who]
    person = np.clip(0.95 - 0.8 * covered + rng.normal(size=len(who)) * 0.03, 0.05, 1)
    scores = np.clip(person[:, None] + rng.normal(size=(len(who), 17)) * 0.1, 0.05, 1)
    kp, scores, person = (a.astype(np.float32) for a in (kp, scores, person))
    return Poses(kp, scores, candidates.boxes[rows], candidates.ids[rows], person, "coco17"), who


@dataclass
class Figures:
    """CLEAR MOT and identity figures."""

    mota: float
    idf1: float
    switches: int
    misses: int
    wrong: int

    def __str__(self):
        return (
            f"MOTA {self.mota:.3f} IDF1 {self.idf1:.3f} switches {self.switches} "
            f"missed {self.misses} wrong {self.wrong}"
        )


def judge(truths, results, min_iou=0.5):
    """Figures of a run.

    CLEAR MOT (Bernardin and Stiefelhagen 2008): a pair that held in the last frame is kept while
    it overlaps. IDF1 (Ristani et al. 2016): one assignment of ids over the whole run.

    Args:
        truths: per frame (ids [n], boxes [n,4], must [n] bool): who is there; somebody hidden need
            not be found, and is no mistake when found.
        results: per frame (ids, boxes) of the tracker.
    """
    switches, misses, wrong, total, found = 0, 0, 0, 0, 0
    last: Dict[int, int] = {}
    together: Dict[Any, Any] = {}
    for (gt, gt_boxes, must), (ids, boxes) in zip(truths, results):
        near = iou(gt_boxes.astype(np.float32), boxes.astype(np.float32))
        kept = np.array([[last.get(int(g)) == int(i) for i in ids] for g in gt], bool)
        costs = 1 - near - 10 * kept.reshape(near.shape) + (~must[:, None]) * 0.5
        chosen = assign(np.where(near >= min_iou, costs, np.inf), 2.0)
        extra = int(((chosen >= 0) & ~must).sum())
        total, found = total + int(must.sum()), found + len(ids) - extra
        misses += int(((chosen < 0) & must).sum())
        wrong += len(ids) - int((chosen >= 0).sum())
        for g, j in zip(gt[must], chosen[must]):
            if j >= 0:
                key = int(g), int(ids[j])
                together[key] = together.get(key, 0) + 1
                switches += int(last.get(*key) != key[1])
                last[key[0]] = key[1]
    return Figures(
        1 - (misses + wrong + switches) / total,
        _idf1(together, total, found),
        switches,
        misses,
        wrong,
    )


def _idf1(together, total, found):
    people, numbers = sorted({a for a, _ in together}), sorted({b for _, b in together})
    table = np.zeros((len(people), len(numbers)))
    for (a, b), n in together.items():
        table[people.index(a), numbers.index(b)] = n
    chosen = assign(np.where(table > 0, -table, np.inf), 0.0)
    right = sum(table[i, j] for i, j in enumerate(chosen) if j >= 0)
    return 2 * right / max(total + found, 1)


class IouSort:
    """The plain tracker to compare with: SORT (Bewley et al. 2016) on boxes alone.

    A constant-velocity filter of the box, IoU, one assignment, one threshold.
    """

    def __init__(self, min_score=0.3, min_iou=0.3, max_gap_s=1.0, min_hits=2):
        self.min_score, self.min_iou = min_score, min_iou
        self.max_gap_s, self.min_hits = max_gap_s, min_hits
        self.tracks, self.next_id = [], 1

    def update(self, poses, t_ns):
        poses = poses.take(poses.person_scores >= self.min_score)
        self.tracks = [k for k in self.tracks if (t_ns - k["t"]) * 1e-9 <= self.max_gap_s]
        now = [k["box"] + k["v"] * (t_ns - k["t"]) * 1e-9 for k in self.tracks]
        near = iou(poses.boxes, np.array(now, np.float32).reshape(-1, 4))
        chosen = assign(np.where(near >= self.min_iou, -near, np.inf), 0.0)
        for row, j in enumerate(chosen):
            box = poses.boxes[row].astype(float)
            if j < 0:
                self.tracks.append(
                    {"id": self.next_id, "box": box, "v": np.zeros(4), "t": t_ns, "hits": 1}
                )
                self.next_id += 1
                continue
            k, gap = self.tracks[j], max((t_ns - self.tracks[j]["t"]) * 1e-9, 1e-3)
            guess = k["box"] + k["v"] * gap
            k["v"] = k["v"] + 0.3 * (box - guess) / gap
            k["box"], k["t"], k["hits"] = guess + 0.7 * (box - guess), t_ns, k["hits"] + 1
        shown = [k for k in self.tracks if k["t"] == t_ns and k["hits"] >= self.min_hits]
        boxes = np.array([k["box"] for k in shown], np.float32).reshape(-1, 4)
        return np.array([k["id"] for k in shown], np.int64), boxes
