"""What runs beside the loop: telemetry, degrading, bundles, commands, recordings, a video.

Each is one `edge.loop.parts.Extra`. Bundles, commands and recordings are off by default, and are
imported only where the configuration asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence

from edge.degrade.apply import Degrader
from edge.errors import ConfigError
from edge.loop import sessions
from edge.loop.adaptive_rate import Adapter
from edge.loop.build import Installed, ModelSource
from edge.loop.parts import Extra, Receive, Running
from edge.loop.session_request import Request
from edge.messages import ROOT, Incoming
from edge.service import homeassistant
from edge.service.annotate import Annotator
from edge.settings.config import Config
from edge.structures import RuleSummary
from edge.telemetry.reader import Telemetry

if TYPE_CHECKING:
    from edge.bundle.probation import Bundles
    from edge.commands.local_socket import LocalSocket
    from edge.commands.receiver import CommandReceiver


def check(config: Config) -> None:
    """Refuse what can be known to be wrong before a run.

    Raises:
        ConfigError: a command that does not exist, or a key that is missing.
    """
    if config.commands.allow:
        from edge.commands import receiver

        receiver.check(config)
    if config.sensors or config.joints or any(camera.depth for camera in config.cameras):
        from edge.loop import joints

        joints.check(config)
    if config.bundle.enabled and not config.trust.key_file:
        raise ConfigError("trust.key_file: is empty, but bundle.enabled needs it")


@dataclass(frozen=True)
class Chosen:
    """What a configuration asks for beside the loop."""

    source: ModelSource
    extras: List[Extra]


def choose(config: Config, annotate: Optional[Path] = None, more: Sequence[Extra] = ()) -> Chosen:
    """The extras of a run; none of them has begun.

    Args:
        config: complete and checked.
        annotate: video to write; None = none.
        more: extras that the caller made.

    Raises:
        EdgeError: something that is asked for cannot be done.
    """
    telemetry = Telemetry(config.telemetry)
    extras: List[Extra] = [Measuring(telemetry)]
    if annotate is not None:
        extras.append(Video(annotate, config))
    if config.adaptive_rate.slow_hz:
        extras.append(Adapting())
    if config.degrade.when:
        extras.append(Degrading(telemetry))
    bundles = _bundles(config)
    if bundles is not None:
        extras.append(bundles)
    if config.record.max_mb or config.record.max_days:
        from edge.service.recordings import recordings

        extras += recordings(config)
    if config.sensors or config.joints:
        from edge.service.sensing import Sensing

        extras.append(Sensing(config))
    if homeassistant.wanted(config):
        extras.append(homeassistant.HomeAssistant(config))
    if config.commands.allow:
        extras.append(Commanding(config, bundles))
    if config.commands.local:
        extras.append(Local(config))
    return Chosen(bundles or Installed(), [*extras, *more])


def _bundles(config: Config) -> Optional[Bundles]:
    if not config.bundle.enabled:
        return None
    from edge.bundle.probation import Bundles

    return Bundles(config)


class Measuring(Extra):
    """The telemetry of the machine: read in a thread, reported with the metrics."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def attach(self, running: Running) -> None:
        """Begin to read."""
        self._telemetry.start()

    def report(self) -> Mapping[str, Any]:
        """Temperatures, clocks, power and more, as far as the machine tells them."""
        return self._telemetry.report()

    def close(self) -> None:
        """Stop reading."""
        self._telemetry.close()


class Degrading(Extra):
    """Less work while the machine is throttled or behind."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._degrader: Optional[Degrader] = None

    def attach(self, running: Running) -> None:
        """Watch over this loop from now on."""
        self._degrader = Degrader(running, self._telemetry)

    def tick(self) -> None:
        """Check the loop, every second."""
        if self._degrader is not None:
            self._degrader.tick()

    def report(self) -> Mapping[str, Any]:
        """The level in force."""
        return {"degrade": self._degrader.report()} if self._degrader is not None else {}


class Adapting(Extra):
    """Fewer steps while everybody moves slowly; recordings keep every frame."""

    def __init__(self) -> None:
        self._adapter: Optional[Adapter] = None

    def attach(self, running: Running) -> None:
        """Watch the people of this loop from now on."""
        if not running.cameras.lossless:
            self._adapter = Adapter(running.config.adaptive_rate, running.rate_limit)
            running.watch(self._adapter)

    def report(self) -> Mapping[str, Any]:
        """What was saved."""
        return {"adaptive_rate": self._adapter.report()} if self._adapter is not None else {}


class Video(Extra):
    """The annotated video of a run.

    Raises:
        NoInputError: the file cannot be made there.
    """

    keeps_results = True

    def __init__(self, path: Path, config: Config) -> None:
        self._running: Optional[Running] = None
        names = [camera.name for camera in config.cameras]
        self._annotator = Annotator(path, names, self._summaries)

    def attach(self, running: Running) -> None:
        """Draw every step from now on."""
        self._running = running
        running.watch(self._annotator)

    def _summaries(self, camera: str) -> Sequence[RuleSummary]:
        known = self._running and self._running.pipeline.stages.get(camera)
        return known.summaries() if known else ()

    def close(self) -> None:
        """Finish the file."""
        self._annotator.close()


class Commanding(Extra):
    """Signed commands that come through a broker.

    Args:
        config: which commands are allowed, and whose.
        bundles: where the command `update` installs; None = it is refused.
    """

    def __init__(self, config: Config, bundles: Optional[Bundles]) -> None:
        self._config, self._bundles = config, bundles
        self._commands: Optional[CommandReceiver] = None

    def listen(self) -> Mapping[str, Receive]:
        """The topics of all commands."""
        return {f"{ROOT}/{self._config.device}/cmd/+": self._receive}

    def _receive(self, incoming: Incoming) -> None:
        """Commands that come before `attach` are not for this run: they time out."""
        if self._commands is not None:
            self._commands.receive(incoming)

    def attach(self, running: Running) -> None:
        """Obey from now on.

        Raises:
            EdgeError: no key, or no state directory.
        """
        from edge.commands.frame_tap import FrameTap
        from edge.commands.handlers import make_handlers
        from edge.commands.receiver import CommandReceiver
        from edge.loop.everybody import EverybodyFinder

        tap = FrameTap(EverybodyFinder(running))
        running.watch(tap)
        install = self._bundles.install if self._bundles else None

        handlers = make_handlers(
            self._config,
            running.camera_names,
            tap,
            running.rate_limit,
            install,
            beginning(running),
        )
        self._commands = CommandReceiver(self._config, handlers, running.publisher.build.boot_id)

    def report(self) -> Mapping[str, Any]:
        """How many commands were obeyed, and refused for which reason."""
        return {"commands": dict(self._commands.counts)} if self._commands else {}

    def close(self) -> None:
        """Finish the command that is under way."""
        if self._commands is not None:
            self._commands.close()


class Local(Extra):
    """Commands of this machine's users; only `session`.

    Args:
        config: says where the socket is.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._socket: Optional[LocalSocket] = None

    def attach(self, running: Running) -> None:
        """Obey from now on.

        Raises:
            EdgeError: there is no folder for the socket, or another run uses it.
        """
        from edge.commands import local_socket
        from edge.commands.handlers import session_handler

        handlers = {"session": session_handler(running.camera_names, beginning(running))}
        path = local_socket.folder(self._config) / local_socket.NAME
        self._socket = local_socket.LocalSocket(path, handlers)

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            self._socket.close()


def beginning(running: Running) -> Callable[[Request], Dict[str, Any]]:
    """What starts and stops sessions in a run."""
    return lambda wanted: sessions.begin(running.pipeline, wanted, running.config.rules)
