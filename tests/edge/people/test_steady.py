"""The running loop neither allocates nor copies frames, with real video and networks."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any, Dict, List, Sequence, Set

import cv2
import numpy as np
import pytest

from edge.capture import Cameras
from edge.loop.assemble import Finish, Models, build_stages
from edge.models import halves
from edge.people.look_schedule import Pacing
from edge.pipeline import Pipeline
from edge.publish import Publisher
from edge.settings import config
from edge.structures import Frame, Poses

MODELS = Path(__file__).parents[1] / "golden" / "models"
WIDTH, HEIGHT = 960, 720
FRAME_BYTES = WIDTH * HEIGHT * 3
WARM_UP, STEPS = 25, 40


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    path = tmp_path_factory.mktemp("media") / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    rng = np.random.default_rng(0)
    for _ in range(8):
        writer.write(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8))
    writer.release()
    table: Dict[str, Any] = {
        "cameras": [
            {"source": f"file://{path}?loop=1"},
            {"source": f"file://{path}?loop=1", "rotate": 90, "flip": "h"},
        ],
        "models": {"dir": str(MODELS)},
        "detect": {"model": "twobox", "every": 2},
        "pose": {"model": "standing"},
        "rules": [{"kind": "presence"}, {"kind": "fall"}],
        "publish": {"sinks": ["jsonl:/dev/null"]},
    }
    return config.complete(config.build(config.Config, table))


class Spy:
    """Stands between cameras and loop: notes where frames lie and what a step allocates."""

    def __init__(self, cameras: Cameras) -> None:
        self._cameras = cameras
        self.addresses: Dict[str, Set[int]] = {}
        self.peaks: List[int] = []
        self.turns = 0

    def take(self, timeout_s: float) -> List[Frame]:
        frames = self._cameras.take(timeout_s)
        self.turns += bool(frames)
        if self.turns > WARM_UP:
            now, peak = tracemalloc.get_traced_memory()
            self.peaks.append(peak - now)
            tracemalloc.reset_peak() if hasattr(tracemalloc, "reset_peak") else None
        elif self.turns == WARM_UP:
            tracemalloc.start()
        for frame in frames:
            where = self.addresses.setdefault(frame.camera, set())
            where.add(frame.image.__array_interface__["data"][0])
        return frames

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cameras, name)


def test_no_frame_is_allocated_or_copied_in_the_steady_state(settings: config.Config) -> None:
    models = Models(settings)
    cameras = Cameras(settings.cameras, settings.capture)
    spy = Spy(cameras)
    publisher = Publisher(settings, lossless=True)
    seen: Set[int] = set()

    bodies, parts = halves(models.pose)

    def pose(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        seen.update(f.image.__array_interface__["data"][0] for f in frames)
        return bodies(frames, people)

    pipeline = Pipeline(
        cameras=spy,
        detect=models.detect,
        pose=pose,
        parts=parts,
        stages=build_stages(settings, models.pose.skeleton),
        publisher=publisher,
        pacing=Pacing(2),
        finish=Finish(settings, models.pose.skeleton),
    )
    cameras.start()
    try:
        pipeline.run(lambda: False, WARM_UP + STEPS)
    finally:
        tracemalloc.stop()
        cameras.close()
        publisher.close()
        models.close()
    assert len(spy.peaks) >= STEPS - 1
    assert max(spy.peaks) < FRAME_BYTES, "something as large as a frame was allocated"
    for where in spy.addresses.values():
        assert len(where) <= settings.capture.buffers, "frames lie in the ring's own buffers"
    assert seen == set().union(*spy.addresses.values()), "what the networks read is the ring itself"
