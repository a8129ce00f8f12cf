"""Paints over the parts of a camera's pictures that nobody may look at.

The reading thread paints each frame in its own memory before anything else in the program gets it:
networks, tiles, crops, optical flow, snapshots and videos see grey, on the CPU and on the GPU. Only
the pixels of the mask are written. Nothing of a frame is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np

from edge.errors import InternalError
from edge.view import View, stored_of_upright

GREY = 114  # brightness of hidden pixels, as of the bars around a frame in a network's input
_NO_COLOUR = 128  # of the colour differences of YUV
_BITS = 4  # fractional bits of the corners that OpenCV takes
_FAR_PX = 1e5  # farther corners are moved here; OpenCV's own limit is about 1e8
Polygons = Sequence[Sequence[Sequence[float]]]


@dataclass(frozen=True)
class _Area:
    """A rectangle of a plane, and which of its pixels are hidden."""

    rows: slice
    columns: slice
    hidden: np.ndarray  # [h,w] u8, 255 = hidden
    paint: np.ndarray  # [h,w] or [h,w,C] u8


class Mask:
    """The mask of one camera.

    Args:
        polygons: each a list of corners [x, y] of the upright picture: px, or shares 0..1 of its
            width and height if no corner of any polygon is above 1.
    """

    def __init__(self, polygons: Polygons) -> None:
        self._polygons = [np.asarray(p, np.float64) for p in polygons]
        self._shares = all((p <= 1).all() for p in self._polygons)
        self._made_for: Optional[Tuple[object, ...]] = None
        self._areas: List[List[_Area]] = []

    def paint(self, image: np.ndarray, layout: str, view: Optional[View]) -> bool:
        """Paint over a frame, in place; pixels that a polygon's border touches are hidden, too.

        Args:
            image: as in `edge.structures.Frame`, writable.
            layout: one of `edge.structures.LAYOUTS`.
            view: how the image lies in the upright picture; None = it is upright.

        Returns:
            Whether any pixel of the picture is hidden.

        Raises:
            InternalError: the image cannot be written.
        """
        if not image.flags.writeable:
            raise InternalError("a mask cannot be painted on a read-only picture")
        made_for = (image.shape, layout, view)
        if made_for != self._made_for:
            self._areas = self._of(image, layout, view or View())
            self._made_for = made_for
        for plane, areas in zip(_planes(image, layout), self._areas):
            for area in areas:
                cv2.copyTo(area.paint, area.hidden, plane[area.rows, area.columns])
        return any(self._areas)

    def _of(self, image: np.ndarray, layout: str, view: View) -> List[List[_Area]]:
        """The areas of each plane."""
        rows, columns = image.shape[:2]
        size = (columns, rows * 2 // 3 if layout == "nv12" else rows)
        found = [self._drawn(p, size, view) for p in self._polygons]
        planes = _planes(image, layout)
        return [
            [a for hidden in found for a in _areas(_spread(hidden, layout, i), plane, colour)]
            for i, (plane, colour) in enumerate(zip(planes, _colours(layout)))
        ]

    def _drawn(self, polygon: np.ndarray, size: Tuple[int, int], view: View) -> np.ndarray:
        """[H,W] u8 of the stored picture: 255 = hidden."""
        corners = polygon * view.size(size) - 0.5 if self._shares else polygon
        matrix = stored_of_upright(view, size)
        corners = np.clip(corners @ matrix[:, :2].T + matrix[:, 2], -_FAR_PX, _FAR_PX)
        hidden = np.zeros(size[::-1], np.uint8)
        whole = np.rint(corners * (1 << _BITS)).astype(np.int32)
        cv2.fillPoly(hidden, [whole], 255, cv2.LINE_8, _BITS)
        return hidden


def _planes(image: np.ndarray, layout: str) -> List[np.ndarray]:
    """The planes of an image, as views: luma and pairs of colour differences for nv12."""
    if layout != "nv12":
        return [image]
    rows, pairs = image.shape[0] * 2 // 3, image.shape[1] // 2
    return [image[:rows], image[rows:, : 2 * pairs].reshape(len(image) - rows, pairs, 2)]


def _colours(layout: str) -> List[Tuple[int, ...]]:
    """The grey of each plane."""
    if layout == "nv12":
        return [(GREY,), (_NO_COLOUR, _NO_COLOUR)]
    return [(GREY, _NO_COLOUR)] if layout == "yuyv" else [(GREY, GREY, GREY)]


def _spread(hidden: np.ndarray, layout: str, plane: int) -> np.ndarray:
    """The hidden pixels of a plane: with those that share a colour with a hidden one."""
    rows, columns = hidden.shape
    if layout == "yuyv":
        hidden = hidden.copy()
        pairs = hidden[:, : columns // 2 * 2].reshape(rows, -1, 2)
        pairs[:] = pairs.max(2, keepdims=True)
    if layout == "nv12" and plane == 1 and columns > 1:
        even = np.zeros((-(-rows // 2) * 2, columns // 2 * 2), np.uint8)
        even[:rows] = hidden[:, : even.shape[1]]
        even[rows:] = even[rows - 1 : rows]
        even[:rows, -1] |= hidden[:, -1]  # the last of an odd width has the colour of its pair
        return even.reshape(even.shape[0] // 2, 2, -1, 2).max((1, 3))
    return hidden


def _areas(hidden: np.ndarray, plane: np.ndarray, colour: Tuple[int, ...]) -> List[_Area]:
    """The rectangle around the hidden pixels of one polygon; [] if none lies in the plane."""
    hidden = hidden[: plane.shape[0], : plane.shape[1]]
    if not hidden.any():
        return []
    y, x = (np.flatnonzero(hidden.max(axis)) for axis in (1, 0))
    rows, columns = slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)
    part = np.ascontiguousarray(hidden[rows, columns])
    paint = np.empty(part.shape + plane.shape[2:], np.uint8)
    paint[:] = np.array(colour[: plane.shape[2]] if plane.ndim == 3 else colour[0], np.uint8)
    return [_Area(rows, columns, part, paint)]
