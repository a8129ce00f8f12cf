"""What a filter of keypoints learned from one frame: measured minus predicted, in heights.

A model that corrects the filter (a `Refine`) reads this record. Rows are people, in the order of
the poses that were smoothed. H is the person's standing height in px.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol

import numpy as np


@dataclass(frozen=True)
class Innovations:
    """The innovations of one frame and what the filter made of them. N may be 0."""

    ids: np.ndarray  # [N] i64, of the tracker
    dt_s: np.ndarray  # [N] f32 since the person was smoothed before; 0 = a new person
    heights_px: np.ndarray  # [N] f32 px, H of each person
    scores: np.ndarray  # [N,K] f32 of the measurements; 0 = missing
    known: np.ndarray  # [N,K] bool, false = the filter has just begun: there was no prediction
    off_h: np.ndarray  # [N,K,2] f32 H, measured - predicted; 0 if not known or missing
    variance_h2: np.ndarray  # [N,K] f32 H², what the filter expected of off_h in each direction
    speed_h_s: np.ndarray  # [N,K,2] f32 H/s, the predicted velocity
    step_h: np.ndarray  # [N,K,2] f32 H, filtered - predicted: the share of off_h that was taken

    def __len__(self) -> int:
        return len(self.ids)


class Refine(Protocol):
    """Corrects filtered keypoints. It keeps its own state by `Innovations.ids`."""

    def __call__(self, innovations: Innovations) -> Optional[np.ndarray]:
        """What to add to each filtered keypoint, [N,K,2] f32 H; None = nothing.

        Called once for each frame, also if N is 0. The record is borrowed until the next call.
        """
