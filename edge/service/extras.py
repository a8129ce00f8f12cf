"""What goes with the loop: bundles, signed commands, recordings of poses, telemetry and relief.

The first three are off by default, and imported only where the configuration asks for them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Sequence

from edge import durable
from edge.degrade.apply import Relief
from edge.errors import ConfigError
from edge.loop.assemble import Models
from edge.loop.parts import Running
from edge.loop.rate_limit import Cameras, Pace
from edge.messages import ROOT, Incoming
from edge.publish import Publisher
from edge.settings.config import Config
from edge.structures import Frame, Poses
from edge.telemetry.reader import Telemetry

if TYPE_CHECKING:
    from edge.bundle.probation import Bundles
    from edge.commands.frame_tap import Watch
    from edge.commands.receiver import Commands

See = Callable[[Sequence[Frame], Sequence[Poses]], None]


def check(config: Config) -> None:
    """What can be known to be wrong before a run.

    Raises:
        ConfigError: a command that there is none of, or a key that is missing.
    """
    if config.commands.allow:
        from edge.commands import receiver

        receiver.check(config)
    if config.bundle.enabled and not config.trust.key_file:
        raise ConfigError("trust.key_file: is empty, but bundle.enabled needs it")


class Attachments:
    """What the configuration asks for beside the loop itself.

    Args:
        config: of the run.

    Raises:
        EdgeError: something asked for that cannot be.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stack = contextlib.ExitStack()
        self._bundles: Optional[Bundles] = None
        self._commands: Optional[Commands] = None
        self._watch: Optional[Watch] = None
        self._pace: Optional[Pace] = None
        self._relief: Optional[Relief] = None
        self._telemetry = Telemetry(config.telemetry)
        self._stack.callback(self._telemetry.close)
        if config.bundle.enabled:
            from edge.bundle.probation import Bundles

            self._bundles = Bundles(config)
            self._stack.callback(self._bundles.close)

    def applied(self, config: Config) -> Config:
        """The configuration as the bundle in use makes it."""
        return self._bundles.applied(config) if self._bundles else config

    def reader(self, read: Callable[[], Config]) -> Callable[[], Config]:
        """How a reload reads the configuration: with the bundle that is in use then."""
        return lambda: self.applied(read())

    def models(self, config: Config) -> Models:
        """The networks to start with."""
        return self._bundles.open(config) if self._bundles else Models(config)

    def cameras(self, cameras: Cameras) -> Cameras:
        """The cameras, slowed down where a command or a hot machine may wish for it."""
        if "rate" not in self._config.commands.allow and not self._config.degrade.when:
            return cameras
        self._pace = Pace(cameras)
        return self._pace

    def filters(self) -> Dict[str, Callable[[Incoming], None]]:
        """What a sink with a broker has to listen to."""
        if not self._config.commands.allow:
            return {}
        return {f"{ROOT}/{self._config.device}/cmd/+": self._receive}

    def watch(self, see: See, publisher: Publisher, lossless: bool) -> See:
        """Whoever looks at every step, in one."""
        seers = [see]
        if self._config.commands.allow:
            from edge.commands.frame_tap import Watch

            self._watch = Watch()
            seers.append(self._watch)
        if self._config.record.max_mb:
            seers.append(self._recorder(publisher, lossless))

        def all_of_them(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
            for seer in seers:
                seer(frames, poses)

        return see if len(seers) == 1 else all_of_them

    def attach(self, running: Running) -> None:
        """The loop is made: begin."""
        self._running = running
        self._telemetry.start()
        if self._pace is not None and self._config.degrade.when:
            self._relief = Relief(running, self._pace, self._telemetry)
        if self._bundles:
            self._bundles.attach(running)
        if self._watch is not None:
            from edge.commands.handlers import deeds
            from edge.commands.receiver import Commands

            install = self._bundles.install if self._bundles else None
            pace = self._pace or Pace(running.cameras)
            does = deeds(self._config, running.camera_names, self._watch, pace, install)
            self._commands = Commands(self._config, does, running.publisher.build.boot_id)
            self._stack.callback(self._commands.close)

    def tick(self) -> None:
        """After each step."""
        if self._bundles:
            self._bundles.tick()
        if self._relief is not None:
            self._relief.tick()

    def report(self) -> Mapping[str, Any]:
        """What the metrics get to know."""
        told = self._telemetry.report()
        if self._relief is not None:
            told["degrade"] = self._relief.report()
        if self._commands:
            told["commands"] = dict(self._commands.counts)
        return told

    def close(self) -> None:
        """End what was begun."""
        self._stack.close()

    def _receive(self, incoming: Incoming) -> None:
        """Commands that come before the loop is made are not for this run: they time out."""
        if self._commands is not None:
            self._commands.receive(incoming)

    def _recorder(self, publisher: Publisher, lossless: bool) -> See:
        from edge.recording.ring import Recorder

        folder = durable.state_dir(self._config.state.dir, "record.max_mb") / "recordings"
        recorder = Recorder(
            folder,
            self._config.record.max_mb << 20,
            publisher.build,
            lambda: self._running.config,
            lossless,
        )
        self._stack.callback(recorder.close)
        return recorder
