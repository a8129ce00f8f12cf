"""The clips of `edge-tools synth`: NAME.truth.jsonl beside NAME.mp4, schema `edge-truth/1`.

The first line is about the clip; then a line a frame: people with id, box, area and keypoints
[x, y, v]. v: 2 seen, 1 hidden, 0 outside the picture, which counts as not labelled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from edge.errors import DataError, NoInputError
from tools.evaluation import point_sets
from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import Gathering, Picture, Truth

SUFFIX = ".truth.jsonl"
SCHEMA = "edge-truth/1"


def read(files: Sequence[Path], name: str, points: Optional[PointSet]) -> Truth:
    """The people of clips, each a video of its own.

    Raises:
        NoInputError: a file cannot be read. DataError: it is no such file.
    """
    pictures: List[Picture] = []
    videos: Dict[str, Path] = {}
    rates_hz: Dict[str, float] = {}
    for path in files:
        lines = _lines(path)
        head = lines[0]
        if head.get("schema") != SCHEMA:
            raise DataError(f"{path}: its first line has no schema {SCHEMA!r}")
        points = points or point_sets.named(str(head.get("skeleton", "")))
        clip = path.name[: -len(SUFFIX)]
        rates_hz[clip] = float(head.get("fps") or 30.0)
        video = path.with_name(str(head.get("video", f"{clip}.mp4")))
        if video.is_file():
            videos[clip] = video
        camera = head.get("camera") or {}
        size = (int(camera.get("width", 0)), int(camera.get("height", 0)))
        for number, line in enumerate(lines[1:]):
            people = _people(line, points, f"{path}: line {number + 2}")
            index = int(line.get("frame", number))
            label = f"{clip} frame {index}"
            pictures.append(Picture(f"{clip}/{index}", label, None, size, people, clip, index))
    if points is None or not pictures:
        raise DataError(f"{name}: its clips have no frames")
    return Truth(name, "clips of synth", points, pictures, [], videos, rates_hz)


def _lines(path: Path) -> List[Dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is no truth of a clip: {error}") from error
    if not lines or not all(isinstance(line, dict) for line in lines):
        raise DataError(f"{path}: is no truth of a clip: a line is no object")
    return lines


def _people(line: Dict[str, Any], points: PointSet, where: str) -> Any:
    group = Gathering(len(points))
    try:
        for person in line["people"]:
            marks = np.array(person["keypoints"], np.float64).reshape(len(points), 3)
            area = float(person.get("area_px", 0.0))
            group.add(marks, person["box"], area, track=int(person["id"]))
        return group.people()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: a person needs id, box and {len(points)} keypoints") from error
