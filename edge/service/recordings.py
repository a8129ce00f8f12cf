"""The recording of poses on disk, and how long recordings are kept, beside the loop."""

from __future__ import annotations

from typing import List, Optional

from edge import durable
from edge.loop.parts import Extra, Running
from edge.recording.retention import DAY_NS, Keeper
from edge.recording.ring import Recorder
from edge.settings.config import Config


def recordings(config: Config) -> List[Extra]:
    """What the section [record] asks for.

    Raises:
        ConfigError: there is no state directory.
    """
    extras: List[Extra] = []
    if config.record.max_mb:
        extras.append(Recording(config))
    if config.record.max_days:
        extras.append(Retention(config))
    return extras


class Recording(Extra):
    """The recording of poses.

    Raises:
        ConfigError: there is no state directory.
    """

    keeps_results = True

    def __init__(self, config: Config) -> None:
        self._folder = durable.state_dir(config.state.dir, "record.max_mb") / "recordings"
        self._recorder: Optional[Recorder] = None

    def attach(self, running: Running) -> None:
        """Record every step from now on."""
        self._recorder = Recorder(
            self._folder,
            running.config.record.max_mb << 20,
            running.publisher.build,
            lambda: running.config,
            running.cameras.lossless,
            running.config.record.max_days * 86400,
        )
        running.watch(self._recorder)
        running.pipeline.marked = self._recorder.session

    def close(self) -> None:
        """Write what waits."""
        if self._recorder is not None:
            self._recorder.close()


class Retention(Extra):
    """Removes old recordings, also those of earlier runs.

    Raises:
        ConfigError: there is no state directory.
    """

    def __init__(self, config: Config) -> None:
        folder = durable.state_dir(config.state.dir, "record.max_days") / "recordings"
        self._keeper = Keeper(folder, int(config.record.max_days * DAY_NS))

    def attach(self, running: Running) -> None:
        """Look now, and every minute."""
        self._keeper.start()

    def close(self) -> None:
        """Look no more."""
        self._keeper.close()
