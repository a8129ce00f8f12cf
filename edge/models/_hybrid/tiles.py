"""Overlapping tiles of a frame, and the people that a one-stage network found in them.

A tile has the shape of the network's input, so it is a crop like any other. A person near the edge
of a tile is whole in its neighbour, because tiles overlap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

from edge import geometry, skeletons
from edge.models import ModelOptions
from edge.models._onestage import CropPeople
from edge.recipe import Network
from edge.structures import Frame, Poses

ZOOMS = (1.0, 1.6, 2.4)  # of the levels: how much larger a tile shows people than the whole frame
_OVERLAP = 0.2  # least share of a tile that its neighbour shows too
# Two rows are one person if their OKS or their IoU is larger.
_SAME_OKS, _SAME_IOU = 0.35, 0.6
# A person whose box ends at a tile's edge is probably cut off: the row counts for less, and it is
# dropped if this share of its box lies in the box of a better row.
_EDGE, _CUT, _COVERED = 0.015, 0.5, 0.6
_SIGMAS = skeletons.get("coco17").sigmas


@dataclass(frozen=True)
class Windows:
    """The crops of several frames: of each frame the whole, then its tiles."""

    which: np.ndarray  # [C] i64 index of the frame
    boxes: np.ndarray  # [C,4] f32 px of the frame; a tile may reach beyond the frame
    matrices: np.ndarray  # [C,2,3] f32 from px of the frame to px of the input

    @staticmethod
    def of(frames: Sequence[Frame], levels: Sequence[int], network: Network) -> Windows:
        """The windows of frames, each at its level."""
        some = [
            np.concatenate([_windows(f.size, network, zoom) for zoom in (1.0, ZOOMS[level])])
            if level
            else _windows(f.size, network, 1.0)
            for f, level in zip(frames, levels)
        ]
        boxes = np.concatenate(some)
        scale = network.width / (boxes[:, 2] - boxes[:, 0])
        matrices = np.zeros((len(boxes), 2, 3), np.float32)
        matrices[:, 0, 0] = matrices[:, 1, 1] = scale
        matrices[:, :, 2] = -boxes[:, :2] * scale[:, None]
        return Windows(np.repeat(np.arange(len(some)), [len(s) for s in some]), boxes, matrices)


def count(size: Tuple[int, int], network: Network, level: int) -> int:
    """The number of tiles of a frame of a size; 0 at level 0."""
    return len(_windows(size, network, ZOOMS[level])) if level else 0


def _windows(size: Tuple[int, int], network: Network, zoom: float) -> np.ndarray:
    """Boxes [T,4] f32 px, row by row; the whole frame lies top left, as in a letterbox."""
    ratio = min(network.width / size[0], network.height / size[1]) * zoom
    spans = network.width / ratio, network.height / ratio
    if zoom == 1:
        return np.array([[0, 0, *spans]], np.float32)
    x, y = (_starts(length, span) for length, span in zip(size, spans))
    corners = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    return np.concatenate((corners, corners + spans), 1).astype(np.float32)


def _starts(length: float, span: float) -> np.ndarray:
    """Where tiles begin that cover a length; a single one is centred."""
    many = math.ceil((length / span - _OVERLAP) / (1 - _OVERLAP) - 1e-6)
    return np.linspace(0, length - span, many) if many > 1 else np.array([(length - span) / 2])


def merged(people: CropPeople, windows: Windows, size: Tuple[int, int], limit: int) -> np.ndarray:
    """Rows of the people of one frame without those of a person who is there already, best first.

    Args:
        people: of all crops of one frame, in px of the frame.
        windows: of the frames.
        size: width and height of the frame, px.
        limit: most people.
    """
    boxes, areas = people.boxes, geometry.areas_of(people.boxes)
    cut = _cut(people, windows, size)

    def same(these: np.ndarray, those: np.ndarray) -> np.ndarray:
        overlap = geometry.iou(boxes[these], boxes[those])
        both = areas[these, None] + areas[those]
        shared = overlap * both / (1 + overlap)
        known = people.scores[these, None] * people.scores[those]
        alike = geometry.oks(
            people.keypoints[these], people.keypoints[those], both / 2, _SIGMAS, known
        )
        covered = cut[those] & (shared > _COVERED * areas[those])
        return np.asarray((overlap > _SAME_IOU) | (alike > _SAME_OKS) | covered)

    worth = people.person_scores * np.where(cut, _CUT, 1)
    return geometry.suppress(np.argsort(-worth, kind="stable"), same, limit)


def whole(
    people: CropPeople, windows: Windows, size: Tuple[int, int], options: ModelOptions
) -> Poses:
    """The people of one frame, each once, best first; arguments as for `merged`."""
    rows = people.take(merged(people, windows, size, options.max_people))
    return Poses(
        rows.keypoints,
        rows.scores,
        geometry.clip_boxes(rows.boxes, size),
        np.full(len(rows.crop), -1, np.int64),
        rows.person_scores,
        "coco17",
    )


def _cut(people: CropPeople, windows: Windows, size: Tuple[int, int]) -> np.ndarray:
    """[N] bool: whether a box ends at the edge of its window, where the frame goes on."""
    window = windows.boxes[people.crop]
    margin = _EDGE * (window[:, 2:] - window[:, :2])
    low = (people.boxes[:, :2] <= window[:, :2] + margin) & (window[:, :2] > 0)
    high = (people.boxes[:, 2:] >= window[:, 2:] - margin) & (window[:, 2:] < size)
    return np.asarray((low | high).any(1))
