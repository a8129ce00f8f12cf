"""Labelled data in the formats of other programs: one file a format, `open_truth` chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Optional

from edge.errors import DataError, NoInputError
from tools.evaluation.point_sets import PointSet
from tools.evaluation.read import coco, cvat, edge_truth, labelme
from tools.evaluation.truth import Truth

KINDS = (
    "COCO, COCO-WholeBody, Halpe, CrowdPose or OCHuman JSON; a folder of Labelme files; "
    "annotations.xml of CVAT; clips of synth"
)


def open_truth(
    path: Path, pictures: Optional[Path] = None, points: Optional[PointSet] = None
) -> Truth:
    """Read labelled data; its content decides the format.

    Args:
        path: a file, or a folder with one.
        pictures: folder of the pictures; None: beside the file.
        points: the keypoints that are labelled, if the data do not name them or wrongly.

    Raises:
        NoInputError: nothing is there. DataError: it is none of KINDS, or damaged.
    """
    clips = _clips(path)
    if clips:
        return edge_truth.read(clips, path.name, points)
    found = _file_of(path)
    if found is None:
        return labelme.read(sorted(path.rglob("*.json")), path, points)
    where = pictures or found.parent
    if found.suffix.lower() == ".xml":
        return cvat.read(found, where, points)
    table = read_json(found)
    if isinstance(table, dict) and "shapes" in table:
        return labelme.read([found], found.parent, points)
    if isinstance(table, dict) and "annotations" in table and "images" in table:
        return coco.read(table, found, where, points)
    if isinstance(table, list):
        raise DataError(f"{found}: is a list: a file of results, not of labels; give labels first")
    raise DataError(f"{found}: is no labelled data that is known: {KINDS}")


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        NoInputError: it cannot be read. DataError: it is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {error}") from error


def _clips(path: Path) -> List[Path]:
    """The truth of clips: a file, or those of a folder."""
    if path.is_dir():
        return sorted(path.glob(f"*{edge_truth.SUFFIX}"))
    return [path] if path.name.endswith(edge_truth.SUFFIX) else []


def _file_of(path: Path) -> Optional[Path]:
    """The one file to read; None: a folder of Labelme files."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise NoInputError(f"{path}: no such file or folder; expected {KINDS}")
    for name in ("annotations.xml", "annotations/*.xml"):
        found = sorted(path.glob(name))
        if found:
            return found[0]
    files = sorted([*path.glob("*.json"), *path.glob("annotations/*.json")])
    sets = [f for f in files if _is_set(f)]
    if len(sets) > 1:
        listed = ", ".join(f.name for f in sets)
        raise DataError(f"{path}: has several label files, name one of them: {listed}")
    if sets:
        return sets[0]
    if any(_begins_labelme(f) for f in path.rglob("*.json")):
        return None
    raise NoInputError(f"{path}: has no labelled data; expected {KINDS}")


def _is_set(path: Path) -> bool:
    """Whether a file has COCO's two lists; large ones are not parsed for that."""
    keys: List[str] = []
    table = read_json(path)
    if isinstance(table, dict):
        keys = [k for k in ("images", "annotations") if isinstance(table.get(k), list)]
    return len(keys) == 2


def _begins_labelme(path: Path) -> bool:
    try:
        table = read_json(path)
    except DataError:
        return False
    return isinstance(table, dict) and isinstance(table.get("shapes"), list)
