"""`edge-tools pick`: the frames that are worth labelling, where the poses contradict themselves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, DataError
from edge.models import halves
from edge.structures import Frame, Poses
from tools import places
from tools.evaluation import rig_run
from tools.evaluation.figures import rig
from tools.progress import Progress
from tools.training.judging.looks import looked, opened_detector, opened_pose
from tools.training.labels import doubts, found

HELP = "frames worth labelling: where views, neighbouring frames or mirror images disagree"

EXAMPLES = """\
  edge-tools pick hall.mp4 --count 100 --out picked.json
  edge-tools pick recordings/ --out picked.json              frames and views, no pictures needed
  edge-tools pick cam1.mp4 cam2.mp4 --calibration Calib.qca.txt --out picked.json
  edge-tools export-labels hall.mp4 --picked picked.json --out labels
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "source", nargs="+", type=Path, help="videos, one a camera, or a recording of the daemon"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="F.json", help="file to write")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="frames (%(default)s)")
    parser.add_argument(
        "--every", type=int, default=15, metavar="N", help="look at every N-th frame (%(default)s)"
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="F", help="of the cameras: Qualisys, in their order"
    )
    parser.add_argument("--pose", default="blazepose", metavar="MODEL", help="pose model")
    parser.add_argument("--detect", default="yolov4-tiny", metavar="MODEL", help="detector")
    parser.add_argument(
        "--models", type=Path, default=places.models(), metavar="DIR", help="models folder"
    )
    parser.add_argument("--json", action="store_true", help="print the choice as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Look for doubtful frames and write the choice."""
    if arguments.count < 1 or arguments.every < 2:
        raise ConfigError("--count: must be 1 or more; --every: 2 or more")
    recorded = len(arguments.source) == 1 and found.is_recording(arguments.source[0])
    rows, moments = _recorded(arguments) if recorded else _videos(arguments)
    if not rows:
        raise DataError(f"{arguments.source[0]}: nobody is in any frame")
    if arguments.calibration:
        _add_views(rows, moments, arguments)
    picked = doubts.chosen(rows, arguments.count, max(arguments.every // 2, 1))
    frames = [
        {
            "camera": rows[p]["camera"],
            "frame": rows[p]["frame"],
            "worth": worth,
            "reason": reason,
            "doubts": rows[p]["doubts"],
        }
        for p, worth, reason in picked
    ]
    result = {"looked_at": len(rows), "frames": frames}
    write_whole(arguments.out, json.dumps(result, indent=1).encode(), READABLE)
    print(json.dumps(result) if arguments.json else _text(result, arguments))
    return 0


Moments = Dict[int, Dict[str, Poses]]  # frame -> camera -> poses
Rows = List[Dict[str, Any]]


def _recorded(arguments: argparse.Namespace) -> Tuple[Rows, Moments]:
    """Doubts between frames of a recording; its pictures are not there."""
    cameras: Dict[str, Dict[int, Poses]] = {}
    for frame in found.of_recording(arguments.source[0]):
        cameras.setdefault(frame.camera, {})[frame.index] = frame.poses
    rows, moments = [], {}  # type: Rows, Moments
    for camera, frames in cameras.items():
        for index in sorted(frames):
            poses = frames[index]
            if index % arguments.every or not len(poses):
                continue
            moments.setdefault(index, {})[camera] = poses
            near = [frames.get(index + step) for step in (-1, 1)]
            between: Optional[np.ndarray] = None
            if near[0] is not None and near[1] is not None:
                between = doubts.jumped(near[0], poses, near[1])
            rows.append(_row(camera, index, frames=between))
    return rows, moments


def _videos(arguments: argparse.Namespace) -> Tuple[Rows, Moments]:
    """Doubts of videos between frames and mirror images."""
    videos = found.videos_of(arguments.source)
    rows, moments = [], {}  # type: Rows, Moments
    models = arguments.models
    with opened_pose(models / arguments.pose) as pose, opened_detector(
        models / arguments.detect
    ) as detect:
        look, skeleton = halves(pose)[0], pose.skeleton
        count = len(skeletons.get(skeleton).names)
        for camera, path in videos.items():
            with Progress(f"looking at {camera}", None, "frames", arguments.json) as bar:
                for triple in _triples(path, arguments.every):
                    people = []
                    for index, image in triple:
                        boxes = detect([Frame(image, index, 0, camera, still=True)])[0]
                        sure = np.asarray(boxes.boxes[boxes.scores >= 0.4], np.float32)
                        people.append(looked(look, image, sure, count, skeleton, index))
                    index, image = triple[1]
                    bar.update()
                    if len(people[1]):
                        moments.setdefault(index, {})[camera] = people[1]
                        flips = doubts.flipped(look, image, people[1], index)
                        jumps = doubts.jumped(*people)
                        rows.append(_row(camera, index, frames=jumps, flips=flips))
    return rows, moments


def _triples(path: Path, every: int) -> Any:
    """Each `every`-th frame between its neighbours."""
    near: List[Tuple[int, np.ndarray]] = []
    for index, _, image in found.frames_of(path):
        near = [*near[-2:], (index, image)]
        if len(near) == 3 and (index - 1) % every == 0:
            yield near


def _row(camera: str, index: int, **kinds: Optional[np.ndarray]) -> Dict[str, Any]:
    return {
        "camera": camera,
        "frame": index,
        "doubts": {name: _largest(values) for name, values in kinds.items()},
    }


def _largest(values: Optional[np.ndarray]) -> Optional[float]:
    some = np.zeros(0) if values is None else values[np.isfinite(values)]
    return round(float(some.max()), 4) if len(some) else None


def _add_views(rows: Rows, moments: Moments, arguments: argparse.Namespace) -> None:
    """Add how far the cameras disagree."""
    path = rig_run.calibration_of(arguments.calibration)
    if path is None:
        raise ConfigError(f"{arguments.calibration}: is no calibration (*.qca.txt)")
    cameras = rig.read_rig(path)
    names = sorted({row["camera"] for row in rows})
    if len(names) != len(cameras):
        raise ConfigError(f"{path}: is of {len(cameras)} cameras, {len(names)} videos are given")
    by_place = {(row["camera"], row["frame"]): row for row in rows}
    for index, there in moments.items():
        nobody = Poses.empty(*_shape(next(iter(there.values()))))
        moment: Sequence[Poses] = [there.get(name, nobody) for name in names]
        for name, values in zip(names, doubts.views(cameras, moment)):
            if (name, index) in by_place:
                by_place[name, index]["doubts"]["views"] = _largest(values)


def _shape(poses: Poses) -> Tuple[int, str]:
    return poses.keypoints.shape[1], poses.skeleton


def _text(result: Dict[str, Any], arguments: argparse.Namespace) -> str:
    reasons: Dict[str, int] = {}
    for row in result["frames"]:
        reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
    listed = ", ".join(f"{count} by {name}" for name, count in reasons.items())
    return (
        f"{arguments.out}: {len(result['frames'])} of {result['looked_at']} frames ({listed})\n"
        f"next: edge-tools export-labels VIDEO --picked {arguments.out} --out DIR"
    )
