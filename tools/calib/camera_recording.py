"""Record a running camera as pictures, because its frames cannot be read twice."""

from __future__ import annotations

import time
from pathlib import Path

import cv2

from edge import capture
from edge.commands.snapshot import to_bgr
from edge.errors import NoInputError
from edge.settings import config
from tools.calib.media import Clip
from tools.progress import Progress

WAIT_S = 0.5


def record_camera(uri: str, seconds: float, pictures: int, folder: Path, quiet: bool) -> Clip:
    """Save pictures of a camera, evenly spaced in time.

    Args:
        uri: of the camera.
        seconds: how long to record, from the first frame.
        pictures: how many pictures at most.
        folder: where they are saved, as PNG.
        quiet: show no progress.

    Raises:
        ConfigError: the URI is wrong. NoInputError: the camera gave no frame.
        EdgeError: the camera failed for good.
    """
    settings = config.Capture()
    cameras = capture.Cameras([config.Camera(source=uri)], settings)
    clip = Clip(capture.parse(uri).uri, [], False, rate_hz=pictures / seconds)
    folder.mkdir(parents=True, exist_ok=True)
    cameras.start()
    try:
        with Progress(f"watching {clip.name}", pictures, "pictures", quiet) as bar:
            _watch(cameras, clip, seconds, pictures, folder, bar)
    finally:
        cameras.close()
    for failure in cameras.failures:
        raise failure
    if not clip.paths:
        raise NoInputError(f"{clip.name}: the camera gave no frame: {cameras.states()[0].detail}")
    return clip


def _watch(
    cameras: capture.Cameras, clip: Clip, seconds: float, pictures: int, folder: Path, bar: Progress
) -> None:
    """Save pictures until the time is over or the camera ends."""
    end_s = time.monotonic() + seconds + config.Capture().timeout_s
    begun_ns = -1
    while time.monotonic() < end_s and not cameras.ended and len(clip.paths) < pictures:
        frames = cameras.take(WAIT_S)
        for frame in frames:
            begun_ns = frame.t_ns if begun_ns < 0 else begun_ns
            passed_s = (frame.t_ns - begun_ns) / 1e9
            if passed_s > seconds:
                end_s = 0.0
            elif passed_s >= len(clip.paths) * seconds / pictures:
                path = folder / f"{len(clip.paths):06d}.png"
                cv2.imwrite(str(path), to_bgr(frame), [cv2.IMWRITE_PNG_COMPRESSION, 1])
                clip.paths.append(path)
                bar.update()
        cameras.release(frames)
