"""The life of the process: build the loop, run it, and leave with the right exit code."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence

from edge.capture import Cameras
from edge.errors import PIPE_CLOSED, ConfigError
from edge.loop.build import build
from edge.loop.parts import Extra, Running
from edge.runtime._frames import frame_memory, staged
from edge.service import extras, heap
from edge.service.reload import Reload
from edge.service.signals import SPARE_S, Shutdown, reload_on_signal
from edge.service.systemd import Notifier
from edge.settings.config import Config
from edge.threads import ThreadFailures

log = logging.getLogger(__name__)

GOODBYE_S = 3.0  # that the sinks may take at the end


def run(
    config: Config,
    max_frames: int = 0,
    annotate: Optional[Path] = None,
    read_again: Optional[Callable[[], Config]] = None,
    more: Sequence[Extra] = (),
) -> int:
    """Run the loop until its sources end or the process is told to stop.

    Args:
        config: complete and checked.
        max_frames: stop after this many steps; 0 = no limit.
        annotate: video to write; None = no pixels leave the process.
        read_again: reads the configuration again at SIGHUP; None = there is no file to read.
        more: runs beside the loop, too.

    Returns:
        0, the exit code of the first camera that failed permanently, or 141 if all readers of the
        results have left.

    Raises:
        EdgeError: the loop could not be started, or a thread died.
    """
    if not config.cameras:
        raise ConfigError("cameras: none; add a [[cameras]] table, or give a file or --source URI")
    heap.give_back_large_blocks()
    with contextlib.ExitStack() as stack:
        notify = Notifier()
        stack.callback(notify.close)
        shutdown = stack.enter_context(Shutdown(notify))
        failures = stack.enter_context(ThreadFailures(shutdown.request))
        chosen = extras.choose(config, annotate, more)
        keeps_results = any(extra.keeps_results for extra in chosen.extras)
        running = _build(stack, config, chosen, shutdown)
        metrics = _Metrics(running, notify)
        running.pipeline.tick = metrics.tick
        if read_again is not None and annotate is None:
            applied, read = chosen.source.applied, read_again
            reload = Reload(running, lambda: applied(read()), notify)
            stack.enter_context(reload_on_signal(reload))
        running.start()
        notify.ready(running.status())

        def unread() -> bool:
            return running.publisher.readers_left and not keeps_results

        running.pipeline.run(lambda: shutdown.requested() or unread(), max_frames)
        notify.stopping("saying goodbye")
        metrics.publish()
        log.info("%d steps, %d events", running.health.steps, running.health.events)
        failures.check()
        left = unread() and not shutdown.requested()
        return PIPE_CLOSED if left else _exit_code(running.cameras)


def _build(
    stack: contextlib.ExitStack, config: Config, chosen: extras.Chosen, shutdown: Shutdown
) -> Running:
    memory = frame_memory(config.runtime.prefer)
    if memory is not None:
        stack.callback(memory.close)
    return build(
        config,
        stack,
        chosen.source,
        chosen.extras,
        memory,
        stop=shutdown.requested,
        goodbye_s=lambda: min(GOODBYE_S, shutdown.left_s() - SPARE_S),
    )


def _exit_code(cameras: Cameras) -> int:
    failures = cameras.failures
    return failures[0].exit_code if failures else 0


def _filters(running: Running) -> Dict[str, Dict[str, float]]:
    """How well the filter of each camera fits its measurements."""
    read = {name: stages.consistency() for name, stages in running.pipeline.stages.items()}
    found = {name: figures for name, figures in read.items() if figures is not None}
    return {
        "filter_nis": {name: round(figures.nis, 3) for name, figures in found.items()},
        "outlier_share": {name: round(figures.outlier_share, 4) for name, figures in found.items()},
    }


class _Metrics:
    """Publishes the health record periodically, and tells systemd that the loop makes progress."""

    def __init__(self, running: Running, notify: Notifier) -> None:
        self._running = running
        self._notify = notify
        self._every_ns = int(running.config.publish.metrics_s * 1e9)
        self._last_ns = time.monotonic_ns()

    def tick(self) -> None:
        """Called after each step, in the thread that publishes."""
        self._notify.progress()
        for extra in self._running.extras:
            extra.tick()
        self._running.publish_engines()
        if self._notify.status_due():
            self._notify.status(self._running.status())
        if time.monotonic_ns() - self._last_ns >= self._every_ns:
            self.publish()

    def publish(self) -> None:
        """Publish the health record now."""
        self._last_ns = time.monotonic_ns()
        running = self._running
        report: Dict[str, Any] = running.health.report()
        report["runs"] = running.models.runs()
        for model in (running.models.detect, running.models.pose):
            report.update(model.report())
        states = running.cameras.states()
        report["dropped"] = {s.camera: s.dropped for s in states}
        report["reconnects"] = {s.camera: s.reconnects for s in states}
        report["frame_memory"] = {s.camera: s.memory for s in states if s.memory}
        report["host_copies"] = {s.camera: s.host_copies + staged[s.camera] for s in states}
        report.update(_filters(running))
        for extra in running.extras:
            report.update(extra.report())
        running.publisher.metrics(report)
