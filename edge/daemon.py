"""The life of the process: build the loop, run it, leave cleanly with the right exit code."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional

from edge.annotate import Annotator
from edge.assemble import Finish, build_cameras
from edge.attachments import Attachments
from edge.capture import Cameras, aligned_bytes
from edge.config import Config
from edge.errors import ConfigError
from edge.health import Health
from edge.notify import Notifier
from edge.pipeline import Pipeline
from edge.publish import Publisher
from edge.reload import Reload
from edge.running import Running
from edge.runtime._frames import frame_memory, staged

log = logging.getLogger(__name__)

LEAVE_S = 5.0  # after SIGTERM the process is gone, come what may
SPARE_S = 1.3  # of these, what closing the sinks must leave to the rest
ENDS = {signal.SIGTERM, signal.SIGINT}


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
        0, or the exit code of the first camera that failed for good.

    Raises:
        EdgeError: nothing could be started.
    """
    if not config.cameras:
        raise ConfigError("cameras: none; add a [[cameras]] table or give --source URI")
    with contextlib.ExitStack() as stack:
        notify = Notifier()
        stack.callback(notify.close)
        leave = Leave(notify)
        stop = stack.enter_context(leave.on_signals())
        running: Optional[Running] = None
        memory = frame_memory(config.runtime.prefer)
        if memory is not None:
            stack.callback(memory.close)
        extras = Attachments(config)
        stack.callback(extras.close)
        models = extras.models(config)
        config = extras.applied(config)
        stack.callback(lambda: (running.models if running else models).close())
        people = build_cameras(config, models.pose.skeleton)
        finish = Finish(config, models.pose.skeleton)
        watch = _annotator(annotate, config, stack)
        cameras = Cameras(config.cameras, config.capture, memory or aligned_bytes)
        publisher = Publisher(
            config, models.sha256(), cameras.lossless, stop, listen=extras.filters()
        )
        stack.callback(lambda: publisher.close(min(3.0, leave.left_s() - SPARE_S)))
        stack.callback(cameras.close)
        health = Health()
        pipeline = Pipeline(
            cameras=extras.cameras(cameras),
            detect=health.timed("detect", models.detect),
            pose=health.timed("pose", models.pose),
            people=people,
            publisher=publisher,
            detect_every=config.detect.every,
            calm_ns=int(config.detect.calm_s * 1e9),
            finish=finish,
            watch=extras.watch(watch, publisher, cameras.lossless),
            health=health,
        )
        running = Running(config, models, cameras, publisher, pipeline, health)
        extras.attach(running)
        models.engines.start()
        metrics = _Metrics(running, notify, extras)
        pipeline.tick = metrics.tick
        pipeline.look = health.timed("look", pipeline.look)  # type: ignore[method-assign]
        pipeline.tell = health.timed("tell", pipeline.tell)  # type: ignore[method-assign]
        if read_again is not None and annotate is None:
            again = extras.reader(read_again)
            stack.enter_context(reload_on_signal(Reload(running, again, notify)))
        cameras.start()
        running.tell_engines()  # and with that, that we are online
        notify.ready(running.status())
        steps = pipeline.run(stop, max_frames)
        notify.stopping("saying goodbye")
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


class Leave:
    """Whether the process was told to go, and how much time it has left.

    A driver that hangs cannot be talked to, and Python's handlers wait for the main thread to come
    back from it. So a thread hears of the signal by the wake-up descriptor, which is written at
    once, and sets the kernel's alarm, which ends the process when the time is over; the broker then
    tells our last will.
    """

    def __init__(self, notify: Notifier) -> None:
        self._notify = notify
        self._asked = threading.Event()
        self._asked_s = float("inf")
        self._ear, self._mouth = socket.socketpair()

    def left_s(self) -> float:
        """Until the alarm, not below a little; as good as for ever when nobody asked."""
        return max(SPARE_S + 0.1, min(self._asked_s + LEAVE_S - time.monotonic(), 1e9))

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[Callable[[], bool]]:
        """Gives a function that tells whether SIGTERM or SIGINT came; a second one kills."""
        self._mouth.setblocking(False)  # as set_wakeup_fd wants it
        wakeup = signal.set_wakeup_fd(self._mouth.fileno())
        before = {n: signal.signal(n, self._ask) for n in ENDS}
        threading.Thread(target=self._listen, name="signals", daemon=True).start()
        try:
            yield self._asked.is_set
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._mouth.close()  # ends the thread
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _listen(self) -> None:
        """The thread: starts the time that is left."""
        with self._ear:
            while True:
                heard = self._ear.recv(16)
                if not heard:
                    return
                if ENDS.intersection(heard):
                    signal.setitimer(signal.ITIMER_REAL, LEAVE_S - 0.1)
                    self._notify.stopping("told to stop")

    def _ask(self, number: int, frame: object) -> None:
        self._asked_s = time.monotonic()
        self._asked.set()
        log.info("stopping: %s", signal.Signals(number).name)
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def reload_on_signal(reload: Reload) -> Iterator[None]:
    """SIGHUP asks for the configuration to be read again."""
    before = signal.signal(signal.SIGHUP, lambda number, frame: reload.ask())
    reload.start()
    try:
        yield
    finally:
        reload.close()
        signal.signal(signal.SIGHUP, before)
