"""Frames from memory in place of cameras, and the daemon's own loop around them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import cv2
import numpy as np

from edge.errors import NoInputError
from edge.health import Health
from edge.loop.assemble import Finish, Models, build_stages
from edge.models import halves
from edge.people.look_schedule import Pacing
from edge.pipeline import Pipeline
from edge.publish import Publisher
from edge.settings import config
from edge.structures import CameraState, Frame
from tools.benches import Spent

RATE_HZ = 30.0


def read_video(path: Path, count: int) -> List[np.ndarray]:
    """The first frames of a video, BGR.

    Raises:
        NoInputError: the video cannot be read.
    """
    capture = cv2.VideoCapture(str(path))
    frames: List[np.ndarray] = []
    while len(frames) < count:
        fine, frame = capture.read()
        if not fine:
            break
        frames.append(frame)
    capture.release()
    if not frames:
        raise NoInputError(f"{path}: no frame could be read")
    return frames


class MemoryCameras:
    """Plays arrays as synchronised cameras, without decoding or copying."""

    def __init__(self, pictures: Sequence[Sequence[np.ndarray]]) -> None:
        self._pictures = pictures
        self._index = 0
        self._clock = 0  # keeps rising over the rounds, so that trackers see one long recording

    def rewind(self) -> None:
        """Start again at the first frame."""
        self._index = 0

    def take(self, timeout_s: float) -> List[Frame]:
        """The next frame of every camera."""
        if self.ended:
            return []
        i, self._index = self._index, self._index + 1
        self._clock += 1
        t_ns, now = int(self._clock * 1e9 / RATE_HZ), time.monotonic_ns()
        return [
            Frame(pictures[i], self._clock, t_ns, f"cam{c}", arrival_ns=now)
            for c, pictures in enumerate(self._pictures)
        ]

    def release(self, frames: Sequence[Frame]) -> None:
        """Do nothing: the arrays stay in memory."""

    def states(self) -> List[CameraState]:
        """An empty list: these cameras cannot fail."""
        return []

    @property
    def ended(self) -> bool:
        """Whether all frames were played."""
        return self._index >= len(self._pictures[0])


class Loop:
    """The daemon's loop, models and publisher over frames in memory."""

    def __init__(
        self,
        pictures: Sequence[Sequence[np.ndarray]],
        tables: Optional[Dict[str, Any]] = None,
        models: Optional[Models] = None,
    ) -> None:
        cameras = [{"source": "memory://"} for _ in pictures]
        settings = {"cameras": cameras, "publish": {"sinks": ["jsonl:/dev/null"]}}
        self.config = config.complete(config.build(config.Config, {**settings, **(tables or {})}))
        self.cameras = MemoryCameras(pictures)
        self.models = models or Models(self.config)
        self.publisher = Publisher(self.config, lossless=True)
        self.health = Health()
        skeleton = self.models.pose.skeleton
        bodies, parts = halves(self.models.pose)
        self.pipeline = Pipeline(
            cameras=self.cameras,
            detect=self.models.detect,
            pose=bodies,
            parts=parts,
            concurrent=self.models.concurrent,
            stages=build_stages(self.config, skeleton),
            publisher=self.publisher,
            pacing=Pacing.of(self.config.detect),
            finish=Finish(self.config, skeleton),
            health=self.health,
        )

    def round_ms(self) -> float:
        """Play all frames once; returns ms per step of the loop."""
        self.cameras.rewind()
        before = self.health.steps
        start = time.perf_counter()
        self.pipeline.run(lambda: False)
        return (time.perf_counter() - start) * 1e3 / (self.health.steps - before)

    def spent(self) -> Spent:
        """Play all frames once; gives what a step of the loop took."""
        start = time.process_time()
        before = self.health.steps
        wall_ms = self.round_ms()
        steps = self.health.steps - before
        return Spent(wall_ms, (time.process_time() - start) * 1e3 / steps)

    def close(self) -> None:
        """Close the networks and sinks."""
        self.publisher.close()
        self.models.close()
