"""C3D files of marker paths: one a person, m, y up.

The format is that of The C3D File Format, C-Motion, 2008: a header of one block of 512 bytes,
parameters, and frames of four little-endian floats a point: x y z and the residual, -1 = missing.
"""

from __future__ import annotations

import struct
from typing import Dict, Sequence, Tuple, Union

import numpy as np

from tools.exporting.trc import PathWriter

BLOCK = 512
LABEL = 32  # bytes of a label
MOST_LABELS = 255  # of one parameter; more go to LABELS2
_INTEL = 84
Value = Union[Sequence[str], Sequence[float], int, float, str]


class Writer(PathWriter):
    """Writes the paths of all people as .c3d."""

    suffix = ".c3d"

    def _header(self, name: str) -> bytes:
        labels, first = self._tracks.paths[name].names, self._blocks.first[name]
        return header(labels, self._timeline.rate_hz, first, self._blocks.next[name] - first)

    def _write(self, name: str, begin: int, rows: np.ndarray, is_new: bool) -> None:
        there = np.isfinite(rows).all(2)
        values = np.zeros((*there.shape, 4), "<f4")
        values[..., :3] = np.where(there[..., None], rows, 0)
        values[..., 3] = np.where(there, 0, -1)
        self._files.write(name, values.tobytes(), is_new)


def header(labels: Sequence[str], rate_hz: float, first: int, count: int) -> bytes:
    """Everything before the frames.

    Args:
        labels: of the markers.
        rate_hz: frames per second.
        first: number of the first frame, from 0.
        count: frames.
    """
    begin, end = first + 1, first + count  # frames are counted from 1
    groups = _groups(labels, rate_hz, begin, end)
    parameters = _parameters(groups, 0)
    blocks = -(-len(parameters) // BLOCK)
    parameters = _parameters(groups, 2 + blocks)
    small = (min(begin, 0xFFFF), min(end, 0xFFFF))
    head = struct.pack(
        "<BBHHHHHfHHf", 2, 80, len(labels), 0, *small, 10, -1.0, 2 + blocks, 0, rate_hz
    )
    whole = bytearray(parameters.ljust(blocks * BLOCK, b"\0"))
    whole[2] = blocks
    return head.ljust(BLOCK, b"\0") + bytes(whole)


def _groups(
    labels: Sequence[str], rate_hz: float, begin: int, end: int
) -> Dict[str, Dict[str, Value]]:
    halves = {"LABELS": list(labels[:MOST_LABELS])}
    if len(labels) > MOST_LABELS:
        halves["LABELS2"] = list(labels[MOST_LABELS:])
    count = end - begin + 1
    return {
        "POINT": {
            "USED": len(labels),
            "SCALE": -1.0,
            "RATE": rate_hz,
            "DATA_START": 0,  # filled in by `_parameters`
            "FRAMES": min(count, 0xFFFF),
            **halves,
            "DESCRIPTIONS": [""] * min(len(labels), MOST_LABELS),
            "UNITS": "m",
            "X_SCREEN": "+X",
            "Y_SCREEN": "+Y",
        },
        "ANALOG": {"USED": 0, "RATE": 0.0, "GEN_SCALE": 1.0},
        "TRIAL": {
            "CAMERA_RATE": rate_hz,
            # Numbers of 32 bits, as two of 16 bits: more than 65535 frames.
            "ACTUAL_START_FIELD": _halves(begin),
            "ACTUAL_END_FIELD": _halves(end),
        },
        "MANUFACTURER": {"SOFTWARE": "edge-pose"},
    }


class _Words(Tuple[int, ...]):
    """Unsigned numbers of 16 bits."""


def _halves(value: int) -> Tuple[int, ...]:
    return _Words((value & 0xFFFF, value >> 16))


def _parameters(groups: Dict[str, Dict[str, Value]], data_block: int) -> bytes:
    """The parameter section, without its number of blocks."""
    parts = [struct.pack("<BBBB", 1, 80, 0, _INTEL)]
    for number, (group, values) in enumerate(groups.items(), 1):
        parts.append(_entry(group, -number, b"\0"))
        for name, value in values.items():
            value = data_block if name == "DATA_START" else value
            parts.append(_entry(name, number, _encoded(value) + b"\0"))
    return b"".join(parts) + b"\0\0"


def _entry(name: str, number: int, body: bytes) -> bytes:
    """A group or parameter; the offset leads from itself to the next."""
    head = struct.pack("<bb", len(name), number) + name.encode()
    return head + struct.pack("<H", len(body) + 2) + body


def _encoded(value: Value) -> bytes:
    """Type, dimensions and data of a parameter."""
    if isinstance(value, _Words):
        return struct.pack(f"<bBB{len(value)}H", 2, 1, len(value), *value)
    if isinstance(value, int):
        return struct.pack("<bBH", 2, 0, value)
    if isinstance(value, float):
        return struct.pack("<bBf", 4, 0, value)
    if isinstance(value, str):
        return struct.pack("<bBB", -1, 1, len(value)) + value.encode()
    texts = [str(text).encode()[:LABEL].ljust(LABEL) for text in value]
    return struct.pack("<bBBB", -1, 2, LABEL, len(texts)) + b"".join(texts)
