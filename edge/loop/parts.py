"""What a running loop is made of, so that it can be changed between two steps."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, List

from edge.capture import Cameras
from edge.health import Health
from edge.loop.assemble import Models
from edge.models import halves
from edge.pipeline import Pipeline
from edge.publish import Publisher
from edge.settings.config import Config


@dataclass
class Running:
    """The parts; those that change do so in `Pipeline.between_steps`."""

    config: Config
    models: Models
    cameras: Cameras
    publisher: Publisher
    pipeline: Pipeline
    health: Health
    relief: str = ""  # what is done without while the machine cannot do more
    changing: threading.Lock = field(default_factory=threading.Lock)  # one who plans at a time
    _told_engines: Any = None

    def use(self, models: Models) -> Models:
        """Execute these networks from the next step on; gives those before, to be closed."""
        before, self.models = self.models, models
        self.pipeline.detect = self.health.timed("detect", models.detect)
        bodies, parts = halves(models.pose)
        self.pipeline.pose = self.health.timed("pose", bodies)
        self.pipeline.parts = parts and self.health.timed("parts", parts)
        self.pipeline.at_once = models.at_once
        models.engines.start()
        return before

    def camera_names(self) -> List[str]:
        """Of the configuration in force."""
        return [camera.name for camera in self.config.cameras]

    def tell_engines(self) -> None:
        """Publish what executes the networks, when that changed."""
        engines = self.models.engines
        if self._told_engines != (engines, engines.changes):
            self._told_engines = (engines, engines.changes)
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
        line += f"; {self.relief}" if self.relief else ""
        return line + (f"; not connected: {', '.join(sinks)}" if sinks else "")
