"""Repetitions cut out of a recording of poses."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np

from edge.errors import DataError, NoInputError
from edge.recording.record import RecordedFrame, unpack
from edge.recording.ring import SUFFIX, read_segment
from edge.rules._action.features import reaches
from tools.templates.make import resampled

Span = Tuple[float, float]


def repetition(path: Path, span: Span, camera: str = "", person: int = -1) -> np.ndarray:
    """The reaches [T,9] of one person in a part of a recording, at the templates' rate.

    Args:
        path: a segment, or a folder of them.
        span: seconds since the first frame of that camera.
        camera: its name; empty = the only one.
        person: id; -1 = the largest person of the part.

    Raises:
        EdgeError: there is no such camera, person or part, or a limb is never seen.
    """
    frames = _frames_of(path, camera)
    begin_ns = frames[0].t_ns
    during = [f for f in frames if span[0] <= (f.t_ns - begin_ns) * 1e-9 <= span[1]]
    long_s = (frames[-1].t_ns - begin_ns) * 1e-9
    if len(during) < 5:
        raise DataError(f"{path}: has {long_s:.1f} s and too few frames at {span[0]}-{span[1]} s")
    wanted = person if person >= 0 else _largest(during, path, span)
    rows, times_s = [], []
    for frame in during:
        which = frame.poses.ids == wanted
        if which.any():
            rows.append(reaches(frame.poses.take(which))[0])
            times_s.append((frame.t_ns - begin_ns) * 1e-9)
    if len(rows) < 5:
        raise DataError(f"{path}: person {wanted} is not seen at {span[0]}-{span[1]} s")
    return resampled(np.array(rows), np.array(times_s))


def _frames_of(path: Path, camera: str) -> List[RecordedFrame]:
    segments = sorted(path.glob("*" + SUFFIX)) if path.is_dir() else [path]
    if not segments or not segments[0].is_file():
        raise NoInputError(f"{path}: contains no recording; set [record] max_mb to record")
    frames: Dict[str, List[RecordedFrame]] = {}
    for segment in segments:
        for kind, payload in read_segment(segment):
            if kind == "P":
                frame = unpack(payload)
                frames.setdefault(frame.camera, []).append(frame)
    there = ", ".join(sorted(frames))
    if not camera and len(frames) != 1:
        raise DataError(f"{path}: has the cameras {there or 'none'}; choose one with --camera")
    if camera and camera not in frames:
        raise DataError(f"{path}: has no camera {camera!r}; there are: {there}")
    return frames[camera or there]


def _largest(frames: List[RecordedFrame], path: Path, span: Span) -> int:
    """The id of the person whose boxes have the largest area in sum."""
    areas: Dict[int, float] = {}
    for frame in frames:
        boxes = frame.poses.boxes
        sizes = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
        for who, area in zip(frame.poses.ids.tolist(), sizes.tolist()):
            areas[who] = areas.get(who, 0.0) + area
    if not areas:
        raise DataError(f"{path}: nobody is seen at {span[0]}-{span[1]} s")
    return max(areas, key=lambda who: areas[who])
