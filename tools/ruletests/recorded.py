"""Recordings of drawn clips: through the networks, and clean from the truth.

Each clip `NAME.mp4` of a set gets a folder of segments, as the daemon's `[record]` writes them:
`poses/KEY/NAME` through the networks and `clean/NAME` from its truth. KEY stands for the models,
the configuration and the code that poses depend on, so rules are judged again without networks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import cv2
import numpy as np

import edge
from edge import skeletons
from edge.errors import DataError, NoInputError
from edge.loop.assemble import models_dir
from edge.recording.record import RecordedFrame, pack
from edge.recording.ring import SUFFIX as SEGMENT
from edge.recording.ring import Ring
from edge.settings import config
from edge.structures import Poses
from tools.evaluation.found.networks import Player
from tools.progress import Progress

TRUTH = ".truth.jsonl"
POSES, CLEAN = "poses", "clean"
_RING_BYTES = 1 << 30
_WITHOUT_POSES = ("rules", "publish", "service", "outbox", "doctor", "commands", "telemetry")
_HIDDEN_SCORE, _SEEN_SCORE = 0.6, 1.0  # of true keypoints
_CAMERA = "clip"


@dataclasses.dataclass(frozen=True)
class Clip:
    """A drawn clip with its recordings."""

    name: str
    video: Path
    truth: Path
    poses: Path  # folder of segments, through the networks
    clean: Path  # folder of segments, from the truth


def clips_of(folder: Path, key: str) -> List[Clip]:
    """The clips of a set of `edge-tools synth`.

    Raises:
        NoInputError: there are none.
    """
    truths = sorted(folder.glob(f"*{TRUTH}"))
    if not truths:
        raise NoInputError(f"{folder}: has no clips; make them with edge-tools synth")
    return [_clip(folder, truth, key) for truth in truths]


def _clip(folder: Path, truth: Path, key: str) -> Clip:
    name = truth.name[: -len(TRUTH)]
    poses, clean = folder / POSES / key / name, folder / CLEAN / name
    return Clip(name, truth.with_name(f"{name}.mp4"), truth, poses, clean)


def key_of(settings: config.Config) -> str:
    """Twelve hexadecimal digits for all that decides which poses a clip gives."""
    digest = hashlib.sha256()
    parts = (settings.detect, settings.pose, settings.track, settings.smooth, settings.crowd)
    digest.update(json.dumps([dataclasses.asdict(part) for part in parts]).encode())
    for model in (settings.detect.model, settings.pose.model):
        for path in sorted((models_dir(settings) / model).rglob("*.onnx")):
            digest.update(path.read_bytes())
    source = Path(edge.__file__).parent
    for path in sorted(source.rglob("*.py")):
        if path.relative_to(source).parts[0] not in _WITHOUT_POSES:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def record(clips: Sequence[Clip], settings: config.Config, quiet: bool = False) -> int:
    """Run the networks over the clips that have no recording yet.

    Args:
        clips: of `clips_of`.
        settings: of models, tracker and smoother; cameras and sinks are not used.
        quiet: show no progress.

    Returns:
        How many were recorded.

    Raises:
        DataError: a clip cannot be read. EdgeError: as the daemon.
    """
    left = [clip for clip in clips if not _is_there(clip.poses)]
    if not left:
        return 0
    with contextlib.ExitStack() as stack:
        player = Player(settings, stack)
        bar = stack.enter_context(Progress("running the networks", len(left), "clips", quiet))
        for clip in left:
            rate_hz, _ = head_of(clip.truth)
            told = player.video(enumerate(_frames(clip.video)), rate_hz)
            _write(clip.poses, settings, _size(clip.video), told)
            bar.update()
    return len(left)


def record_truth(clips: Sequence[Clip], settings: config.Config) -> None:
    """Write the true keypoints of the clips as recordings, ids as in the truth."""
    for clip in clips:
        if not _is_there(clip.clean):
            _write(clip.clean, settings, _size(clip.video), list(_true_frames(clip.truth)))


def head_of(truth: Path) -> Tuple[float, Dict[str, Any]]:
    """Frames a second and the first line of a truth."""
    with truth.open(encoding="utf-8") as lines:
        head: Dict[str, Any] = json.loads(lines.readline())
    return float(head["fps"]), head


def _true_frames(truth: Path) -> Iterator[Tuple[int, int, Poses]]:
    with truth.open(encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            row = json.loads(line)
            yield int(row["frame"]), int(row["t_ns"]), _true_poses(row["people"])


def _true_poses(people: Sequence[Dict[str, Any]]) -> Poses:
    points = np.array([p["keypoints"] for p in people], np.float32).reshape(len(people), -1, 3)
    points = points[:, :17] if len(people) else np.zeros((0, 17, 3), np.float32)
    scores = np.select([points[..., 2] == 2, points[..., 2] == 1], [_SEEN_SCORE, _HIDDEN_SCORE], 0)
    return Poses(
        np.ascontiguousarray(points[..., :2]),
        scores.astype(np.float32),
        np.array([p["box"] for p in people], np.float32).reshape(-1, 4),
        np.array([p["id"] for p in people], np.int64),
        np.ones(len(people), np.float32),
        skeletons.get("coco17").name,
    )


def _is_there(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob(f"*{SEGMENT}"))


def _frames(video: Path) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(str(video))
    try:
        while True:
            fine, image = capture.read()
            if not fine:
                return
            yield image
    finally:
        capture.release()


def _size(video: Path) -> Tuple[int, int]:
    capture = cv2.VideoCapture(str(video))
    try:
        if not capture.isOpened():
            raise DataError(f"{video}: is no video that can be read")
        width, height = (
            capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        return int(width), int(height)
    finally:
        capture.release()


def _write(
    folder: Path,
    settings: config.Config,
    size: Tuple[int, int],
    told: Sequence[Tuple[int, int, Poses]],
) -> None:
    """Write a recording under another name and rename it, so that a part of one is never read."""
    part = folder.with_name(f".{folder.name}.new")
    for old in part.glob(f"*{SEGMENT}"):
        old.unlink()
    camera = config.build(
        config.Config, {"cameras": [{"source": "synthetic://walk", "name": _CAMERA}]}
    )
    shown = config.show(
        config.complete(dataclasses.replace(settings, cameras=camera.cameras, rules=[]))
    )
    head = json.dumps({"boot_id": folder.name, "config": shown, "numbers": {}}).encode()
    ring = Ring(part, _RING_BYTES, lambda: head)
    ring.begin()
    for index, t_ns, poses in told:
        ring.write("P", pack(RecordedFrame(_CAMERA, index, t_ns, 0, size, poses)))
    ring.close()
    part.rename(folder)
