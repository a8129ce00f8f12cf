"""How far FP32 is from itself when a picture changes by less than a camera's own noise.

Of some people (leaning far over, half hidden, seen by a tilted camera) a network guesses, with a
score of 1, and guesses anew after any change: what it says of them tells nothing about a candidate.
So a candidate is judged by the people whose pose FP32 itself holds, and of them by the keypoints it
finds again (a hand is there or not by a threshold). Who they are depends on FP32 alone, never on
the candidate. Nobody else is hidden: all of them are in the figures of everybody, which may be
worse than FP32 against itself by no more than the gate allows.

A detector loses and gains boxes whose score is near its threshold, with noise, too: its candidate
may lose what the gate allows beyond that.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from edge import skeletons
from edge.structures import Detections
from tools.proof import compare
from tools.proof.heldout import Held, Results

RUNS = 4
NOISE = 1.0  # grey levels, standard deviation; a camera's is 1 to 4
SHIFT_PX = 0.5  # of each edge of a box: what no detector gets right
HELD_OKS = 0.95  # the strictest threshold of COCO's average precision


@dataclass
class Disturbed(Held):
    """Held-out frames with a little noise, the same for a seed."""

    seed: int = 0

    def image(self, index: int) -> np.ndarray:
        """[H,W,3] u8 BGR."""
        image = super().image(index)
        noise = np.random.default_rng((self.seed, index)).standard_normal(image.shape, np.float32)
        noise *= NOISE
        noise += image
        return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Floor:
    """What FP32 makes of disturbed frames."""

    sure: Optional[List[np.ndarray]]  # [N,K] bool of each frame: keypoints that it holds
    summary: Dict[str, Any]  # its means against itself


def disturbed(held: Held, seed: int) -> Disturbed:
    """The frames with noise, the people with their boxes shifted."""
    rng = np.random.default_rng(seed)
    people = [_shifted(one, rng) for one in held.people]
    return Disturbed(held.folder, held.pictures, people, seed)


def _shifted(people: Detections, rng: np.random.Generator) -> Detections:
    shift = rng.uniform(-SHIFT_PX, SHIFT_PX, people.boxes.shape).astype(np.float32)
    return dataclasses.replace(people, boxes=people.boxes + shift)


def measure(held: Held, truth: Results, run: Callable[[Held, str], Results]) -> Floor:
    """Run FP32 on disturbed frames and see whom it holds.

    Args:
        held: the frames.
        truth: what FP32 finds in them.
        run: FP32 through other frames, with a label for the progress bar.
    """
    seeds = range(1, RUNS + 1)
    again = [run(disturbed(held, seed), f"disturbed {seed} of {RUNS}") for seed in seeds]
    return _of_detector(truth, again) if truth.skeleton is None else _of_poses(truth, again)


def _of_detector(truth: Results, again: List[Results]) -> Floor:
    figures = [compare.detections(truth.people, one.people).summary for one in again]
    keys = ("recall", "precision", "mean_iou")
    means = {key: _mean([one[key] for one in figures]) for key in keys}
    return Floor(None, {"runs": len(figures), **means})


def _of_poses(truth: Results, again: List[Results]) -> Floor:
    skeleton = skeletons.get(str(truth.skeleton))
    held_by: List[List[np.ndarray]] = []  # of each run and frame: [N,K]
    for one in again:
        pairs = zip(truth.poses, one.poses)
        held_by.append([compare.agreed(a, b, skeleton, HELD_OKS) for a, b in pairs])
    figures = []
    for left_out, one in enumerate(again):
        others = [held_by[i] for i in range(RUNS) if i != left_out]
        figures.append(compare.poses(truth.poses, one.poses, skeleton, _by_all(others)).summary)
    return Floor(_by_all(held_by), _summary(figures))


def _by_all(held_by: List[List[np.ndarray]]) -> List[np.ndarray]:
    return [np.logical_and.reduce(frame) for frame in zip(*held_by)]


def _summary(figures: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Means over the runs, each judged by whom the others hold."""
    names = {part for one in figures for part in one["parts"]}
    return {
        "runs": len(figures),
        "recall": _mean([one["recall"] for one in figures]),
        "precision": _mean([one["precision"] for one in figures]),
        "mean_oks": _mean([one["everybody"]["mean_oks"] for one in figures]),
        "judged_recall": _mean([one["judged_recall"] for one in figures]),
        "judged_oks": _mean([one["mean_oks"] for one in figures]),
        "parts": {
            name: {
                key: _mean([one["parts"].get(name, {}).get(key) for one in figures])
                for key in ("recall", "mean_px")
            }
            for name in sorted(names)
        },
    }


def _mean(values: List[Optional[float]]) -> Optional[float]:
    """None where nobody was there to be measured."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
