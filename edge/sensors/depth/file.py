"""Recorded depth images: file:///FOLDER.

The folder holds depth.json and one PNG of 16 bit for each frame of the colour recording:
000000.png, 000001.png ... depth.json has the colour camera's numbers under the names of
librealsense: width, height, fx, fy, ppx, ppy, and depth_scale_m. `edge-tools synth --depth` writes
such folders. Option:

- loop=on: after the last image comes the first again, as in a recording that is played in a loop.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Optional

import cv2
import numpy as np

from edge.errors import ConfigError, DataError, NoInputError
from edge.sensors._address import Address
from edge.sensors.depth import DepthCamera, DepthSource

FILE = "depth.json"
_NUMBERS = ("width", "height", "fx", "fy", "ppx", "ppy", "depth_scale_m")


def check(address: Address) -> None:
    """Refuse wrong options.

    Raises:
        ConfigError: a wrong option, or no path.
    """
    address.only(("loop",))
    address.choice("loop", ("off", "on"))
    if not address.path:
        raise ConfigError(f"{address.uri}: names no folder; write file:///FOLDER")


def open_depth(address: Address) -> DepthSource:
    """Open a folder.

    Raises:
        NoInputError: it is not there. DataError: depth.json is wrong.
    """
    check(address)
    return _Folder(Path(address.path), address.choice("loop", ("off", "on")) == "on")


class _Folder:
    def __init__(self, folder: Path, loops: bool) -> None:
        self.camera = _camera(folder / FILE)
        self._folder = folder
        count = len(list(folder.glob("[0-9]*.png")))
        if not count:
            raise NoInputError(f"{folder}: holds no depth images 000000.png, 000001.png ...")
        self._count = count if loops else 0
        self.about = f"{folder}, {count} images"

    def image(self, index: int, t_ns: int) -> Optional[np.ndarray]:
        path = self._folder / f"{index % self._count if self._count else index:06d}.png"
        try:
            data = np.frombuffer(path.read_bytes(), np.uint8)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from error
        found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
        if found is None or found.dtype != np.uint16 or found.ndim != 2:
            raise DataError(f"{path}: is no PNG of one channel of 16 bit")
        return np.asarray(found)

    def close(self) -> None:
        """Nothing is open."""


def _camera(path: Path) -> DepthCamera:
    try:
        table = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}; it holds {', '.join(_NUMBERS)}") from error
    except ValueError as error:
        raise DataError(f"{path}: is no JSON: {error}") from error
    numbers = [_number(path, table, name) for name in _NUMBERS]
    width, height, fx, fy, cx, cy, scale_m = numbers
    return DepthCamera(int(width), int(height), fx, fy, cx, cy, scale_m)


def _number(path: Path, table: Dict[str, Any], name: str) -> float:
    value = table.get(name) if isinstance(table, dict) else None
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    least = -1e6 if name in ("ppx", "ppy") else 1 if name in ("width", "height") else 1e-7
    if not good or not least <= float(value or 0) < 1e6:
        raise DataError(f"{path}: {name}: {value!r} is not a number in the range of a camera")
    return float(value or 0)
