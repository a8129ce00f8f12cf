"""The picture to draw on: of a file, or of a camera."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from edge.capture import Cameras
from edge.commands.snapshot import to_bgr
from edge.errors import DataError, NoInputError, TempError
from edge.settings.config import Camera, Capture

QUALITY = 90  # of the JPEG


class Still(NamedTuple):
    """An upright picture of a camera."""

    jpeg: bytes
    width: int
    height: int


def of(camera: Camera, capture: Capture) -> Still:
    """One picture of a camera; masks of the configuration are not painted.

    Args:
        camera: its source, and how it hangs.
        capture: time limits.

    Raises:
        EdgeError: it gives no picture; the text says why.
    """
    opened = Cameras([dataclasses.replace(camera, mask=())], capture)
    opened.start()
    try:
        frames = opened.take(capture.timeout_s + capture.stall_s)
        failures = opened.failures
        if failures:
            raise failures[0]
        if not frames:
            detail = opened.states()[0].detail or "gives no picture"
            raise TempError(f"{camera.name}: {detail}")
        image = to_bgr(frames[0])
        opened.release(frames)
    finally:
        opened.close()
    return Still(_jpeg(image), image.shape[1], image.shape[0])


def source_of(text: str) -> str:
    """The address of a source: an address as it is, a path as file://.

    Raises:
        NoInputError: there is no such file.
    """
    if "://" in text:
        return text
    path = Path(text)
    if not path.exists():
        raise NoInputError(f"{text}: no such file")
    return f"file://{path.absolute()}"


def _jpeg(image: np.ndarray) -> bytes:
    fine, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not fine:
        raise DataError("the picture cannot be written as a JPEG")
    return bytes(data)
