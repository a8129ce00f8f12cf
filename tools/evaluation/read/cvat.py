"""CVAT's own XML, "for images" and "for video", with skeletons.

By public issues: points are mapped by their labels, never by place (datumaro #114); `outside` means
that the point is not there, `occluded` that it is hidden; in a video only keyframes are stored, and
what lies between is interpolated; a track ends with a skeleton that is outside (cvat #5497, #7757);
frame numbers are CVAT's: with a frame step, the video's are start + n x step (#764).
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Dict, List, Optional, Set, Tuple
from xml.etree.ElementTree import Element

import numpy as np

from edge.errors import DataError, NoInputError
from tools.evaluation import point_sets
from tools.evaluation.point_sets import PointSet
from tools.evaluation.read.files import Pictures
from tools.evaluation.read.values import number, whole
from tools.evaluation.truth import Gathering, Picture, Truth


def read(path: Path, where: Path, points: Optional[PointSet]) -> Truth:
    """The people of such a file.

    Args:
        path: annotations.xml.
        where: folder of the pictures or the video.
        points: the keypoints that are labelled; None: those of its skeletons.

    Raises:
        NoInputError: it cannot be read. DataError: it is no such file, or has no skeleton.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: is not XML: {error}") from error
    if root.tag != "annotations":
        raise DataError(f"{path}: is no annotation file of CVAT")
    labels = {p.get("label", "") for s in root.iter("skeleton") for p in s.iter("points")}
    if not labels:
        raise DataError(
            f"{path}: has no skeleton; CVAT's plain points have no names: label skeletons"
        )
    points = points or _points(root, labels)
    reader = _Reader(path, points)
    notes = ["people have no area: .53 of the box is taken"]
    if root.find("track") is None:
        files = Pictures(where)
        pictures = [reader.image(node, files) for node in root.iter("image")]
        return Truth(path.stem, "CVAT for images", points, pictures, notes)
    name = next((e.text for e in root.iter("source") if e.text), path.stem)
    video = Pictures(where).find(name)
    frames = reader.video(root, Path(name).stem)
    return Truth(
        path.stem,
        "CVAT for video",
        points,
        frames,
        notes,
        {Path(name).stem: video} if video else {},
    )


def _points(root: Element, labels: Set[str]) -> PointSet:
    """The points in the order of the task's definition; else by name."""
    order: List[str] = []
    for label in root.iter("label"):
        name, parent = label.findtext("name", ""), label.findtext("parent", "")
        if parent and name in labels and name not in order:
            order.append(name)
    order += sorted(labels - set(order), key=lambda n: [int(n), ""] if n.isdecimal() else [0, n])
    count = point_sets.of_count(len(order))
    plain = {point_sets.plain_name(n) for n in order}
    numbered = plain == {str(i + 1) for i in range(len(order))}
    if count is not None and (numbered or plain == set(count.names)):
        return count
    return point_sets.of_names(order)


class _Reader:
    """Turns skeletons into people."""

    def __init__(self, path: Path, points: PointSet) -> None:
        self._path, self._points = path, points

    def image(self, node: Element, files: Pictures) -> Picture:
        """One picture of a file for images."""
        group = Gathering(len(self._points))
        boxes = {b.get("group_id"): _corners(b) for b in node.findall("box") if b.get("group_id")}
        for skeleton in node.findall("skeleton"):
            marks = self._marks(skeleton)
            if (marks[:, 2] > 0).any():
                group.add(marks, boxes.get(skeleton.get("group_id")))
        name = node.get("name", "")
        size = (whole(node.get("width")), whole(node.get("height")))
        key = node.get("id", name)
        return Picture(key, name, files.find(name), size, group.people())

    def video(self, root: Element, sequence: str) -> List[Picture]:
        """The frames of a file for video that anybody is on."""
        start, step = _frames(root)
        groups: Dict[int, Gathering] = {}
        for track in root.findall("track"):
            who = whole(track.get("id"), -1)
            for frame, marks in self._played(track).items():
                group = groups.setdefault(frame, Gathering(len(self._points)))
                group.add(marks, track=who)
        size_of = root.find(".//original_size")
        size = (0, 0)
        if size_of is not None:
            size = (whole(size_of.findtext("width")), whole(size_of.findtext("height")))
        return [
            Picture(
                f"{sequence}/{frame}",
                f"{sequence} frame {start + frame * step}",
                None,
                size,
                groups[frame].people(),
                sequence,
                start + frame * step,
            )
            for frame in sorted(groups)
        ]

    def _played(self, track: Element) -> Dict[int, np.ndarray]:
        """Points [K,3] of every frame of a track; between keyframes they move evenly."""
        keys = sorted(track.findall("skeleton"), key=lambda s: whole(s.get("frame")))
        out: Dict[int, np.ndarray] = {}
        for now, then in zip(keys, [*keys[1:], None]):
            if now.get("outside") == "1":
                continue
            first = whole(now.get("frame"))
            marks = self._marks(now)
            out[first] = marks
            if then is None:
                continue
            last, goal = whole(then.get("frame")), self._marks(then)
            for frame in range(first + 1, last):
                share = (frame - first) / (last - first)
                between = marks.copy()
                both = (marks[:, 2] > 0) & (goal[:, 2] > 0)
                between[both, :2] += share * (goal - marks)[both, :2]
                out[frame] = between
        return {frame: marks for frame, marks in out.items() if (marks[:, 2] > 0).any()}

    def _place(self, name: str) -> int:
        """The place of a point; labels that are numbers count from 1, as CVAT's templates do."""
        which = self._points.index(name)
        if which < 0 and name.isdecimal() and 0 < int(name) <= len(self._points):
            return int(name) - 1
        return which

    def _marks(self, skeleton: Element) -> np.ndarray:
        marks = np.zeros((len(self._points), 3))
        for point in skeleton.findall("points"):
            name = point_sets.plain_name(point.get("label", ""))
            which = self._place(name)
            if which < 0:
                raise DataError(
                    f"{self._path}: {point.get('label')!r} is no keypoint of {self._points.name}; "
                    "see --keypoints"
                )
            if point.get("outside", "0") == "1":
                continue
            try:
                x, y = (float(v) for v in point.get("points", "").split(";")[0].split(","))
                if not (math.isfinite(x) and math.isfinite(y)):
                    raise ValueError
            except ValueError:
                raise DataError(f"{self._path}: a point of {name} has no x,y") from None
            marks[which] = x, y, 1 if point.get("occluded", "0") == "1" else 2
        return marks


def _corners(box: Element) -> List[float]:
    return [number(box.get(name)) for name in ("xtl", "ytl", "xbr", "ybr")]


def _frames(root: Element) -> Tuple[int, int]:
    """First frame of the video and the step from one labelled frame to the next."""
    start = whole(root.findtext(".//task/start_frame"))
    step = re.search(r"step\s*=\s*(\d+)", root.findtext(".//task/frame_filter", "") or "")
    return start, int(step.group(1)) if step else 1
