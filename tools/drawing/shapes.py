"""Shapes of one camera in a configuration file: read them, and write them with all else kept.

A zone is a [[rules]] table of kind zone, a line one of kind line; a mask is a polygon of the
camera's `mask`; the ground is a [[grounds]] table, made of points whose places on the floor are
known. Comments, order and other keys of the file stay (tomlkit).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT

from edge.errors import ConfigError, DataError, EdgeError
from edge.lens import Lens
from edge.loop.lenses import lens_of_camera
from edge.service.check import look_up
from edge.settings import config
from edge.settings.toml_text import parse_toml
from tools.floor import from_points

KINDS = {"zone": 3, "line": 2, "mask": 3, "ground": 4}  # least points
POINTS = {"zone": "polygon", "line": "line"}  # key of the points in a rule's table
MOST_SHAPES, MOST_POINTS = 64, 200
FARTHEST_PX = 65536.0
Pair = Tuple[float, float]


@dataclass(frozen=True)
class Shape:
    """One thing drawn; points are px of the upright picture."""

    kind: str  # one of KINDS
    name: str  # of zones and lines
    points: Tuple[Pair, ...]
    metres: Tuple[Pair, ...] = ()  # of the ground: where each point is on the floor

    def record(self) -> Dict[str, Any]:
        """As the page gets it."""
        return {"kind": self.kind, "name": self.name, "points": self.points, "metres": self.metres}


def read(table: Mapping[str, Any], camera: str, size: Tuple[int, int]) -> List[Shape]:
    """The shapes of a camera.

    Args:
        table: of the whole file, as TOML gives it.
        camera: its name.
        size: width, height px of its upright picture.
    """
    found = []
    for rule in table.get("rules", []):
        points = rule.get(POINTS.get(rule.get("kind"), ""))
        if points and _is_of(rule, camera, table):
            scale = size if rule.get("width") else (1, 1)
            name = rule.get("name", rule["kind"])
            found.append(Shape(rule["kind"], name, _scaled(points, scale)))
    masks = _camera_of(table, camera).get("mask", [])
    shares = all(v <= 1 for corners in masks for corner in corners for v in corner)
    found += [Shape("mask", "", _scaled(corners, size if shares else (1, 1))) for corners in masks]
    return found


def written(
    path: Path, text: str, camera: str, source: str, size: Tuple[int, int], shapes: Sequence[Shape]
) -> str:
    """The text of the file with exactly these shapes of the camera.

    The ground stays as it is if no ground is drawn.

    Args:
        path: the file, for messages.
        text: its content; may be empty.
        camera: its name.
        source: of a camera that the file does not have yet.
        size: width, height px of its upright picture.
        shapes: of this camera.

    Raises:
        ConfigError: the file or a shape cannot be used.
    """
    before = parse_toml(path, text)
    config.build(config.Config, before)  # what is no configuration is not edited
    try:
        document = tomlkit.parse(text)
        _write_camera(document, camera, source, size, [s for s in shapes if s.kind == "mask"])
        _write_rules(document, camera, size, [s for s in shapes if s.kind in POINTS])
        for shape in shapes:
            if shape.kind == "ground":
                _write_ground(document, camera, shape)
        made = document.as_string()
    except (TOMLKitError, RecursionError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be edited by this program: {error}") from error
    after = parse_toml(path, made)
    for name in before:
        if name not in ("cameras", "rules", "grounds") and after.get(name) != before[name]:
            raise ConfigError(f"{path}: cannot be edited by this program; write the shapes by hand")
    look_up(config.complete(config.build(config.Config, after)))
    return made


def from_page(records: Any) -> List[Shape]:
    """The shapes that a page sends.

    Raises:
        DataError: they are malformed.
    """
    if not isinstance(records, list) or len(records) > MOST_SHAPES:
        raise DataError(f"expected at most {MOST_SHAPES} shapes")
    return [_shape(record) for record in records]


def _shape(record: Any) -> Shape:
    try:
        kind, name = str(record["kind"]), str(record.get("name", "")).strip()
        points = tuple(_pair(p) for p in record["points"])
        metres = tuple(_pair(p) for p in record.get("metres", []))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError("a shape without kind or points") from error
    least = KINDS.get(kind)
    if least is None or not least <= len(points) <= MOST_POINTS:
        raise DataError(f"{kind or 'shape'} {name}: needs {least or 3} to {MOST_POINTS} points")
    if kind in POINTS and (not name or len(name) > 64 or not name.isprintable()):
        raise DataError(f"{kind}: needs a name of at most 64 characters")
    if kind == "ground" and len(metres) != len(points):
        raise DataError("ground: give the place of each point on the floor, in m")
    return Shape(kind, name, points, metres)


def _pair(value: Any) -> Pair:
    x, y = (float(v) for v in value)
    if not (math.isfinite(x + y) and max(abs(x), abs(y)) <= FARTHEST_PX):
        raise ValueError(value)
    return x, y


def _scaled(points: Any, scale: Sequence[float]) -> Tuple[Pair, ...]:
    return tuple((float(x) * scale[0], float(y) * scale[1]) for x, y in points)


def _is_of(rule: Mapping[str, Any], camera: str, table: Mapping[str, Any]) -> bool:
    """Whether a rule is for this camera alone."""
    alone = len(table.get("cameras", [])) <= 1
    return list(rule.get("cameras", [])) == [camera] or (alone and not rule.get("cameras"))


def _camera_of(table: Mapping[str, Any], camera: str) -> Any:
    """The camera's table; {} if the file does not have it."""
    cameras = table.get("cameras", [])
    return next((c for i, c in enumerate(cameras) if c.get("name", f"cam{i}") == camera), {})


def _tables(document: Any, name: str) -> Any:
    """The array of tables of a name; it is made if it is missing."""
    if name not in document:
        document.append(name, tomlkit.aot())
    found = document[name]
    if not isinstance(found, AoT):
        raise TypeError(f"{name} is no array of tables [[{name}]]")
    return found


def _write_camera(
    document: Any, camera: str, source: str, size: Tuple[int, int], masks: Sequence[Shape]
) -> None:
    table = _camera_of(document, camera)
    if not table:
        table = tomlkit.table()
        table.update({"source": source, "name": camera})
        _tables(document, "cameras").append(table)
        table = _camera_of(document, camera)
    shares = [[_share(p, size) for p in shape.points] for shape in masks]
    if shares:
        table["mask"] = shares
    elif "mask" in table:
        del table["mask"]


def _share(point: Pair, size: Tuple[int, int]) -> List[float]:
    """A corner of a mask: a share of the picture, so that it fits any size of the stream."""
    return [round(min(max(v / side, 0.0), 1.0), 4) for v, side in zip(point, size)]


def _write_rules(
    document: Any, camera: str, size: Tuple[int, int], shapes: Sequence[Shape]
) -> None:
    if not shapes and "rules" not in document:
        return
    rules, left = _tables(document, "rules"), list(shapes)
    for i in reversed(range(len(rules))):
        rule = rules[i]
        key = POINTS.get(rule.get("kind"), "")
        if key not in rule or not _is_of(rule, camera, document):
            continue
        known = (rule["kind"], rule.get("name", rule["kind"]))
        drawn = next((s for s in left if (s.kind, s.name) == known), None)
        if drawn is None:
            del rules[i]
        else:
            left.remove(drawn)
            rule[key] = _values(drawn, size if rule.get("width") else None)
    for shape in left:
        table = tomlkit.table()
        table.update({"kind": shape.kind, "cameras": [camera], "name": shape.name})
        table[POINTS[shape.kind]] = _values(shape, None)
        rules.append(table)


def _values(shape: Shape, shares_of: Any) -> List[List[float]]:
    if shares_of:
        return [[round(v / side, 4) for v, side in zip(p, shares_of)] for p in shape.points]
    return [[round(v) for v in p] for p in shape.points]


def _write_ground(document: Any, camera: str, shape: Shape) -> None:
    pixels, metres = (np.array([complex(*p) for p in ps]) for ps in (shape.points, shape.metres))
    lens = _lens_of(document, camera)
    pixels = pixels if lens is None else lens.undistorted(pixels)
    if not np.isfinite(pixels).all():
        raise ConfigError("ground: a point lies where the lens shows nothing; move it")
    try:
        fitted = from_points.fit(pixels, metres)
    except EdgeError as error:
        raise ConfigError(f"ground: {error}") from error
    matrix = [
        [float(f"{v:.9g}") for v in row]
        for row in np.reshape(fitted.ground.matrix, (3, 3)).tolist()
    ]
    grounds = _tables(document, "grounds")
    table = next((g for g in grounds if g.get("camera") == camera), None)
    if table is None:
        table = tomlkit.table()
        table["camera"] = camera
        grounds.append(table)
        table = grounds[len(grounds) - 1]
    table["matrix"] = matrix
    if lens is not None:
        table["lens"] = True
    else:
        table.pop("lens", None)


def _lens_of(document: Any, name: str) -> Optional[Lens]:
    """The lens of a camera of the document; None = it has none."""
    tables = {key: value for key, value in document.unwrap().items() if key != "grounds"}
    cameras = config.complete(config.build(config.Config, tables)).cameras
    i = next(i for i, camera in enumerate(cameras) if camera.name == name)
    return lens_of_camera(cameras[i], f"cameras[{i}]")
