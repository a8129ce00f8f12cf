"""Predictions of a run of the networks over the pictures, through the daemon's own build.

A picture alone is played as a still of some frames, and the last is scored: the tracker publishes
a person after `track.min_hits` frames, and the crop of a pose settles in a few. A video is played
as the daemon plays it, every frame, and each frame is scored.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np

from edge import skeletons
from edge.errors import DataError, NoInputError
from edge.loop.assemble import build_stages
from edge.loop.build import Installed, build
from edge.loop.parts import Running
from edge.settings import config
from edge.structures import CameraState, Frame, Poses
from tools.evaluation.found.record import Found, Seen, Translation, nobody
from tools.evaluation.truth import Picture, Truth
from tools.progress import Progress

FRAMES = 12  # of a still
RATE_HZ = 30.0
_CAMERA = "still"
_AT_ONCE = 12  # frames in memory


def run(settings: config.Config, truth: Truth, frames: int, quiet: bool) -> Found:
    """Run the networks of a configuration over all pictures and videos of a data set.

    Args:
        settings: of detector, pose model, tracker and smoother; its cameras and sinks are not used.
        truth: the data.
        frames: of a still.
        quiet: show no progress.

    Raises:
        NoInputError: a picture is missing. DataError: it cannot be read. EdgeError: as the daemon.
    """
    videos = truth.sequences()
    in_video = {p.key for pictures in videos.values() for p in pictures}
    stills = [p for p in truth.pictures if p.key not in in_video]
    for picture in stills:
        _require(picture)
    with contextlib.ExitStack() as stack:
        player = Player(settings, stack)
        translate = Translation(truth.points, skeletons.get(player.skeleton).names)
        # A conversion invents no point: a head that the model lacks is not given as Halpe's either.
        own = Translation(truth.points, skeletons.get(player.model_skeleton).names)
        given = translate.given & own.given
        found: Dict[str, Seen] = {}
        total = len(stills) + len(in_video)
        bar = stack.enter_context(Progress("running the networks", total, "pictures", quiet))
        for picture in stills:
            found[picture.key] = translate(player.still(read_picture(picture), frames))
            bar.update()
        for name, pictures in videos.items():
            shown = video_frames(truth, name, pictures)
            rate_hz = truth.rates_hz.get(name, RATE_HZ)
            wanted = {p.index: p.key for p in pictures}
            for index, t_ns, poses in player.video(shown, rate_hz):
                if index in wanted:
                    found[wanted[index]] = translate(poses, t_ns)
                    bar.update()
    for picture in truth.pictures:
        found.setdefault(picture.key, nobody(len(truth.points)))
    notes = [f"each picture is a still of {frames} frames, the last is scored"] if stills else []
    return Found(name_of(settings), np.asarray(given), found, notes)


def name_of(settings: config.Config) -> str:
    """Detector and pose model."""
    detect, pose = settings.detect.model, settings.pose.model
    return pose if detect == "none" else f"{detect} + {pose}"


def read_picture(picture: Picture) -> np.ndarray:
    """A picture [H,W,3] u8 BGR, turned as its labels are.

    Raises:
        NoInputError: it is missing. DataError: it cannot be read, or has another size.
    """
    path = _require(picture)
    image = _decode(path, cv2.IMREAD_COLOR)
    shown = (image.shape[1], image.shape[0])
    if picture.size in (shown, (0, 0)) or 0 in picture.size:
        return image
    if not picture.turn and picture.size == shown[::-1]:
        # COCO's points belong to the stored picture, not to that turned as EXIF says.
        return _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    raise DataError(
        f"{path}: is {shown[0]}x{shown[1]}, its labels are of a picture of "
        f"{picture.size[0]}x{picture.size[1]}"
    )


def _require(picture: Picture) -> Path:
    if picture.path is None:
        raise NoInputError(f"{picture.file}: no such picture; --pictures DIR says where they are")
    return picture.path


def _decode(path: Path, how: int) -> np.ndarray:
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, how) if len(data) else None
    if image is None:
        raise DataError(f"{path}: is no picture that can be read")
    return np.asarray(image)


def video_frames(truth: Truth, name: str, pictures: Sequence[Picture]) -> Any:
    """The frames of a video with their numbers: of its file, else of its pictures."""
    path = truth.videos.get(name)
    if path is None:
        return ((p.index, read_picture(p)) for p in pictures)
    return _decoded(path, max(p.index for p in pictures))


def _decoded(path: Path, last: int) -> Any:
    capture = cv2.VideoCapture(str(path))
    try:
        for index in range(last + 1):
            fine, frame = capture.read()
            if not fine:
                raise DataError(f"{path}: ends after {index} frames; labels go on to {last}")
            yield index, frame
    finally:
        capture.release()


class _Feed:
    """Gives the loop frames from memory; the loop's `Cameras` contract."""

    def __init__(self) -> None:
        self.frames: List[Frame] = []  # still to be taken

    def take(self, timeout_s: float) -> List[Frame]:
        """The next frame."""
        return [self.frames.pop(0)] if self.frames else []

    def release(self, frames: Sequence[Frame]) -> None:
        """Nothing to give back."""

    def states(self) -> List[CameraState]:
        """No states: nothing can go wrong."""
        return []

    @property
    def ended(self) -> bool:
        """Whether everything was taken."""
        return not self.frames


class Player:
    """The daemon's loop, fed picture by picture; each begins with an empty tracker."""

    def __init__(self, settings: config.Config, stack: contextlib.ExitStack) -> None:
        camera = {"source": "synthetic://walk", "name": _CAMERA}
        only = config.build(config.Config, {"cameras": [camera]}).cameras
        publish = dataclasses.replace(settings.publish, sinks=["jsonl:/dev/null"])
        plain = dataclasses.replace(settings, cameras=only, publish=publish, rules=[])
        self._config = config.complete(plain)
        self._running: Running = build(self._config, stack, Installed())
        self._feed = _Feed()
        self._told: List[Tuple[int, int, Poses]] = []
        self._running.pipeline.cameras = self._feed
        self._running.watch(self._watch)
        self._t_ns = 0
        self._played = 0
        self.model_skeleton = self._running.models.pose.skeleton
        self.skeleton = self._config.pose.skeleton or self.model_skeleton

    def still(self, image: np.ndarray, frames: int) -> Poses:
        """The people of the last frame of a still."""
        shown = ((index, image) for index in range(frames))
        return self.video(shown, RATE_HZ)[-1][2]

    def video(self, shown: Any, rate_hz: float) -> List[Tuple[int, int, Poses]]:
        """Number, time and people of each frame."""
        camera, step_ns = self._begin(), int(1e9 / rate_hz)
        start_ns, first = self._t_ns, -1
        for index, image in shown:
            first = index if first < 0 else first
            self._t_ns = start_ns + (index - first) * step_ns
            image = np.ascontiguousarray(image)
            self._feed.frames.append(Frame(image, index, self._t_ns, camera, time.monotonic_ns()))
            if len(self._feed.frames) >= _AT_ONCE:
                self._running.pipeline.run(lambda: False)
        self._running.pipeline.run(lambda: False)
        told, self._told = self._told, []
        if not told:
            raise DataError("there is no frame to run the networks over")
        return told

    def _begin(self) -> str:
        """A new camera: nothing is left that the tracker, the smoother or a model knows."""
        self._played += 1
        self._t_ns += 1_000_000_000
        name = f"{_CAMERA}-{self._played}"
        fresh = build_stages(self._config, self._running.models.pose.skeleton)[_CAMERA]
        self._running.pipeline.stages = {name: fresh}
        return name

    def _watch(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        for frame, people in zip(frames, poses):
            whole = people.take(np.arange(len(people)))
            self._told.append((frame.index, frame.t_ns, whole))
