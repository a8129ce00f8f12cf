"""The same ranges as TensorRT's entropy calibration cache (TensorRT <= 10; the way to a DLA).

Text: a header with the version, then `tensor: hex`, the big-endian float32 bits of amax / 127.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Dict, Mapping

from edge.errors import DataError


def write_cache(ranges: Mapping[str, float], version: int) -> str:
    """The cache's text.

    Args:
        ranges: amax of each tensor.
        version: TensorRT's number as one integer (8502, 100300): it refuses another's cache.
    """
    lines = [f"TRT-{version}-EntropyCalibration2"]
    for tensor, amax in ranges.items():
        lines.append(f"{tensor}: {struct.pack('>f', amax / 127).hex()}")
    return "\n".join(lines) + "\n"


def read_cache(path: Path) -> Dict[str, float]:
    """Amax of each tensor of a cache.

    Raises:
        DataError: it is not such a cache.
    """
    lines = path.read_text(errors="replace").splitlines()
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
