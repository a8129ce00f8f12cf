"""Folders of Labelme: one JSON file a picture, a shape a point, people by `group_id`.

By public issues: points belong to the picture as its EXIF turns it (labelme #1529); `imageData` may
be stale, so the file counts (#252, #389); `imagePath` is relative, with backslashes from Windows; a
`group_id` of null is one person (#904, #925); visibility is a convention: a label that ends in
-occluded or -hidden, a flag or a description of that name (#921, #2544); a rectangle of the same
group is the box, its corners in any order.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.errors import DataError, NoInputError
from edge.geometry import FARTHEST_PX
from tools.evaluation import point_sets
from tools.evaluation.point_sets import PointSet
from tools.evaluation.read.files import Pictures
from tools.evaluation.read.values import objects, whole
from tools.evaluation.truth import Gathering, Picture, Truth

HIDDEN = ("occluded", "hidden", "invisible")


def read(files: Sequence[Path], folder: Path, points: Optional[PointSet]) -> Truth:
    """The people of such files; files without `shapes` are passed over.

    Args:
        files: of the set.
        folder: of the pictures, where `imagePath` does not lead to them.
        points: the keypoints that are labelled; None: the smallest set that has all labels.

    Raises:
        DataError: something is labelled twice or is unknown; the message names file and line.
    """
    tables: List[Tuple[Path, Dict[str, Any], str]] = []
    for path in files:
        try:
            text = path.read_text("utf-8")
            table = json.loads(text)
        except OSError as error:
            raise NoInputError(f"{path}: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: is not JSON: {error}") from error
        if isinstance(table, dict) and isinstance(table.get("shapes"), list):
            tables.append((path, table, text))
    if not tables:
        raise NoInputError(f"{folder}: has no file of Labelme")
    points = points or _points([t for _, t, _ in tables], folder)
    pictures = [
        _picture(path, table, text, points, Pictures(path.parent)) for path, table, text in tables
    ]
    notes = ["people have no area: .53 of the box is taken"]
    return Truth(folder.name, "Labelme", points, pictures, notes)


def _points(tables: Sequence[Mapping[str, Any]], folder: Path) -> PointSet:
    labels = {
        _name(str(s.get("label", "")))[0]
        for t in tables
        for s in objects(t["shapes"])
        if s.get("shape_type", "polygon") == "point"
    }
    if not labels:
        raise DataError(f"{folder}: no shape is a point")
    known = sorted((point_sets.named(n) for n in skeletons.names()), key=len)
    for points in known:
        if labels <= set(points.names):
            return points
    return point_sets.of_names(sorted(labels), "labels of the folder")


def _picture(
    path: Path, table: Mapping[str, Any], text: str, points: PointSet, files: Pictures
) -> Picture:
    people: Dict[Any, Tuple[np.ndarray, List[float]]] = {}
    for number, shape in enumerate(table["shapes"]):
        _add(people, shape, points, f"{path}: line {_line(text, number)}")
    group = Gathering(len(points))
    for track, (marks, box) in people.items():
        group.add(marks, box or None, track=track if isinstance(track, int) else -1)
    name = str(table.get("imagePath") or path.with_suffix(".jpg").name)
    size = (whole(table.get("imageWidth")), whole(table.get("imageHeight")))
    found = files.find(name)
    return Picture(path.stem, name, found, size, group.people(), turn=True)


def _add(people: Dict[Any, Any], shape: Any, points: PointSet, where: str) -> None:
    try:
        at = np.array(shape["points"], np.float64).reshape(-1, 2)
        label, kind = str(shape["label"]), str(shape.get("shape_type") or "polygon")
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{where}: a shape needs label, points and shape_type") from None
    if not (np.abs(at) < FARTHEST_PX).all():
        raise DataError(f"{where}: a point is no place in a picture")
    group = shape.get("group_id")
    group = group if isinstance(group, (int, str)) else None
    marks, box = people.setdefault(group, (np.zeros((len(points), 3)), []))
    if kind == "rectangle" and len(at) >= 2:
        box[:] = [*at.min(0).tolist(), *at.max(0).tolist()]
    if kind != "point" or not len(at):
        return
    name, hidden = _name(label)
    which = points.index(name)
    if which < 0:
        raise DataError(f"{where}: {label!r} is no keypoint of {points.name}; see --keypoints")
    if marks[which, 2]:
        raise DataError(f"{where}: {label!r} is there twice in group {group}")
    marks[which] = *at[0], 1 if hidden or _says_hidden(shape) else 2


def _name(label: str) -> Tuple[str, bool]:
    plain = re.sub(rf"[-_ :(]*({'|'.join(HIDDEN)})\)?$", "", label.strip(), flags=re.IGNORECASE)
    return point_sets.plain_name(plain), plain != label.strip()


def _says_hidden(shape: Mapping[str, Any]) -> bool:
    flags = shape.get("flags")
    flags = flags if isinstance(flags, dict) else {}
    told = str(shape.get("description") or "").lower()
    return any(bool(flags.get(name)) or name in told for name in HIDDEN)


def _line(text: str, number: int) -> int:
    """The line of the n-th shape's label."""
    for count, match in enumerate(re.finditer(r'"label"\s*:', text)):
        if count == number:
            return text.count("\n", 0, match.start()) + 1
    return 1
