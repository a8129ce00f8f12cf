"""Lenses of a run's cameras: from the configuration, for pictures of the size that comes."""

from __future__ import annotations

import dataclasses
import logging
import math
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from edge.errors import ConfigError, EdgeError
from edge.lens import Lens
from edge.rig.files import read_lenses
from edge.rig.made import OneCamera, lens_of
from edge.settings.cameras import Camera
from edge.settings.config import Config
from edge.structures import Frame, Poses

log = logging.getLogger(__name__)

_COUNTS = (4, 5, 8)  # of a pinhole lens
_OF_FISHEYE = 4
_LEAST_CIRCLE = 0.5  # of a fisheye: radius that must be usable, in half the shorter side
_FOCAL = (0.1, 30.0)  # in longer sides of the picture

Size = Tuple[int, int]


class CameraLens:
    """The lens of one camera. One instance serves one camera, from any thread.

    Args:
        name: of the camera, for the log.
        lens: of the calibrated pictures.
    """

    def __init__(self, name: str, lens: Lens) -> None:
        self.lens = lens
        self._name = name
        self._of_size: Dict[Size, Optional[Lens]] = {}

    def on(self, frame: Frame) -> Frame:
        """The frame with its lens; the frame itself if the lens is not of such pictures."""
        lens = self.of_size(frame.size)
        return frame if lens is None else dataclasses.replace(frame, lens=lens)

    def of_size(self, size: Size) -> Optional[Lens]:
        """The lens for pictures of a size; None = they have another shape, which is logged."""
        if size not in self._of_size:
            self._of_size[size] = self._sized(size)
        return self._of_size[size]

    def straighten(self, poses: Poses, size: Size) -> Poses:
        """The people with `straight`; keypoints and boxes stay as they are seen.

        Args:
            poses: of a frame; borrowed.
            size: of the frame, px.
        """
        lens = self.of_size(size)
        if lens is None or not len(poses):
            return poses
        middles = (poses.boxes[:, :2] + poses.boxes[:, 2:]) / 2
        straight = lens.straight(poses.keypoints, middles)
        return dataclasses.replace(poses, straight=straight)

    def _sized(self, size: Size) -> Optional[Lens]:
        try:
            return self.lens.sized(size)
        except ValueError as error:
            log.warning("camera %s: its lens is not corrected: %s", self._name, error)
            return None


def build_lenses(config: Config) -> Dict[str, CameraLens]:
    """The lenses of the cameras that have one, by the camera's name.

    Args:
        config: complete and checked.

    Raises:
        EdgeError: a lens cannot be used; names the key.
    """
    found = {c.name: lens_of_camera(c, f"cameras[{i}]") for i, c in enumerate(config.cameras)}
    return {name: CameraLens(name, lens) for name, lens in found.items() if lens is not None}


def lens_of_camera(camera: Camera, where: str) -> Optional[Lens]:
    """The lens of a camera; None = the configuration gives none.

    Args:
        camera: its settings, with its name.
        where: key path of the camera, for messages.

    Raises:
        EdgeError: it cannot be used; names the key.
    """
    if not camera.lens.given:
        return None
    if camera.depth:
        raise ConfigError(f"{where}.lens: a camera with depth gives its own; remove one of the two")
    lens = _of_file(camera, where) if camera.lens.file else _of_numbers(camera, where)
    _refuse_impossible(lens, f"{where}.lens")
    return lens


def _of_file(camera: Camera, where: str) -> Lens:
    own = camera.lens
    doubled = [k for k in ("matrix", "distortion", "fisheye", "size") if getattr(own, k)]
    if doubled:
        raise ConfigError(f"{where}.lens.{doubled[0]}: the file has it; remove one of the two")
    try:
        lenses = read_lenses(Path(own.file))
    except EdgeError as error:
        raise type(error)(f"{where}.lens.file: {error}") from error
    view = own.view or camera.name
    if view in lenses:
        return lenses[view]
    if len(lenses) == 1 and not own.view:
        return next(iter(lenses.values()))
    raise ConfigError(
        f"{where}.lens.view: {own.file} has no camera {view!r}; there are: {', '.join(lenses)}"
    )


def _of_numbers(camera: Camera, where: str) -> Lens:
    own = camera.lens
    if own.view:
        raise ConfigError(f"{where}.lens.view: is of a file; name the file, or remove it")
    for key, value in (("matrix", own.matrix), ("distortion", own.distortion), ("size", own.size)):
        if not value:
            raise ConfigError(f"{where}.lens.{key}: is missing; name a file, or give all numbers")
    if len(own.matrix) != 3 or any(len(row) != 3 for row in own.matrix):
        raise ConfigError(f"{where}.lens.matrix: use three rows of three numbers")
    if len(own.size) != 2:
        raise ConfigError(f"{where}.lens.size: use [width, height]")
    counts = (_OF_FISHEYE,) if own.fisheye else _COUNTS
    if len(own.distortion) not in counts:
        kind = "a fisheye lens" if own.fisheye else "a pinhole lens"
        raise ConfigError(
            f"{where}.lens.distortion: has {len(own.distortion)} coefficients; {kind} has "
            f"{' or '.join(str(n) for n in counts)}"
        )
    bare = OneCamera(
        camera.name, own.matrix, own.distortion, None, None, own.size, bool(own.fisheye)
    )
    try:
        return lens_of(bare)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}.lens: {error}") from error


def _refuse_impossible(lens: Lens, where: str) -> None:
    """Refuse a lens that does not belong to pictures of its size, or turns back within them."""
    problem = _problem(lens)
    if problem:
        raise ConfigError(f"{where}: {problem}")


def _problem(lens: Lens) -> str:
    if not all(lens.size):
        return "the calibration does not say of what picture size it is; add the size to it"
    wide, high = lens.size
    fx, cx, fy, cy = lens.matrix[0], lens.matrix[2], lens.matrix[4], lens.matrix[5]
    if not (0 <= cx <= wide and 0 <= cy <= high):
        return (
            f"its centre {cx:.0f}, {cy:.0f} lies outside pictures of {wide} x {high} px; check the "
            "matrix and the size"
        )
    least, most = (share * max(wide, high) for share in _FOCAL)
    if not (least <= fx <= most and least <= fy <= most):
        return f"focal lengths {fx:.0f} and {fy:.0f} px do not fit to {wide} x {high} px"
    return _folding(lens)


def _folding(lens: Lens) -> str:
    wide, high = lens.size
    if lens.fisheye:  # the corners of the picture may lie beyond the lens
        needed = _LEAST_CIRCLE * min(wide, high) / 2
        if lens.fold_px >= needed:
            return ""
    else:
        corners = np.array(_corners(lens.size), np.float64)
        if np.isfinite(lens.flat(corners)).all():
            return ""
        cx, cy = lens.matrix[2], lens.matrix[5]
        needed = max(math.hypot(x - cx, y - cy) for x, y in corners)
    return (
        f"it turns back {lens.fold_px:.0f} px from the centre, and the picture reaches "
        f"{needed:.0f} px: calibrate again with the board at the edges of the picture"
    )


def _corners(size: Size) -> List[Size]:
    right, low = size[0] - 1, size[1] - 1
    return [(0, 0), (right, 0), (0, low), (right, low)]
