"""The parts of a running loop, so that they can be changed between two steps."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, List, Mapping, Optional, Protocol, Sequence, Tuple

from edge.capture import Cameras
from edge.health import Health
from edge.loop.assemble import Models
from edge.loop.engines import Engines
from edge.loop.rate_limit import RateLimit
from edge.loop.scenes import SceneStage
from edge.messages import Incoming
from edge.models import halves
from edge.pipeline import Pipeline
from edge.publish import Publisher
from edge.settings.config import Config
from edge.stages import Detect, Pose, Scene, Watcher

Receive = Callable[[Incoming], None]


class Extra(Protocol):
    """Something that runs beside the loop, such as the telemetry or a recording of poses.

    Every extra derives from this class. What it does not need keeps the default given here. Extras
    depend on each other only through their constructors.
    """

    keeps_results: bool = False  # it stores results: the loop goes on without readers of the sinks

    def listen(self) -> Mapping[str, Receive]:
        """Topics that sinks with a broker subscribe to, and what takes their messages.

        Messages may come before `attach`, in a sink's thread.
        """
        return {}

    def attach(self, running: Running) -> None:
        """Begin; called once, before the first step.

        Raises:
            EdgeError: what the configuration asks for cannot be done.
        """
        return

    def tick(self) -> None:
        """Called after each step, in the thread that publishes; must not wait."""
        return

    def report(self) -> Mapping[str, Any]:
        """Entries for the metrics message."""
        return {}

    def close(self) -> None:
        """End what was begun, if anything was; called once, after the last step."""
        return


@dataclass
class Running:
    """A loop and all its parts; what changes does so in `Pipeline.between_steps`."""

    config: Config
    models: Models
    cameras: Cameras
    rate_limit: RateLimit
    publisher: Publisher
    pipeline: Pipeline
    health: Health
    extras: Sequence[Extra] = ()
    scenes: Sequence[SceneStage] = ()
    goodbye_s: Callable[[], float] = lambda: 3.0  # what the sinks may take at the end
    degraded: str = ""  # what is left out while the machine cannot do more; empty = nothing
    changing: threading.Lock = field(default_factory=threading.Lock)  # held by who plans a change
    _published_engines: Optional[Tuple[Engines, int]] = None

    def start(self) -> None:
        """Start building engines and reading cameras, and publish that the device is online."""
        self.models.engines.start()
        self.cameras.start()
        self.publish_engines()

    def use(self, models: Models) -> Models:
        """Execute these networks from the next step on.

        Returns:
            The networks before, to be closed by the caller.
        """
        before, self.models = self.models, models
        pipeline = self.pipeline
        pipeline.detect, pipeline.pose, pipeline.parts = timed(models, self.health)
        pipeline.concurrent = models.concurrent
        models.engines.start()
        return before

    def watch(self, watcher: Watcher) -> None:
        """Show a watcher every step; to be called before the first step."""
        self.pipeline.watchers = [*self.pipeline.watchers, watcher]

    def camera_names(self) -> List[str]:
        """The cameras of the configuration in force."""
        return [camera.name for camera in self.config.cameras]

    def publish_engines(self) -> None:
        """Publish what executes the networks, if that changed."""
        engines = self.models.engines
        if self._published_engines != (engines, engines.changes):
            self._published_engines = (engines, engines.changes)
            self.publisher.describe(self.camera_names(), self.models.sha256(), engines.report())

    def status(self) -> str:
        """One line for a person."""
        states = self.cameras.states()
        well = sum(s.state == "ok" for s in states)
        ill = ", ".join(f"{s.camera} {s.state}" for s in states if s.state != "ok")
        sinks = [sink.name for sink in self.publisher.sinks if not sink.ok]
        people = sum(self.health.people.values())
        line = f"{well} of {len(states)} cameras ok" + (f" ({ill})" if ill else "")
        line += f", {self.health.steps} steps, {people} people, {self.health.events} events"
        line += self._crowds()
        line += f"; {self.degraded}" if self.degraded else ""
        return line + (f"; not connected: {', '.join(sinks)}" if sinks else "")

    def _crowds(self) -> str:
        """The cameras where a crowd changes how people are looked at."""
        told = {**self.models.detect.report(), **self.models.pose.report()}
        tiles = ", ".join(f"{name} {n}" for name, n in told.get("tiles", {}).items() if n)
        sparse = ", ".join(name for name, on in told.get("sparse", {}).items() if on)
        line = f"; tiles: {tiles}" if tiles else ""
        return line + (f"; head and shoulders only: {sparse}" if sparse else "")

    def close(self) -> None:
        """Close the cameras, the sinks, the extras and the networks in force, in this order.

        The sinks come early, since their time is limited. All are closed, even if one fails.
        """
        with contextlib.ExitStack() as last_first:
            last_first.callback(self.models.close)
            for extra in self.extras:
                last_first.callback(extra.close)
            last_first.callback(lambda: self.publisher.close(self.goodbye_s()))
            last_first.callback(self.cameras.close)


def timed(models: Models, health: Health) -> Tuple[Detect, Pose, Optional[Pose]]:
    """Detector, pose model and its second half (None = it has one half), timed by `health`."""
    bodies, parts = halves(models.pose)
    return (
        health.timed("detect", models.detect),
        health.timed("pose", bodies),
        parts and health.timed("parts", parts),
    )


def timed_scenes(scenes: Sequence[SceneStage], health: Health) -> List[Scene]:
    """The scenes of a run, timed together as the stage `scene`."""
    return [health.timed("scene", scene) for scene in scenes]
