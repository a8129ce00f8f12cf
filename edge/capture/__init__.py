"""Sources of frames. The scheme of a source URI is the file name of its plug."""

from __future__ import annotations

from edge.capture._cameras import CameraList, Cameras
from edge.capture._memory import FrameMemory, PlainMemory
from edge.capture._ring import Ring, Slot
from edge.capture._source import (
    CAMERA,
    PLAYBACK,
    RECORDING,
    Address,
    CaptureOptions,
    EndOfStream,
    Source,
    kind,
    open_source,
    parse,
)

__all__ = [
    "CAMERA",
    "PLAYBACK",
    "RECORDING",
    "Address",
    "CameraList",
    "Cameras",
    "CaptureOptions",
    "EndOfStream",
    "FrameMemory",
    "PlainMemory",
    "Ring",
    "Slot",
    "Source",
    "kind",
    "open_source",
    "parse",
]
