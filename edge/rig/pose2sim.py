"""Pose2Sim's calibration (TOML): a table for each camera, lengths in m. Read and written.

Anipose writes the same tables.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping

import numpy as np

from edge.errors import ConfigError, DataError
from edge.rig.made import OneCamera, make_rig
from edge.scene.rig import Rig
from edge.settings.toml_text import parse_toml

_OF_LENS, _OF_PLACE = ("matrix", "distortions"), ("rotation", "translation")
_NEEDED = (*_OF_LENS, *_OF_PLACE)


def parse(text: str, path: Path, unit_m: float) -> Rig:
    """The cameras of a file, called as their `name`, else as their table.

    Raises:
        DataError: it is no such file.
    """
    found = cameras(text, path)
    for camera in found:
        for need, value in zip(_OF_PLACE, (camera.turn, camera.shift)):
            if value is None:
                raise DataError(f"{path}: [{camera.name}] has no {need}")
    return make_rig(found, path, unit_m)


def cameras(text: str, path: Path) -> List[OneCamera]:
    """The cameras of a file, which may have no places.

    Raises:
        DataError: it is no such file.
    """
    try:
        table = parse_toml(path, text)
    except ConfigError as error:
        raise DataError(str(error)) from error
    return [
        _camera(str(key), value, path)
        for key, value in table.items()
        if isinstance(value, Mapping) and any(need in value for need in _NEEDED)
    ]


def _camera(key: str, table: Mapping[str, Any], path: Path) -> OneCamera:
    for need in _OF_LENS:
        if need not in table:
            raise DataError(f"{path}: [{key}] has no {need}")
    return OneCamera(
        str(table.get("name", key)),
        table["matrix"],
        table["distortions"],
        table.get("rotation"),
        table.get("translation"),
        table.get("size", (0, 0)),
        table.get("fisheye") is True,
    )


def text_of(rig: Rig, vectors: np.ndarray, error_px: float) -> str:
    """A rig as such a file.

    Args:
        rig: the cameras.
        vectors: [C,3] rotation vectors of its turns.
        error_px: reprojection error, for the file's metadata.
    """
    lines: List[str] = ["# Made by `edge-tools calibrate-cameras`. Lengths in m; OpenCV's axes."]
    for i, name in enumerate(rig.names):
        terms = rig.lenses[i]
        used = terms[:4] if rig.fisheye[i] or not terms[4:].any() else terms
        if len(used) > 5 and not used[5:].any():
            used = used[:5]
        lines += [
            "",
            f"[{_quoted(name)}]",
            f'name = "{name}"',
            f"size = {_list(rig.sizes[i])}",
            f"matrix = [{', '.join(_list(row) for row in rig.matrices[i])}]",
            f"distortions = {_list(used)}",
            f"rotation = {_list(vectors[i])}",
            f"translation = {_list(rig.shifts[i])}",
            f"fisheye = {'true' if rig.fisheye[i] else 'false'}",
        ]
    lines += ["", "[metadata]", "adjusted = false", f"error = {error_px:.6f}", ""]
    return "\n".join(lines)


def _list(row: np.ndarray) -> str:
    return "[" + ", ".join(repr(float(v)) for v in row) + "]"


def _quoted(name: str) -> str:
    plain = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    return name if plain else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
