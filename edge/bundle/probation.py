"""Model bundles in a running program: install, switch between two steps, confirm or roll back.

A new bundle is on probation for `bundle.confirm_frames` steps. If one of its networks fails in that
time, the networks before do the step again and stay in use. If the program dies in that time, the
next start counts one more try; after `bundle.max_tries` it rolls back.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from edge import durable
from edge.bundle.guard import guard, try_out, without_guards
from edge.bundle.slots import Slots, State
from edge.errors import ConfigError, DataError, EdgeError, TempError
from edge.keys.trust import load_key
from edge.loop.assemble import Models
from edge.loop.build import ModelSource
from edge.loop.parts import Extra, Running
from edge.settings.config import Config

log = logging.getLogger(__name__)

SWAP_S = 30.0  # after this long without the switch a warning is logged


class Bundles(Extra, ModelSource):
    """The model bundle of a run.

    Args:
        config: the state directory, the operator's key, and the length of a probation.

    Raises:
        EdgeError: no key, or no state directory.
    """

    def __init__(self, config: Config) -> None:
        if not config.trust.key_file:
            raise ConfigError("trust.key_file: is empty, but bundle.enabled needs it")
        self._settings = config.bundle
        state = durable.state_dir(config.state.dir, "bundle.enabled")
        durable.make_dir(state / "incoming")  # for files of the command `update`
        self._slots = Slots(state / "bundles")
        self._state = self._slots.begin(config.bundle.max_tries)
        self._running: Optional[Running] = None
        self._installed_dir = config.models.dir
        self._before: Optional[Models] = None  # kept open while on probation
        self._instead: Optional[Models] = None  # in use after a failure on probation
        self._from_step = 0

    @property
    def state(self) -> State:
        """The state of the slots."""
        return self._state

    def applied(self, config: Config) -> Config:
        """Return the configuration with the models folder of the bundle in use."""
        self._installed_dir = config.models.dir
        return self._using(config, self._state.active)

    def open(self, config: Config) -> Tuple[Config, Models]:
        """Open the networks for a start; a bundle that cannot be opened is rolled back.

        Returns:
            The configuration as `applied` gives it, and its networks.

        Raises:
            EdgeError: the networks of the installation cannot be opened either.
        """
        while self._state.active:
            try:
                applied = self.applied(config)
                return applied, self._guarded(Models(applied))
            except EdgeError as error:
                self._state = self._slots.roll_back(str(error))
        return self.applied(config), Models(config)

    def attach(self, running: Running) -> None:
        """Begin to count steps of the loop."""
        self._running = running
        self._from_step = running.health.steps

    def tick(self) -> None:
        """Confirm the bundle if it is time, in a thread; called after each step."""
        running = self._running
        if self._state.confirmed or running is None:
            return
        if running.health.steps - self._from_step >= self._settings.confirm_frames:
            self._state = dataclasses.replace(self._state, confirmed=True)
            threading.Thread(target=self._confirm, name="bundle", daemon=True).start()

    def install(self, path: Path) -> Dict[str, Any]:
        """Verify a bundle, try it, and switch to it; called from any thread but the loop's.

        Returns:
            `version`, and `in_use`: "now" or "from the next start on".

        Raises:
            EdgeError: the bundle cannot be used; nothing has changed.
        """
        running = self._running
        if running is None:
            raise TempError("the loop has not begun; try again")
        with running.changing:
            return self._install(running, path)

    def _install(self, running: Running, path: Path) -> Dict[str, Any]:
        key_file = running.config.trust.key_file
        slot, version = self._slots.install(path, load_key(Path(key_file)))
        config = self._using(running.config, slot)
        models = Models(config)
        try:
            try_out(models)
        except EdgeError:
            models.close()
            raise
        same = models.pose.skeleton == running.models.pose.skeleton
        self._state = self._slots.switch(slot, version)
        if not same:
            models.close()  # trackers, filters and rules need a restart for another skeleton
            return {"version": version, "in_use": "from the next start on"}
        self._swap(running, config, models)
        return {"version": version, "in_use": "now"}

    def close(self) -> None:
        """Close the networks that are kept open beside those in use."""
        before, self._before = self._before, None
        if before is not None:
            before.close()

    def _swap(self, running: Running, config: Config, models: Models) -> None:
        swapped = threading.Event()
        self._instead = None
        self._guarded(models)

        def change() -> None:
            self._before = _put(running, config, models)
            self._from_step = running.health.steps
            swapped.set()

        running.pipeline.between_steps(change)
        if not swapped.wait(SWAP_S):
            log.warning("bundle: a step takes more than %.0f s", SWAP_S)

    def _guarded(self, models: Models) -> Models:
        if not self._state.confirmed:
            guard(models, self._go_back)
        return models

    def _confirm(self) -> None:
        """Write the confirmation, remove the guards, close the networks before; runs in a thread.

        If the disk refuses, the next start counts one more try and confirms again.
        """
        try:
            self._slots.confirm()
        except EdgeError as error:
            log.error("bundle %d works, but that cannot be written: %s", self._state.version, error)
        running = self._running
        assert running is not None

        def change() -> None:
            running.use(without_guards(running.models))

        running.pipeline.between_steps(change)
        log.info("bundle %d is confirmed", self._state.version)
        self.close()

    def _go_back(self, why: str) -> Models:
        """Roll back and return the networks before; called by the loop's thread within a step.

        Raises:
            DataError: they give another skeleton, so a restart is needed.
        """
        running = self._running
        if running is None:
            raise DataError(why)
        if self._instead is None:
            failed = running.models
            self._state = self._slots.roll_back(why)
            config = self._using(running.config, self._state.active)
            self._instead, self._before = self._before or Models(config), None
            before = self._instead
            if before.pose.skeleton != failed.pose.skeleton:
                raise DataError(f"{why}; the models before come back with the next start")
            running.pipeline.between_steps(lambda: _put(running, config, before).close())
        return self._instead

    def _using(self, config: Config, slot: str) -> Config:
        """Return the configuration with the models folder of a slot."""
        folder = self._slots.path(slot)
        models = dataclasses.replace(
            config.models, dir=str(folder) if folder else self._installed_dir
        )
        return dataclasses.replace(config, models=models)


def _put(running: Running, config: Config, models: Models) -> Models:
    """Use these networks from now on; returns those before. Called between two steps."""
    before = running.use(models)
    running.config = config
    running.publish_engines()
    return before
