"""Crops through a lens: each crop is cut as a straight view of its person would show it.

A crop stays one affine map of the picture, so that no pixel is sampled twice. The map of the lens
at the middle of the crop is a part of it: a person whom the lens squeezes, shears or leans is
undone in the crop. What the lens bends within one crop remains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence

import numpy as np

from edge.structures import Frame


@dataclass(frozen=True)
class LocalViews:
    """Straight views of places of pictures; in px, with the place where it was."""

    places: np.ndarray  # [B,2] f64 px
    maps: np.ndarray  # [B,2,2] f64, steps of the picture -> steps of the view; see edge.lens
    rotations: np.ndarray  # [B,3,3] f64, the camera's axes -> the view's

    def seen(self, points: np.ndarray) -> np.ndarray:
        """Points [B,K,2] px of the pictures in px of the views, f32."""
        steps = (points - self.places[:, None]) @ self.maps.transpose(0, 2, 1)
        return np.asarray(steps + self.places[:, None], np.float32)

    def turned(self, turns: np.ndarray) -> np.ndarray:
        """Directions [B] rad, clockwise on the screen, as the views show them."""
        ahead = np.stack((np.cos(turns), np.sin(turns)), 1)
        x, y = np.einsum("bij,bj->ib", self.maps, ahead)
        return np.asarray(np.arctan2(y, x), np.float32)

    def of_pictures(self, matrices: np.ndarray) -> np.ndarray:
        """Matrices [B,2,3] from px of the views as matrices from px of the pictures."""
        out = np.empty(matrices.shape)
        out[:, :, :2] = matrices[:, :, :2] @ self.maps
        rest = self.places - np.einsum("bij,bj->bi", self.maps, self.places)
        out[:, :, 2] = matrices[:, :, 2] + np.einsum("bij,bj->bi", matrices[:, :, :2], rest)
        return out

    def in_camera(self, points_m: np.ndarray) -> np.ndarray:
        """Points [B,K,3] m in the axes of the views as points in the cameras' axes, f32."""
        return np.asarray(points_m @ self.rotations, np.float32)


def local_views(
    frames: Sequence[Frame], which: np.ndarray, places: np.ndarray
) -> Optional[LocalViews]:
    """The views of crops; None = no frame has a lens that is known.

    Args:
        frames: of this call.
        which: [B] index of each crop's frame.
        places: [B,2] px, middles of the crops.
    """
    if all(frame.lens is None for frame in frames):
        return None
    maps = np.broadcast_to(np.eye(2), (len(which), 2, 2)).copy()
    rotations = np.broadcast_to(np.eye(3), (len(which), 3, 3)).copy()
    for i, frame in enumerate(frames):
        rows = which == i
        if frame.lens is not None and rows.any():
            maps[rows], rotations[rows] = frame.lens.local(places[rows])
    return LocalViews(np.asarray(places, np.float64), maps, rotations)
