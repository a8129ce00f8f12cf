"""The sensors beside the cameras as an extra of the run."""

from __future__ import annotations

from typing import Any, Mapping

from edge.loop.joints import JointStage
from edge.loop.parts import Extra, Running
from edge.settings.config import Config


class Sensing(Extra):
    """Reads sensors, and measures the joints of the configuration.

    Raises:
        EdgeError: a depth source cannot be opened.
    """

    def __init__(self, config: Config) -> None:
        self._joints = JointStage(config)

    def attach(self, running: Running) -> None:
        """Begin to read; joints are in the camera states from now on."""
        running.watch(self._joints)
        running.pipeline.besides = self._joints.summaries
        self._joints.start()

    def tick(self) -> None:
        """Take samples even while no camera gives a frame."""
        self._joints.drain()

    def report(self) -> Mapping[str, Any]:
        """Condition of each sensor."""
        return self._joints.report()

    def close(self) -> None:
        """Stop reading."""
        self._joints.close()
