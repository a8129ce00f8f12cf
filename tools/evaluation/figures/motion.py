"""How found people move: jitter, lag and jumps. Lengths in heights of the person (H).

With labels, the person's own motion is taken out first: jitter and jumps are of the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

JUMP_H = 0.15  # a keypoint this far from the middle of its places before and after has jumped
_LEAST_STEP_H = 0.002  # a frame's motion below which nobody could tell a lag


@dataclass(frozen=True, eq=False)
class Walk:
    """One person through consecutive frames."""

    found: np.ndarray  # [T,K,2] px; NaN = missing
    height_px: float
    truth: Optional[np.ndarray] = None  # [T,K,2] px; NaN = not labelled


def figures(walks: Sequence[Walk]) -> Dict[str, Any]:
    """Jitter, lag and jumps of all people; None where nothing can be told.

    Returns:
        `jitter_h`: mean second difference of a keypoint from frame to frame, in H.
        `jump_share`: share of poses with a keypoint that jumps.
        `lag_frames`: by which keypoints follow their labels; None without labels.
        `poses`: how many were looked at.
    """
    bends: List[np.ndarray] = []
    jumps = poses = 0
    against = along = 0.0
    for walk in walks:
        if len(walk.found) < 3:
            continue
        path = walk.found if walk.truth is None else walk.found - walk.truth
        bend = np.diff(path, 2, axis=0) / walk.height_px
        size = np.hypot(bend[..., 0], bend[..., 1])
        there = np.isfinite(size)
        bends.append(size[there])
        poses += int(there.any(1).sum())
        jumps += int((np.nan_to_num(size) / 2 > JUMP_H).any(1).sum())
        if walk.truth is not None:
            step = (walk.truth[2:] - walk.truth[:-2]) / 2
            error = path[1:-1]
            fine = np.isfinite(step).all(-1) & np.isfinite(error).all(-1)
            fine &= np.hypot(step[..., 0], step[..., 1]) > _LEAST_STEP_H * walk.height_px
            against -= float((step[fine] * error[fine]).sum()) / walk.height_px**2
            along += float(np.square(step[fine]).sum()) / walk.height_px**2
    all_ = np.concatenate([np.zeros(0), *bends])
    return {
        "jitter_h": float(all_.mean()) if len(all_) else None,
        "jump_share": jumps / poses if poses else None,
        "lag_frames": against / along if along > 0 else None,
        "poses": poses,
    }


def runs(frames: np.ndarray) -> List[np.ndarray]:
    """Places of frame numbers [T], rising, cut where one is left out."""
    if not len(frames):
        return []
    steps = np.diff(frames)
    usual = steps.min() if len(steps) else 1
    return np.split(np.arange(len(frames)), np.flatnonzero(steps != usual) + 1)
