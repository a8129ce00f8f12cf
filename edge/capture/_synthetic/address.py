"""The options of a synthetic:// address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

from edge.capture import _query
from edge.capture._source import Address
from edge.capture._synthetic.camera import AZIMUTHS
from edge.capture._synthetic.load import load
from edge.capture._synthetic.scene import Setup
from edge.errors import ConfigError

_OPTIONS = (
    "people",
    "motion",
    "clip",
    "seed",
    "fps",
    "frames",
    "rate",
    "width",
    "height",
    "view",
    "camera",
    "event_s",
    "markers",
    "stall_at",
    "stall_s",
    "garbage_at",
    "resize_at",
    "fail_at",
)
_MAX_INDEX = 1 << 40
NEVER = -1


@dataclass(frozen=True)
class Faults:
    """Frame numbers, counted from the opening, of each fault; NEVER = no such fault."""

    stall_at: int = NEVER
    stall_s: float = 5.0
    garbage_at: int = NEVER
    resize_at: int = NEVER
    fail_at: int = NEVER


@dataclass(frozen=True)
class SyntheticRequest:
    """The options of one address."""

    uri: str
    setup: Setup
    width: int  # px
    height: int  # px
    view: int
    frames: int  # 0 = no end
    native: bool  # runs at its frame rate, like a camera
    markers: bool
    faults: Faults

    @property
    def resized(self) -> Tuple[int, int]:
        """Width and height px after `resize_at`: three quarters, even."""
        return self.width * 3 // 8 * 2, self.height * 3 // 8 * 2


def read_request(address: Address) -> SyntheticRequest:
    """Read and check the options of an address, and its clip.

    Raises:
        ConfigError: an unknown option or motion, or a value out of range.
        NoInputError, DataError: the clip cannot be read.
    """
    address.only(*_OPTIONS)
    request = SyntheticRequest(
        uri=address.uri,
        setup=_setup(address),
        width=_query.integer(address, "width", 640, 32, 8192),
        height=_query.integer(address, "height", 480, 32, 8192),
        view=_query.integer(address, "view", 0, 0, len(AZIMUTHS) - 1),
        frames=_query.integer(address, "frames", 0, 0, _MAX_INDEX),
        native=_query.choice(address, "rate", ("native", "max")) == "native",
        markers=_query.choice(address, "markers", ("0", "1")) == "1",
        faults=_faults(address),
    )
    try:
        request.setup.motions()
    except ConfigError as error:
        raise ConfigError(f"{address.uri}: {error}") from error
    return request


def _setup(address: Address) -> Setup:
    clip = address.query.get("clip", "")
    distance_m, height_m, angle_deg = _camera(address)
    return Setup(
        people=_query.integer(address, "people", 3, 0, 200),
        motion=address.query.get("motion", address.path.strip("/") or "walk"),
        seed=_query.integer(address, "seed", 1, 0, 2**31),
        rate_hz=_query.number(address, "fps", 30, 0.01, 1000),
        event_s=_query.number(address, "event_s", 2, 0, 1e6),
        distance_m=distance_m,
        height_m=height_m,
        angle_deg=angle_deg,
        clip=load(Path(clip)) if clip else None,
        clip_name=clip,
    )


def _camera(address: Address) -> Tuple[float, float, float]:
    """camera=DISTANCE,HEIGHT,ANGLE in m, m, degrees; distance 0 = all people fit in."""
    text = address.query.get("camera", "0,2,60")
    try:
        distance_m, height_m, angle_deg = (float(word) for word in text.split(","))
    except ValueError:
        distance_m = height_m = angle_deg = float("nan")
    far = distance_m == 0 or 1 <= distance_m <= 100
    if not (far and 0.2 <= height_m <= 50 and 10 <= angle_deg <= 120):
        raise ConfigError(
            f"{address.uri}: camera={text}: use DISTANCE,HEIGHT,ANGLE as in 4.6,2,60: 1 to 100 m "
            "(0 = all people fit in), 0.2 to 50 m, 10 to 120 degrees"
        )
    return distance_m, height_m, angle_deg


def _faults(address: Address) -> Faults:
    def at(name: str) -> int:
        return _query.integer(address, name, NEVER, NEVER, _MAX_INDEX)

    return Faults(
        stall_at=at("stall_at"),
        stall_s=_query.number(address, "stall_s", 5, 0, 3600),
        garbage_at=at("garbage_at"),
        resize_at=at("resize_at"),
        fail_at=at("fail_at"),
    )
