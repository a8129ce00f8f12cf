"""The life of the process: build the loop, run it, leave cleanly with the right exit code."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from edge.capture import Cameras, FrameMemory
from edge.errors import PIPE_CLOSED, ConfigError
from edge.health import Health
from edge.loop.assemble import Finish, build_cameras
from edge.loop.parts import Running
from edge.models import halves
from edge.pipeline import Pipeline
from edge.publish import Publisher
from edge.runtime._frames import frame_memory, staged
from edge.service.annotate import Annotator
from edge.service.extras import Attachments
from edge.service.reload import Reload
from edge.service.signals import SPARE_S, Leave, reload_on_signal
from edge.service.systemd import Notifier
from edge.settings.config import Config
from edge.threads import Fallen

log = logging.getLogger(__name__)


def run(
    config: Config,
    max_frames: int = 0,
    annotate: Optional[Path] = None,
    read_again: Optional[Callable[[], Config]] = None,
) -> int:
    """Run the loop until its sources end or the process is told to stop.

    Args:
        config: complete and checked.
        max_frames: stop after so many steps; 0 = no limit.
        annotate: video to write; None = no pixels leave the process.
        read_again: gives the configuration anew at SIGHUP; None = there is no file to read.

    Returns:
        0, the exit code of the first camera that failed for good, or 141 when nobody is left who
        reads what it says.

    Raises:
        EdgeError: nothing could be started, or a thread died.
    """
    if not config.cameras:
        raise ConfigError("cameras: none; add a [[cameras]] table or give --source URI")
    with contextlib.ExitStack() as stack:
        notify = Notifier()
        stack.callback(notify.close)
        leave = stack.enter_context(Leave(notify))
        fallen = stack.enter_context(Fallen(leave.now))
        memory = frame_memory(config.runtime.prefer)
        if memory is not None:
            stack.callback(memory.close)
        extras = Attachments(config)
        stack.callback(extras.close)
        running = _make(stack, config, leave, extras, annotate, memory)
        metrics = _Metrics(running, notify, extras)
        running.pipeline.tick = metrics.tick
        if read_again is not None and annotate is None:
            again = extras.reader(read_again)
            stack.enter_context(reload_on_signal(Reload(running, again, notify)))
        running.models.engines.start()
        running.cameras.start()
        running.tell_engines()  # and with that, that we are online
        notify.ready(running.status())
        keeps = annotate is not None or config.record.max_mb > 0  # something beside its sinks

        def ends() -> bool:
            return leave.asked() or (running.publisher.readers_left and not keeps)

        steps = running.pipeline.run(ends, max_frames)
        notify.stopping("saying goodbye")
        metrics.tell()
        log.info("%d steps, %d events", steps, running.health.events)
        fallen.check()
        return PIPE_CLOSED if ends() and not leave.asked() else _exit_code(running.cameras)


def _make(
    stack: contextlib.ExitStack,
    config: Config,
    leave: Leave,
    extras: Attachments,
    annotate: Optional[Path],
    memory: Optional[FrameMemory],
) -> Running:
    """The parts of the loop; the stack closes them in the other order."""
    running: List[Running] = []
    models = extras.models(config)
    stack.callback(lambda: (running[0].models if running else models).close())
    config = extras.applied(config)
    people = build_cameras(config, models.pose.skeleton)
    finish = Finish(config, models.pose.skeleton)
    watch = _annotator(annotate, config, stack)
    cameras = Cameras(config.cameras, config.capture, memory)
    publisher = Publisher(
        config, models.sha256(), cameras.lossless, leave.asked, listen=extras.filters()
    )
    stack.callback(lambda: publisher.close(min(3.0, leave.left_s() - SPARE_S)))
    stack.callback(cameras.close)
    health = Health()
    bodies, parts = halves(models.pose)
    pipeline = Pipeline(
        cameras=extras.cameras(cameras),
        detect=health.timed("detect", models.detect),
        pose=health.timed("pose", bodies),
        parts=parts and health.timed("parts", parts),
        at_once=models.at_once,
        people=people,
        publisher=publisher,
        detect_every=config.detect.every,
        calm_ns=int(config.detect.calm_s * 1e9),
        still_ns=int(config.detect.still_s * 1e9),
        finish=finish,
        watch=extras.watch(watch, publisher, cameras.lossless),
        health=health,
    )
    pipeline.look = health.timed("look", pipeline.look)  # type: ignore[method-assign]
    pipeline.tell = health.timed("tell", pipeline.tell)  # type: ignore[method-assign]
    running.append(Running(config, models, cameras, publisher, pipeline, health))
    extras.attach(running[0])
    return running[0]


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
    """Publishes the health record every so often, and tells systemd that the loop turns."""

    def __init__(self, running: Running, notify: Notifier, extras: Attachments) -> None:
        self._running = running
        self._extras = extras
        self._notify = notify
        self._every_ns = int(running.config.publish.metrics_s * 1e9)
        self._last_ns = time.monotonic_ns()

    def tick(self) -> None:
        """After a step that both halves of the loop have done: publish when it is time."""
        self._notify.progress()
        self._extras.tick()
        self._running.tell_engines()
        if self._notify.status_due():
            self._notify.status(self._running.status())
        if time.monotonic_ns() - self._last_ns >= self._every_ns:
            self.tell()

    def tell(self) -> None:
        """Publish now."""
        self._last_ns = time.monotonic_ns()
        running = self._running
        report: Dict[str, Any] = running.health.report()
        report["runs"] = running.models.runs()
        states = running.cameras.states()
        report["dropped"] = {s.camera: s.dropped for s in states}
        report["reconnects"] = {s.camera: s.reconnects for s in states}
        report["frame_memory"] = {s.camera: s.memory for s in states if s.memory}
        report["host_copies"] = {s.camera: s.host_copies + staged[s.camera] for s in states}
        report.update(self._extras.report())
        running.publisher.metrics(report)
