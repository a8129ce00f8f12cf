"""Depth images beside a camera, aligned with its pictures.

A plug is one file: `check(address)` refuses wrong options before a run, and `open_depth(address)`
opens the source. `file` is a folder of images; `realsense` is a camera of Intel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol

import numpy as np

from edge import plug
from edge.errors import ConfigError
from edge.sensors._address import Address, parse

__all__ = ["Address", "DepthCamera", "DepthSource", "check", "open_depth"]


@dataclass(frozen=True)
class DepthCamera:
    """Numbers of the colour camera with which the depth images are aligned, and their unit."""

    width: int
    height: int
    fx: float  # px
    fy: float
    cx: float  # px; pixel centres are whole numbers
    cy: float
    scale_m: float  # metres of one unit


class DepthSource(Protocol):
    """An open source."""

    about: str  # one line for people
    camera: DepthCamera

    def image(self, index: int, t_ns: int) -> Optional[np.ndarray]:
        """The depth image of a frame.

        Args:
            index: of the frame in its camera.
            t_ns: its monotonic capture time.

        Returns:
            [H,W] u16, 0 = no measurement, borrowed until the next call; None = there is none.

        Raises:
            TempError: the camera does not answer. DataError: a file is damaged.
        """

    def close(self) -> None:
        """Close it; may be called twice."""


def check(source: str, where: str) -> Address:
    """Parse an address and refuse wrong options, without opening anything.

    Args:
        source: URI, such as file:///PATH or realsense://.
        where: the key, for the message.

    Raises:
        ConfigError: an unknown scheme, or a wrong option; one line with the key.
    """
    try:
        address = parse(source)
        plug.load("sensors.depth", address.scheme).check(address)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return address


def open_depth(address: Address) -> DepthSource:
    """Open a source.

    Raises:
        NoInputError: it is not there. DataError: it is damaged. UnavailableError: a package is
            missing. TempError: the camera does not answer.
    """
    source: DepthSource = plug.load("sensors.depth", address.scheme).open_depth(address)
    return source
