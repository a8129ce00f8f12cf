"""Calibrations in files of OpenCV (FileStorage): which matrix belongs to which camera.

Known are: one file a camera (`camera_matrix`, `distortion_coefficients`, and its place); one or two
files with a suffix for each camera (`K_01 dist_01 Rot_01 T_01`, as EasyMocap writes them); a map
for each camera; and a stereo pair (`M1 D1 M2 D2 R T`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

import numpy as np

from edge.errors import DataError
from edge.rig.file_storage import Values, values_of
from edge.rig.made import OneCamera, make_rig
from edge.scene.rig import Rig

_MATRIX = ("K", "camera_matrix", "cameraMatrix", "M", "intrinsic_matrix", "matrix")
_LENS = ("dist", "D", "distortion_coefficients", "distCoeffs", "dist_coeffs", "distortions")
_TURN = ("Rot", "R", "rotation", "rotation_matrix", "rvec")
_SHIFT = ("T", "t", "translation", "translation_vector", "tvec")
_FISHEYE = ("fisheye",)
_WIDTH, _HEIGHT = ("image_width", "width"), ("image_height", "height")
_MATRIX_KEY = re.compile(r"(?P<name>K|M|camera_matrix|cameraMatrix)_?(?P<suffix>.+)")


def parse(texts: Mapping[str, str], path: Path, unit_m: float) -> Rig:
    """The cameras of one or more files.

    Args:
        texts: by the name of the file without its suffix.
        path: the file, or the folder of the files.
        unit_m: metres in a unit of the files.

    Raises:
        DataError: no camera can be made of them.
    """
    found = cameras(texts, path)
    for camera in found:
        _complete(camera, path)
    return make_rig(found, path, unit_m)


def cameras(texts: Mapping[str, str], path: Path) -> List[OneCamera]:
    """The cameras of one or more files, as `parse`; they may have no places.

    Raises:
        DataError: there is no camera that is known.
    """
    files = {stem: values_of(text, path) for stem, text in texts.items()}
    pooled: Values = {key: value for values in files.values() for key, value in values.items()}
    found = [c for stem, values in files.items() for c in _of_one_file(stem, values)]
    found = found or _by_map(pooled) or _stereo(pooled) or _by_suffix(pooled)
    if not found:
        raise DataError(
            f"{path}: has no camera that is known: expected one file a camera with camera_matrix, "
            "distortion_coefficients, R and T, or K_NAME dist_NAME R_NAME T_NAME"
        )
    return found


def _complete(camera: OneCamera, path: Path) -> None:
    """A camera without a place cannot be used."""
    for what, value, keys in (
        ("rotation", camera.turn, _TURN),
        ("translation", camera.shift, _SHIFT),
    ):
        if value is None:
            raise DataError(
                f"{path}: camera {camera.name!r} has no {what}: add one of {' '.join(keys)}"
            )


def _of_one_file(stem: str, values: Values) -> List[OneCamera]:
    camera = _camera(stem, values, "", "")
    return [camera] if camera else []


def _by_map(values: Values) -> List[OneCamera]:
    """`cam01: {K: ..., dist: ...}`: keys are cam01.K and cam01.dist."""
    prefixes = list(dict.fromkeys(key.rpartition(".")[0] for key in values if "." in key))
    found = [_camera(p.rpartition(".")[2], values, f"{p}.", "") for p in prefixes]
    return [camera for camera in found if camera]


def _by_suffix(values: Values) -> List[OneCamera]:
    found = []
    for key in values:
        match = _MATRIX_KEY.fullmatch(key)
        if match:
            suffix = key[len(match["name"]) :]
            found.append(_camera(match["suffix"], values, "", suffix))
    return [camera for camera in found if camera]


def _stereo(values: Values) -> List[OneCamera]:
    """Two cameras, with the place of the second in the axes of the first."""
    turn, shift = _first(values, _TURN, "", ""), _first(values, _SHIFT, "", "")
    first, second = [_camera(n, values, "", n) for n in "12"]
    if turn is None or shift is None or first is None or second is None:
        return []
    own = {"turn": np.eye(3), "shift": np.zeros(3)}
    return [
        OneCamera("1", first.matrix, first.lens, own["turn"], own["shift"], first.size),
        OneCamera("2", second.matrix, second.lens, turn, shift, second.size),
    ]


def _camera(name: str, values: Values, prefix: str, suffix: str) -> Optional[OneCamera]:
    matrix = _first(values, _MATRIX, prefix, suffix)
    if matrix is None:
        return None
    lens = _first(values, _LENS, prefix, suffix)
    turn, shift = [_first(values, keys, prefix, suffix) for keys in (_TURN, _SHIFT)]
    return OneCamera(
        name,
        matrix,
        np.zeros(4) if lens is None else lens,
        *_placed(turn, shift, values, prefix, suffix),
        _size(values, prefix, suffix),
        bool(np.any(_first(values, _FISHEYE, prefix, suffix))),
    )


def _placed(turn: Any, shift: Any, values: Values, prefix: str, suffix: str) -> Tuple[Any, Any]:
    """Rotation and translation; those of `extrinsic_parameters` (rvec and tvec of the first view).

    OpenCV's sample for one camera writes them as a table of one row a view.
    """
    rows = values.get(f"{prefix}extrinsic_parameters{suffix}")
    if turn is None and shift is None and rows is not None and np.size(rows) >= 6:
        first = np.reshape(rows, -1)[:6]
        return first[:3], first[3:]
    return turn, shift


def _size(values: Values, prefix: str, suffix: str) -> Any:
    wide, high = [_first(values, keys, prefix, suffix) for keys in (_WIDTH, _HEIGHT)]
    if wide is None or high is None:
        both = _first(values, ("size", "image_size", "imageSize"), prefix, suffix)
        return (0, 0) if both is None else both
    return (wide, high)


def _first(values: Values, keys: Tuple[str, ...], prefix: str, suffix: str) -> Any:
    for key in keys:
        for full in (f"{prefix}{key}{suffix}", f"{prefix}{key}_{suffix}"):
            if full in values:
                return values[full]
    return None
