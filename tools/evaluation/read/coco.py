"""COCO keypoint JSON and its relatives: COCO-WholeBody, Halpe, CrowdPose, OCHuman, CVAT's export.

What such files do that the format does not say, by public issues: ids are strings (any id is
compared as text); several categories, one with keypoints (cvat #7501); `area` 0 or missing (mmpose
#1524); boxes of no height (cvat #7193, #8098); face and hand points with a third value from 0 to 1
(COCO-WholeBody #32); `*_valid` false means "ignore the zeros" (#25); four lists, of which
`keypoints` are the first 17 (AlphaPose #799); file names with folders or backslashes (cvat #1381);
people without a labelled keypoint, who are neither to be found nor false (cocoapi #655).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge.errors import DataError
from edge.geometry import FARTHEST_PX
from tools.evaluation import point_sets
from tools.evaluation.point_sets import PointSet
from tools.evaluation.read.files import Pictures
from tools.evaluation.read.values import number, objects, whole
from tools.evaluation.truth import Gathering, Picture, Truth

# Field, and what says that it is labelled; in the order of wholebody133.
WHOLE = (
    ("keypoints", ""),
    ("foot_kpts", "foot_valid"),
    ("face_kpts", "face_valid"),
    ("lefthand_kpts", "lefthand_valid"),
    ("righthand_kpts", "righthand_valid"),
)
_COUNTS = (17, 6, 68, 21, 21)
_SEQUENCE = ("video_id", "vid_id", "video", "sequence", "clip")
_INDEX = ("frame_index", "frame_id", "frame", "index")


def read(table: Mapping[str, Any], path: Path, where: Path, points: Optional[PointSet]) -> Truth:
    """The people of such a file.

    Args:
        table: its content.
        path: of it, for messages.
        where: folder of the pictures.
        points: the keypoints that it labels; None: as it says itself.

    Raises:
        DataError: something in it is not as the format says; the message names the annotation.
    """
    annotations, notes = _with_keypoints(table, path)
    parted = any("foot_kpts" in a or "face_kpts" in a for a in annotations)
    points = points or _points(table, annotations, parted, path)
    reader = _Reader(path, points, parted and len(points) == sum(_COUNTS))
    groups: Dict[str, Gathering] = {}
    for row in annotations:
        group = groups.setdefault(str(row.get("image_id")), Gathering(len(points)))
        reader.add(row, group)
    known = {str(i.get("id")) for i in table["images"]}
    lost = [key for key in groups if key not in known]
    if lost:
        raise DataError(f"{path}: annotations of image_id {lost[0]}, which no image has as its id")
    found = _pictures(table, groups, points, where, path)
    notes += reader.notes(list(groups.values()))
    kind = "COCO-WholeBody" if parted else "COCO"
    rates = {_video_key(v): number(v.get("fps")) for v in objects(table.get("videos"))}
    rates = {name: rate_hz for name, rate_hz in rates.items() if rate_hz > 0}
    videos = _video_files(table, where)
    return Truth(path.stem, kind, points, found, notes, videos, rates)


def _with_keypoints(table: Mapping[str, Any], path: Path) -> Tuple[List[Any], List[str]]:
    rows = table["annotations"]
    both = (rows, table["images"])
    if any(not isinstance(b, list) or len(objects(b)) != len(b) for b in both):
        raise DataError(f"{path}: images and annotations must be lists of objects")
    named = {str(c.get("id")) for c in objects(table.get("categories")) if c.get("keypoints")}
    chosen = [a for a in rows if a.get("keypoints") is not None]
    if named:
        chosen = [a for a in chosen if str(a.get("category_id", next(iter(named)))) in named]
    if not chosen:
        raise DataError(
            f"{path}: no annotation has keypoints; CVAT exports them of skeletons only, not of "
            "plain points"
        )
    left = len(rows) - len(chosen)
    return chosen, [f"{left} annotations without keypoints are left out"] if left else []


def _points(
    table: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], parted: bool, path: Path
) -> PointSet:
    if parted:
        return point_sets.named(point_sets.WHOLEBODY)
    counts = Counter(len(a["keypoints"]) // 3 for a in rows if isinstance(a["keypoints"], list))
    count = counts.most_common(1)[0][0] if counts else 0
    used = {str(a.get("category_id")) for a in rows}
    for category in objects(table.get("categories")):
        names = category.get("keypoints")
        names = names if isinstance(names, list) else []
        if len(names) == count and (str(category.get("id")) in used or len(used) != 1):
            return point_sets.of_names([str(n) for n in names])
    found = point_sets.of_count(count)
    if found is None:
        listed = ", ".join(point_sets.names())
        raise DataError(
            f"{path}: {count} keypoints without names; give --keypoints, one of: {listed}"
        )
    return found


class _Reader:
    """Turns annotations into people."""

    def __init__(self, path: Path, points: PointSet, parted: bool) -> None:
        self._path, self._points, self._parted = path, points, parted
        self._contradictions = 0

    def add(self, row: Mapping[str, Any], group: Gathering) -> None:
        points = self._keypoints(row)
        declared = row.get("num_keypoints")
        if declared is not None and not self._parted:
            self._contradictions += (declared == 0) != (not (points[:, 2] > 0).any())
        box = self._numbers(row, "bbox", 4) if row.get("bbox") else None
        corners = None if box is None else [box[0], box[1], box[0] + box[2], box[1] + box[3]]
        group.add(
            points,
            corners,
            number(row.get("area")),
            bool(row.get("iscrowd", 0)),
            self._track(row),
        )

    def _keypoints(self, row: Mapping[str, Any]) -> np.ndarray:
        if not self._parted:
            return self._numbers(row, "keypoints", 3 * len(self._points)).reshape(-1, 3)
        parts = []
        for (name, valid), count in zip(WHOLE, _COUNTS):
            there = name in row and (not valid or bool(row.get(valid, True)))
            part = self._numbers(row, name, 3 * count) if there else np.zeros(3 * count)
            parts.append(part)
        return np.concatenate(parts).reshape(-1, 3)

    def _numbers(self, row: Mapping[str, Any], name: str, count: int) -> np.ndarray:
        who = f"{self._path}: annotation {row.get('id')}"
        try:
            values = np.array(row[name], np.float64).ravel()
        except (TypeError, ValueError):
            raise DataError(f"{who}: {name} is not a list of numbers") from None
        if len(values) != count:
            raise DataError(f"{who}: {name} has {len(values)} numbers, {count} expected")
        if not (np.abs(values) < FARTHEST_PX).all():
            raise DataError(f"{who}: a number of {name} is no place in a picture")
        return values

    @staticmethod
    def _track(row: Mapping[str, Any]) -> int:
        attributes = row.get("attributes")
        inner = attributes.get("track_id", -1) if isinstance(attributes, dict) else -1
        return whole(row.get("track_id", inner), -1)

    def notes(self, groups: Sequence[Gathering]) -> List[str]:
        areas = sum(g.guessed_areas for g in groups)
        boxes = sum(g.guessed_boxes for g in groups)
        texts = (
            (areas, "people have no area: .53 of the box is taken"),
            (boxes, "people have no box, or one without height: the points' hull is taken"),
            (self._contradictions, "people's num_keypoints contradicts their labels, which count"),
        )
        return [f"{count} {text}" for count, text in texts if count]


def _pictures(
    table: Mapping[str, Any],
    groups: Mapping[str, Gathering],
    points: PointSet,
    where: Path,
    path: Path,
) -> List[Picture]:
    files, nobody = Pictures(where), Gathering(len(points))
    found: List[Picture] = []
    for place, image in enumerate(table["images"]):
        key, name = str(image.get("id")), str(image.get("file_name", ""))
        size = (whole(image.get("width")), whole(image.get("height")))
        people = groups.get(key, nobody).people()
        sequence = next((str(image[n]) for n in _SEQUENCE if image.get(n) is not None), "")
        if not sequence and _has_tracks(people) and len(table["images"]) > 1:
            sequence = name.replace("\\", "/").rpartition("/")[0] or path.stem
        index = next((whole(image[n]) for n in _INDEX if image.get(n) is not None), place)
        found.append(Picture(key, name, files.find(name), size, people, sequence, index))
    return found


def _has_tracks(people: Any) -> bool:
    return bool((people.ids >= 0).any())


def _video_key(video: Mapping[str, Any]) -> str:
    return str(video.get("id", video.get("name", "")))


def _video_files(table: Mapping[str, Any], where: Path) -> Dict[str, Path]:
    files = Pictures(where)
    found: Dict[str, Path] = {}
    for video in objects(table.get("videos")):
        path = files.find(str(video.get("file_name", "")))
        if path is not None:
            found[_video_key(video)] = path
    return found
