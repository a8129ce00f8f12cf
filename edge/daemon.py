"""The life of the process: build the loop, run it, leave cleanly with the right exit code."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional

from edge.annotate import Annotator
from edge.assemble import Finish, Models, build_cameras
from edge.capture import Cameras
from edge.config import Config
from edge.errors import ConfigError
from edge.health import Health
from edge.pipeline import Pipeline
from edge.publish import Publisher

log = logging.getLogger(__name__)


def run(config: Config, max_frames: int = 0, annotate: Optional[Path] = None) -> int:
    """Run the loop until its sources end or the process is told to stop.

    Args:
        config: complete and checked.
        max_frames: stop after so many steps; 0 = no limit.
        annotate: video to write; None = no pixels leave the process.

    Returns:
        0, or the exit code of the first camera that failed for good.

    Raises:
        EdgeError: nothing could be started.
    """
    if not config.cameras:
        raise ConfigError("cameras: none; add a [[cameras]] table or give --source URI")
    with contextlib.ExitStack() as stack:
        models = Models(config)
        stack.callback(models.close)
        people = build_cameras(config, models.pose.skeleton)
        finish = Finish(config, models.pose.skeleton)
        watch = _annotator(annotate, config, stack)
        cameras = Cameras(config.cameras, config.capture)
        stop = stack.enter_context(stop_on_signals())
        publisher = Publisher(config, models.sha256(), cameras.lossless, stop)
        stack.callback(publisher.close)
        stack.callback(cameras.close)
        health = Health()
        metrics = _Metrics(health, models, cameras, publisher, config.publish.metrics_s)
        pipeline = Pipeline(
            cameras=cameras,
            detect=health.timed("detect", models.detect),
            pose=health.timed("pose", models.pose),
            people=people,
            publisher=publisher,
            detect_every=config.detect.every,
            finish=finish,
            watch=watch,
            tick=metrics.tick,
            health=health,
        )
        pipeline.look = health.timed("look", pipeline.look)  # type: ignore[method-assign]
        pipeline.tell = health.timed("tell", pipeline.tell)  # type: ignore[method-assign]
        cameras.start()
        publisher.online()
        steps = pipeline.run(stop, max_frames)
        metrics.tell()
        log.info("%d steps, %d events", steps, health.events)
        return _exit_code(cameras)


def _annotator(
    path: Optional[Path], config: Config, stack: contextlib.ExitStack
) -> Callable[..., None]:
    if path is None:
        return lambda frames, poses: None
    annotator = Annotator(path, [c.name for c in config.cameras])
    stack.callback(annotator.close)
    return annotator


def _exit_code(cameras: Cameras) -> int:
    failures = cameras.failures
    return failures[0].exit_code if failures else 0


class _Metrics:
    """Publishes the health record every so often."""

    def __init__(
        self, health: Health, models: Models, cameras: Cameras, publisher: Publisher, every_s: float
    ) -> None:
        self._health = health
        self._models = models
        self._cameras = cameras
        self._publisher = publisher
        self._every_ns = int(every_s * 1e9)
        self._last_ns = time.monotonic_ns()

    def tick(self) -> None:
        """Publish when it is time."""
        if time.monotonic_ns() - self._last_ns >= self._every_ns:
            self.tell()

    def tell(self) -> None:
        """Publish now."""
        self._last_ns = time.monotonic_ns()
        report: Dict[str, Any] = self._health.report()
        report["runs"] = self._models.runs()
        states = self._cameras.states()
        report["dropped"] = {s.camera: s.dropped for s in states}
        report["reconnects"] = {s.camera: s.reconnects for s in states}
        self._publisher.metrics(report)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Gives a function that tells whether SIGTERM or SIGINT came; a second SIGINT kills."""
    asked = threading.Event()

    def ask(number: int, frame: object) -> None:
        log.info("stopping: %s", signal.Signals(number).name)
        asked.set()
        signal.signal(number, signal.SIG_DFL)

    before = {n: signal.signal(n, ask) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


