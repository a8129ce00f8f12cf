"""Upright people of a recording: where their ankles, hips and shoulders are in the picture."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.errors import ConfigError, DataError
from edge.lens import Lens
from edge.recording.record import unpack
from edge.recording.ring import read_segment
from edge.rules._posture import ANKLES, HIPS, KNEES, SHOULDERS, body_of
from edge.structures import Poses

_EVERY_S = 0.4  # of one person
_MOST = 6000
_STRAIGHT_DEG, _ALIGNED_DEG, _UPRIGHT_DEG = 25.0, 20.0, 35.0
# Shares of shoulders to hips in shoulders to ankles: .37 of a level camera, more from above.
_TORSO_SHARE = (0.30, 0.50)
_LEAST_PX = 40.0  # shoulders to ankles
_BORDER_PX = 2.0


class Walkers(NamedTuple):
    """[P] observations of upright people in pictures of one size."""

    ankles: np.ndarray  # [P] complex px, between both
    hips: np.ndarray  # [P] complex px
    shoulders: np.ndarray  # [P] complex px
    ids: np.ndarray  # [P] i64
    size: Tuple[int, int]  # width, height px


def of_recording(segments: Sequence[Path], camera: str) -> Walkers:
    """The upright people of one camera of a recording.

    Args:
        segments: files, oldest first.
        camera: name; empty = the only one.

    Raises:
        ConfigError: no such camera, or several and none named. DataError: a file is damaged, or
            pictures change their size.
    """
    found: List[Walkers] = []
    last_s: Dict[int, float] = {}
    cameras, sizes = set(), set()
    for path in segments:
        for kind, payload in read_segment(path):
            if kind != "P":
                continue
            frame = unpack(payload)
            cameras.add(frame.camera)
            if camera in ("", frame.camera):
                sizes.add(frame.size)
                found.append(_due(frame.poses, frame.size, frame.t_ns * 1e-9, last_s))
    if camera and camera not in cameras:
        raise ConfigError(
            f"--camera: no {camera!r}; the recording has: {', '.join(sorted(cameras))}"
        )
    if not camera and len(cameras) > 1:
        raise ConfigError(f"--camera: name one of {', '.join(sorted(cameras))}")
    if len(sizes) > 1:
        raise DataError(f"pictures of the recording have several sizes: {sorted(sizes)}")
    return join(found)


def join(parts: Sequence[Walkers]) -> Walkers:
    """All observations in one record, thinned evenly to a bounded number.

    Raises:
        DataError: there are none.
    """
    if not sum(len(p.ids) for p in parts):
        raise DataError("nobody walks upright with visible feet in it; record more")
    step = -(-sum(len(p.ids) for p in parts) // _MOST)
    return Walkers(
        np.concatenate([p.ankles for p in parts])[::step],
        np.concatenate([p.hips for p in parts])[::step],
        np.concatenate([p.shoulders for p in parts])[::step],
        np.concatenate([p.ids for p in parts])[::step],
        parts[0].size,
    )


def without_lens(seen: Walkers, lens: Lens) -> Walkers:
    """The observations as the same camera without distortion would show them.

    Raises:
        ConfigError: the lens was calibrated on pictures of another shape.
    """
    try:
        sized = lens.sized(seen.size)
    except ValueError as error:
        raise ConfigError(f"the camera's lens: {error}; calibrate it on such pictures") from error
    ankles, hips, shoulders = (
        sized.undistorted(points) for points in (seen.ankles, seen.hips, seen.shoulders)
    )
    known = np.isfinite([ankles, hips, shoulders]).all(0)
    return Walkers(ankles[known], hips[known], shoulders[known], seen.ids[known], seen.size)


def _due(poses: Poses, size: Tuple[int, int], t_s: float, last_s: Dict[int, float]) -> Walkers:
    """Upright people of a frame who were not taken a moment ago."""
    due = [t_s - last_s.get(int(i), -1e9) >= _EVERY_S for i in poses.ids]
    walkers = upright(poses.take(np.array(due, bool)), size)
    last_s.update((int(i), t_s) for i in walkers.ids)
    return walkers


def upright(poses: Poses, size: Tuple[int, int]) -> Walkers:
    """Those [P] people who stand or walk upright, with their whole body in the picture."""
    body, visible, _ = body_of(poses)
    pairs = (SHOULDERS, HIPS, KNEES, ANKLES)
    whole = np.all([visible[:, list(pair)].all(1) for pair in pairs], axis=0)
    shoulder, hip, ankle = (body[:, list(pair)].mean(1) for pair in (SHOULDERS, HIPS, ANKLES))
    torso, leg = hip - shoulder, ankle - hip
    length = np.maximum(np.abs(ankle - shoulder), 1e-6)
    share = np.abs(torso) / length
    bends = _between(
        body[:, list(KNEES)] - body[:, list(HIPS)], body[:, list(ANKLES)] - body[:, list(KNEES)]
    )
    inside = (body.real > _BORDER_PX) & (body.real < size[0] - _BORDER_PX)
    inside &= (body.imag > _BORDER_PX) & (body.imag < size[1] - _BORDER_PX)
    good = whole & (length > _LEAST_PX) & (inside | ~visible).all(1)
    good &= (share > _TORSO_SHARE[0]) & (share < _TORSO_SHARE[1])
    good &= (bends < _STRAIGHT_DEG).all(1) & (_between(torso, leg) < _ALIGNED_DEG)
    good &= _between(ankle - shoulder, np.full(len(ankle), 1j)) < _UPRIGHT_DEG
    ankle, hip, shoulder = (a[good].astype(np.complex128) for a in (ankle, hip, shoulder))
    return Walkers(ankle, hip, shoulder, poses.ids[good], size)


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angle in deg between directions."""
    return np.abs(np.degrees(np.angle(a * np.conj(b))))
