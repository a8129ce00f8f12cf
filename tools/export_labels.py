"""`edge-tools export-labels`: our own poses as labels, of which only what is wrong is corrected."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

import cv2

from edge import skeletons
from edge.errors import ConfigError, DataError
from tools import places
from tools.progress import Progress
from tools.training.labels import coco, cvat, found
from tools.training.labels.found import FramePoses

HELP = "poses of a recording or video as COCO and CVAT labels: correct only what is wrong"
QUALITY = 95

EXAMPLES = """\
  edge-tools export-labels hall.mp4 --every 30 --out labels       looks at every 30th frame
  edge-tools export-labels recordings/ --videos hall.mp4 --out labels
  edge-tools export-labels hall.mp4 --picked picked.json --out labels    frames of `pick`
writes OUT/images/CAMERA/FRAME.jpg, OUT/labels.json (COCO), OUT/annotations.xml (CVAT for images)
and OUT/cvat_task.json. Correct them in CVAT, export "COCO Keypoints" or "CVAT for images", and give
that file to `edge-tools train`. Points are read back by their names.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("source", type=Path, help="a video, or a recording of the daemon")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--videos",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="of a recording: the video of each camera, named as the camera",
    )
    parser.add_argument(
        "--every", type=int, default=30, metavar="N", help="every N-th frame (%(default)s)"
    )
    parser.add_argument("--picked", type=Path, metavar="F.json", help="frames that `pick` chose")
    parser.add_argument(
        "--points", default="body", choices=("body", "feet", "all"), help="what is to be corrected"
    )
    parser.add_argument(
        "--pose", default="blazepose", metavar="MODEL", help="pose model of a video"
    )
    parser.add_argument("--detect", default="yolov4-tiny", metavar="MODEL", help="detector")
    parser.add_argument(
        "--models", type=Path, default=places.models(), metavar="DIR", help="models folder"
    )
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Write pictures and labels."""
    if arguments.every < 1:
        raise ConfigError(f"--every {arguments.every}: must be 1 or more")
    if arguments.out.is_dir() and any(arguments.out.iterdir()):
        raise ConfigError(f"--out {arguments.out}: is not empty; corrected labels may be in it")
    picked = _picked(arguments.picked)
    recorded = found.is_recording(arguments.source)
    if recorded and not arguments.videos:
        raise ConfigError("--videos: is missing; a recording has no pictures")
    videos = found.videos_of(arguments.videos if recorded else [arguments.source])
    if not videos:
        raise ConfigError(f"{arguments.source}: is no video and no recording of the daemon")
    rows: List[Tuple[str, FramePoses]] = []
    for camera, path in videos.items():
        wanted = picked.get(camera, set()) if picked is not None else None
        if wanted is None or wanted:
            rows += _camera(arguments, camera, path, wanted, recorded)
    if not rows:
        raise DataError(f"{arguments.source}: has none of the frames that are asked for")
    written = _write(arguments, rows)
    print(json.dumps(written) if arguments.json else _text(written))
    return 0


def _picked(path: Optional[Path]) -> Optional[Dict[str, Set[int]]]:
    """Camera -> frames, of the file that `pick` wrote."""
    if path is None:
        return None
    try:
        rows = json.loads(path.read_text("utf-8"))["frames"]
        chosen: Dict[str, Set[int]] = {}
        for row in rows:
            chosen.setdefault(str(row["camera"]), set()).add(int(row["frame"]))
        return chosen
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: is no file of `edge-tools pick`") from None


def _camera(
    arguments: argparse.Namespace,
    camera: str,
    path: Path,
    wanted: Optional[Set[int]],
    recorded: bool,
) -> List[Tuple[str, FramePoses]]:
    """Pictures and poses of one camera; the pictures are written."""
    models = arguments.models
    if recorded:
        frames = [f for f in found.of_recording(arguments.source) if f.camera == camera]
        if wanted is None:
            frames = [f for f in frames if f.index % arguments.every == 0]
        else:
            frames = [f for f in frames if f.index in wanted]
        poses = {f.index: f for f in frames}
    else:
        with Progress(f"poses of {camera}", None, "frames", arguments.json) as bar:
            poses = {}
            pose, detect = models / arguments.pose, models / arguments.detect
            for one in found.of_video(path, camera, pose, detect, wanted, arguments.every):
                poses[one.index] = one
                bar.update()
    folder = arguments.out / "images" / camera
    folder.mkdir(parents=True, exist_ok=True)
    rows: List[Tuple[str, FramePoses]] = []
    for index, _, image in found.frames_of(path, set(poses)) if poses else ():
        name = f"images/{camera}/{index:06d}.jpg"
        if poses[index].size != (image.shape[1], image.shape[0]):
            raise DataError(f"{path}: frames have another size than in the recording")
        cv2.imwrite(str(arguments.out / name), image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        rows.append((name, poses[index]))
    return rows


def _write(arguments: argparse.Namespace, rows: Sequence[Tuple[str, FramePoses]]) -> Dict[str, Any]:
    skeleton = rows[0][1].poses.skeleton
    known = skeletons.get(skeleton)
    parts = {"body": ["body"], "feet": ["body", "feet"], "all": list(skeletons.PARTS)}
    places = [i for part in parts[arguments.points] for i in known.parts[part].tolist()]
    names = [known.names[i] for i in sorted(places)]
    content = coco.table(rows, skeleton, names)
    coco.write(arguments.out / "labels.json", content)
    cvat.write(arguments.out / "annotations.xml", content)
    cvat.write_task(arguments.out / "cvat_task.json", content)
    return {
        "folder": str(arguments.out),
        "pictures": len(content["images"]),
        "people": len(content["annotations"]),
        "points": len(names),
    }


def _text(written: Dict[str, Any]) -> str:
    return (
        f"{written['folder']}: {written['pictures']} pictures, {written['people']} people, "
        f"{written['points']} points each\nnext: correct annotations.xml in CVAT (labels of the "
        "task: cvat_task.json), or labels.json in another program; then edge-tools train"
    )
