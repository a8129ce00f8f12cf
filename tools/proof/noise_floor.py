"""How far FP32 is from itself if a picture changes by less than the noise of a camera.

A network guesses some people: those who lean far over, are half hidden, or are seen by a tilted
camera. It scores them 1 and guesses differently after any change, so they say nothing about a
candidate. A candidate is therefore judged by the stable people: those whose pose FP32 keeps under
noise. Of these people only the stable keypoints count, because a hand is found or not by a
threshold. Which people and keypoints are stable depends on FP32 alone, never on the candidate. All
other people are still in the figures of everybody, which may be worse than FP32 against itself by
no more than the gate allows.

A detector also loses and gains boxes near its score threshold under noise. Its candidate may lose
that, and beyond it what the gate allows.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from edge import skeletons
from edge.structures import Detections
from tools.proof import compare
from tools.proof.heldout import HeldOutFrames, Predictions

RUNS = 4
NOISE = 1.0  # standard deviation in grey levels; that of a camera is 1 to 4
SHIFT_PX = 0.5  # of each edge of a box; no detector is that exact
STABLE_OKS = 0.95  # the strictest threshold of COCO's average precision


@dataclass
class NoisyFrames(HeldOutFrames):
    """Held-out frames with a little noise; one seed always gives the same noise."""

    seed: int = 0

    def image(self, index: int) -> np.ndarray:
        """One picture with noise, [H,W,3] u8 BGR."""
        image = super().image(index)
        noise = np.random.default_rng((self.seed, index)).standard_normal(image.shape, np.float32)
        noise *= NOISE
        noise += image
        return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class NoiseFloor:
    """FP32 under noise against FP32.

    Attributes:
        stable: [N,K] bool of each frame: keypoints that FP32 keeps; None for a detector.
        summary: mean figures of FP32 against itself, as JSON values.
    """

    stable: Optional[List[np.ndarray]]
    summary: Dict[str, Any]


def add_noise(held: HeldOutFrames, seed: int) -> NoisyFrames:
    """The frames with noise, and the boxes of their people shifted."""
    rng = np.random.default_rng(seed)
    people = [_shifted(one, rng) for one in held.people]
    return NoisyFrames(held.folder, held.pictures, people, seed)


def _shifted(people: Detections, rng: np.random.Generator) -> Detections:
    shift = rng.uniform(-SHIFT_PX, SHIFT_PX, people.boxes.shape).astype(np.float32)
    return dataclasses.replace(people, boxes=people.boxes + shift)


def measure(
    held: HeldOutFrames, fp32: Predictions, run: Callable[[HeldOutFrames, str], Predictions]
) -> NoiseFloor:
    """Run FP32 on noisy frames and compare with FP32 on the frames themselves.

    Args:
        held: the frames.
        fp32: what FP32 finds in them.
        run: runs FP32 on other frames; the second argument is a label for the progress bar.
    """
    seeds = range(1, RUNS + 1)
    noisy = [run(add_noise(held, seed), f"with noise {seed} of {RUNS}") for seed in seeds]
    return _of_detector(fp32, noisy) if fp32.skeleton is None else _of_poses(fp32, noisy)


def _of_detector(fp32: Predictions, noisy: List[Predictions]) -> NoiseFloor:
    figures = [compare.compare_detections(fp32.people, one.people).summary for one in noisy]
    keys = ("recall", "precision", "mean_iou")
    means = {key: _mean([one[key] for one in figures]) for key in keys}
    return NoiseFloor(None, {"runs": len(figures), **means})


def _of_poses(fp32: Predictions, noisy: List[Predictions]) -> NoiseFloor:
    skeleton = skeletons.get(str(fp32.skeleton))
    kept: List[List[np.ndarray]] = []  # of each run and frame: [N,K]
    for one in noisy:
        pairs = zip(fp32.poses, one.poses)
        kept.append([compare.found_again(a, b, skeleton, STABLE_OKS) for a, b in pairs])
    figures = []
    for left_out, one in enumerate(noisy):
        stable = _by_all([kept[i] for i in range(RUNS) if i != left_out])
        figures.append(compare.compare_poses(fp32.poses, one.poses, skeleton, stable).summary)
    return NoiseFloor(_by_all(kept), _summary(figures))


def _by_all(kept: List[List[np.ndarray]]) -> List[np.ndarray]:
    """Keypoints of each frame that all runs kept."""
    return [np.logical_and.reduce(frame) for frame in zip(*kept)]


def _summary(figures: List[Dict[str, Any]]) -> Dict[str, Any]:
    """Means over the runs; each run is judged by the keypoints that the other runs kept."""
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
    """Mean of the values that are there; None without any."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
