"""Reads a calibration of several cameras, whatever program wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

from edge.errors import DataError, NoInputError
from edge.lens import Lens
from edge.rig import opencv_files, pose2sim, qualisys
from edge.rig.made import OneCamera, make_lenses
from edge.scene.rig import Rig

OPENCV = (".yml", ".yaml", ".json", ".xml")
_MOST_BYTES = 4 << 20


def read_rig(path: Path, unit_m: float = 0.0) -> Rig:
    """Read a calibration.

    Args:
        path: Pose2Sim's TOML (as `edge-tools calibrate-cameras` writes it), Qualisys' .qca.txt or
            .xml, a file of OpenCV (YAML, JSON or XML), or a folder of such, one a camera.
        unit_m: metres in one unit of length of the file; 0 = the format's own: Qualisys .001,
            the others 1.

    Raises:
        NoInputError: there is no such file. DataError: it is no calibration that can be used.
    """
    if path.is_dir():
        return opencv_files.parse(_texts(path), path, unit_m or 1.0)
    text = read_text(path)
    if path.suffix == ".toml":
        return pose2sim.parse(text, path, unit_m or 1.0)
    if qualisys.is_one(text):
        return qualisys.parse(text, path, unit_m or 0.001)
    if path.suffix in OPENCV:
        return opencv_files.parse({path.stem: text}, path, unit_m or 1.0)
    raise _unknown(path)


def read_lenses(path: Path) -> Dict[str, Lens]:
    """The lenses of a calibration, by the names of its cameras; places are not needed.

    Args:
        path: as for `read_rig`, of one camera or more.

    Raises:
        NoInputError: there is no such file. DataError: it has no lens that can be used.
    """
    return make_lenses(_cameras(path), path)


def _cameras(path: Path) -> List[OneCamera]:
    if path.is_dir():
        return opencv_files.cameras(_texts(path), path)
    text = read_text(path)
    if path.suffix == ".toml":
        found = pose2sim.cameras(text, path)
    elif qualisys.is_one(text):
        found = qualisys.cameras(text, path)
    elif path.suffix in OPENCV:
        found = opencv_files.cameras({path.stem: text}, path)
    else:
        raise _unknown(path)
    if not found:
        raise DataError(f"{path}: has no camera with a matrix and a lens")
    return found


def _unknown(path: Path) -> DataError:
    return DataError(
        f"{path}: is no calibration of cameras; expected Pose2Sim's .toml, Qualisys' .qca.txt or "
        f".xml, or a file of OpenCV ({' '.join(OPENCV)})"
    )


def _texts(folder: Path) -> Dict[str, str]:
    paths = sorted(p for p in folder.iterdir() if p.suffix in OPENCV and p.is_file())
    if not paths:
        raise NoInputError(f"{folder}: has no file of OpenCV ({' '.join(OPENCV)}); name a file")
    return {p.stem: read_text(p) for p in paths}


def read_text(path: Path) -> str:
    """The text of a file that should be small.

    Raises:
        NoInputError: it cannot be read. DataError: it is too large, or not text.
    """
    try:
        with path.open("rb") as file:
            body = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    if len(body) > _MOST_BYTES:
        raise DataError(f"{path}: has more than {_MOST_BYTES >> 20} MB; that is no calibration")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text: {error}") from error
