"""Ranges as TensorRT's entropy calibration cache (TensorRT <= 10); a DLA takes no other ranges.

The cache is text: a header with the version, then lines `tensor: hex`, where `hex` is amax / 127 as
the big-endian bits of a float32.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict, Mapping

from edge.errors import DataError


def write_cache(ranges: Mapping[str, float], version: int) -> str:
    """Text of a cache.

    Args:
        ranges: amax of each tensor.
        version: TensorRT version as one integer (8502, 100300); TensorRT refuses the cache of
            another version.
    """
    lines = [f"TRT-{version}-EntropyCalibration2"]
    for tensor, amax in ranges.items():
        lines.append(f"{tensor}: {struct.pack('>f', amax / 127).hex()}")
    return "\n".join(lines) + "\n"


def read_cache(path: Path) -> Dict[str, float]:
    """Amax of each tensor in a cache.

    Raises:
        DataError: the file is not a calibration cache.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or not lines[0].startswith("TRT-"):
        raise DataError(f"{path}: is not a calibration cache of TensorRT")
    ranges = {}
    for line in lines[1:]:
        tensor, _, bits = line.rpartition(": ")
        try:
            ranges[tensor] = struct.unpack(">f", bytes.fromhex(bits))[0] * 127
        except (ValueError, struct.error):
            raise DataError(f"{path}: {line!r} is not TENSOR: HEX") from None
    return ranges
