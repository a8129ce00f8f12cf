"""The cameras of the configuration, and checks of them."""

import dataclasses
from dataclasses import dataclass
from typing import List, Sequence, Tuple

from edge.errors import ConfigError
from edge.settings.schema import key, name_problem

# These stand in topics where a camera's name would, or name the box itself in its own events.
RESERVED = ("ack", "answer", "cmd", "device", "metrics", "scene", "status")
Corners = Tuple[Tuple[float, ...], ...]


@dataclass(frozen=True)
class Lens:
    """The lens of a camera: named in a calibration file, or written here with OpenCV's numbers."""

    file: str = key(
        "",
        "calibration with its lens: .toml of calibrate-cameras or Pose2Sim, Qualisys' .qca.txt, or "
        "a file of OpenCV",
    )
    view: str = key(
        "",
        "what that file calls this camera; empty = its name, or the only camera of the file",
    )
    matrix: Tuple[Tuple[float, ...], ...] = key(
        (), "without a file: the camera matrix, three rows of three numbers, px"
    )
    distortion: Tuple[float, ...] = key(
        (),
        "without a file: OpenCV's coefficients k1 k2 p1 p2 [k3 [k4 k5 k6]], or the four of a "
        "fisheye lens",
    )
    fisheye: bool = key(False, "without a file: they are of OpenCV's fisheye model")
    size: Tuple[int, ...] = key(
        (), "without a file: width and height of the pictures of the calibration, px", 1, 65536
    )

    @property
    def given(self) -> bool:
        """Whether the configuration says anything of the lens."""
        return self != Lens()


@dataclass(frozen=True)
class Camera:
    """One camera, or one recording in place of a camera."""

    source: str = key(
        help="URI: file:// rtsp:// rtsps:// http:// https:// v4l2:// csi:// synthetic://"
    )
    name: str = key(
        "",
        "name in topics; empty = cam0, cam1, ... by position in this file",
        check=lambda v: name_problem(v) if v else None,
    )
    rotate: int = key(
        0,
        "degrees clockwise, 0 90 180 or 270, that make its picture upright",
        check=lambda v: None if v in (0, 90, 180, 270) else "use 0, 90, 180 or 270",
    )
    flip: str = key(
        "",
        "mirror its picture after the turn: h = left to right, v = top to bottom",
        check=lambda v: None if v in ("", "h", "v") else 'use "h", "v" or ""',
    )
    depth: str = key(
        "", "URI of depth images that are aligned with its pictures: file:///FOLDER realsense://"
    )
    max_hz: float = key(
        0.0,
        "its frame messages in a second, at most, if that is less than publish.max_hz; "
        "0 = publish.max_hz decides",
        0,
        1000,
    )
    mask: Tuple[Corners, ...] = key(
        (),
        "polygons that are painted grey before anything looks at a picture, each a list of corners "
        "[x, y]: px of the upright picture, or shares 0..1 of its width and height if none is "
        "above 1",
        -65536,
        65536,
    )
    lens: Lens = key(Lens)  # a table of its own


def completed(cameras: Sequence[Camera]) -> List[Camera]:
    """Cameras with names.

    Raises:
        ConfigError: two cameras have one name, a camera has a name that topics need, or a mask is
            no polygon.
    """
    named = [dataclasses.replace(c, name=c.name or f"cam{i}") for i, c in enumerate(cameras)]
    names = [c.name for c in named]
    for i, camera in enumerate(named):
        where = f"cameras[{i}]"
        if camera.name in RESERVED:
            raise ConfigError(
                f"{where}.name: {camera.name!r} has another meaning in topics; choose another name"
            )
        if camera.name in names[:i]:
            raise ConfigError(
                f"{where}.name: {camera.name!r} is taken by an earlier camera; choose another name"
            )
        for j, corners in enumerate(camera.mask):
            problem = _polygon_problem(corners)
            if problem:
                raise ConfigError(f"{where}.mask[{j}]: {problem}")
    return named


def _polygon_problem(corners: Corners) -> str:
    """What is wrong with a polygon; "" = nothing."""
    if len(corners) < 3 or any(len(c) != 2 for c in corners):
        return "expected at least 3 corners, each [x, y]"
    points = [complex(*c) for c in corners]
    if _crosses_itself(points):
        return "its sides cross, so that a part would stay visible; list the corners in order"
    if not sum(_turn(points[0], b, c) for b, c in zip(points[1:], points[2:])):
        return "the corners lie on one line; they must enclose an area"
    return ""


def _turn(a: complex, b: complex, c: complex) -> float:
    """Twice the area of a triangle; positive if c lies on one side of the line a b."""
    return ((b - a).conjugate() * (c - a)).imag


def _crosses_itself(points: Sequence[complex]) -> bool:
    """Whether two sides that are not neighbours cross."""
    sides = list(zip(points, [*points[1:], points[0]]))
    return any(
        _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0
        for i, (a, b) in enumerate(sides)
        for c, d in sides[i + 2 :]
    )
