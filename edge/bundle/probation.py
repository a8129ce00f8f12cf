"""Model bundles in a running program: verified, switched between two steps, kept or taken back.

A new bundle is on probation for `bundle.confirm_frames` steps. What fails meanwhile in a network of
it is done again by the networks before, and they stay. A program that dies meanwhile, whatever of,
finds at its next start how often that happened, and goes back after `bundle.max_tries`.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar, Union

import numpy as np

from edge import durable, skeletons
from edge.bundle.slots import Slots, State
from edge.errors import ConfigError, DataError, EdgeError, TempError
from edge.keys.trust import load_key
from edge.loop.assemble import Models
from edge.loop.build import ModelSource
from edge.loop.parts import Extra, Running
from edge.models import Detector, PoseModel
from edge.settings.config import Config
from edge.structures import Detections, Frame, Poses

log = logging.getLogger(__name__)

SWAP_S = 30.0  # the longest that a step may take


class GuardedDetector(Detector):
    """A detector on probation: a call that fails is done again by the detector before it.

    Args:
        stage: the new detector.
        give_up: is told why; gives the detector before.
    """

    def __init__(self, stage: Detector, give_up: Callable[[str], Detector]) -> None:
        self.stage = stage
        self._give_up = give_up

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """As the detector itself; the loop sees no failure."""
        found, problem = _tried(lambda: self.stage(frames))
        return self._give_up(problem)(frames) if problem else found


class GuardedPose(PoseModel):
    """A pose model on probation: a call that fails is done again by the model before it.

    A model in two halves is called as a whole, so that neither half is without the guard.

    Args:
        stage: the new pose model.
        give_up: is told why; gives the pose model before.
    """

    def __init__(self, stage: PoseModel, give_up: Callable[[str], PoseModel]) -> None:
        self.stage = stage
        self.gives, self.skeleton = stage.gives, stage.skeleton
        self._give_up = give_up

    @property
    def part_limit(self) -> Optional[int]:
        """The guarded model's."""
        return self.stage.part_limit

    @part_limit.setter
    def part_limit(self, limit: Optional[int]) -> None:
        self.stage.part_limit = limit

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """As the pose model itself; the loop sees no failure."""
        found, problem = _tried(lambda: self.stage(frames, people))
        return self._give_up(problem)(frames, people) if problem else found


Found = TypeVar("Found", Detections, Poses)


def _tried(look: Callable[[], List[Found]]) -> Tuple[List[Found], str]:
    """What a call gives, and why it cannot be used; empty = it can."""
    try:
        found = look()
        return found, nonsense(found)
    except EdgeError as error:
        return [], str(error)


def nonsense(made: Sequence[Union[Detections, Poses]]) -> str:
    """Why a result cannot be right; empty when it can."""
    for one in made:
        arrays = [one.boxes, one.scores] + ([one.keypoints] if isinstance(one, Poses) else [])
        if not all(np.isfinite(array).all() for array in arrays):
            return "a network gives numbers that are not finite"
    return ""


class Bundles(Extra, ModelSource):
    """The bundle of a run.

    Args:
        config: says where and how long.

    Raises:
        EdgeError: no key, or no state directory.
    """

    def __init__(self, config: Config) -> None:
        if not config.trust.key_file:
            raise ConfigError("trust.key_file: is empty, but bundle.enabled needs it")
        self._settings = config.bundle
        state = durable.state_dir(config.state.dir, "bundle.enabled")
        durable.make_dir(state / "incoming")  # where `update` looks for files
        self._slots = Slots(state / "bundles")
        self._state = self._slots.begin(config.bundle.max_tries)
        self._running: Optional[Running] = None
        self._installed_dir = config.models.dir
        self._before: Optional[Models] = None  # open while on probation, if it was running
        self._instead: Optional[Models] = None  # what was put in the place of one that failed
        self._from_step = 0

    @property
    def state(self) -> State:
        """What is in use."""
        return self._state

    def applied(self, config: Config) -> Config:
        """The configuration with the models folder of the bundle in use."""
        self._installed_dir = config.models.dir
        return self._using(config, self._state.active)

    def open(self, config: Config) -> Tuple[Config, Models]:
        """The networks to start with; a bundle that cannot be opened is given up.

        Returns:
            The configuration as `applied` gives it, and its networks.

        Raises:
            EdgeError: those of the installation cannot be opened either.
        """
        while self._state.active:
            try:
                applied = self.applied(config)
                return applied, self._guarded(Models(applied))
            except EdgeError as error:
                self._state = self._slots.roll_back(str(error))
        return self.applied(config), Models(config)

    def attach(self, running: Running) -> None:
        """The loop is made; it begins."""
        self._running = running
        self._from_step = running.health.steps

    def tick(self) -> None:
        """After each step: confirm when it is time. The disk is waited for elsewhere."""
        running = self._running
        if self._state.confirmed or running is None:
            return
        if running.health.steps - self._from_step >= self._settings.confirm_frames:
            self._state = dataclasses.replace(self._state, confirmed=True)
            threading.Thread(target=self._confirm, name="bundle", daemon=True).start()

    def install(self, path: Path) -> Dict[str, Any]:
        """Verify a bundle, try it, and switch to it; from any thread but the loop's.

        Returns:
            version, and whether it is in use now or from the next start on.

        Raises:
            EdgeError: why not; everything is as before then.
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
            _try(models)
        except EdgeError:
            models.close()
            raise
        same = models.pose.skeleton == running.models.pose.skeleton
        self._state = self._slots.switch(slot, version)
        if not same:
            models.close()  # trackers, filters and rules would have to begin anew
            return {"version": version, "in_use": "from the next start on"}
        self._swap(running, config, models)
        return {"version": version, "in_use": "now"}

    def close(self) -> None:
        """Close what is kept open beside the networks in use."""
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
            models.detect = GuardedDetector(models.detect, lambda why: self._back(why).detect)
            models.pose = GuardedPose(models.pose, lambda why: self._back(why).pose)
        return models

    def _confirm(self) -> None:
        """In a thread: make it known on the disk, take the guards off, close the networks before.

        Should the disk refuse, the next start counts another try, and confirms again.
        """
        try:
            self._slots.confirm()
        except EdgeError as error:
            log.error("bundle %d works, but that cannot be written: %s", self._state.version, error)
        running = self._running
        assert running is not None

        def change() -> None:
            running.use(_bare(running.models))

        running.pipeline.between_steps(change)
        log.info("bundle %d is confirmed", self._state.version)
        self.close()

    def _back(self, why: str) -> Models:
        """In the loop's thread, in the middle of a step: the networks before, from now on.

        Raises:
            DataError: they give another skeleton, so only a restart can bring them back.
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
        """The configuration with the models folder of a slot."""
        folder = self._slots.path(slot)
        models = dataclasses.replace(
            config.models, dir=str(folder) if folder else self._installed_dir
        )
        return dataclasses.replace(config, models=models)


def _put(running: Running, config: Config, models: Models) -> Models:
    """Between two steps: these networks from now on; gives those before."""
    before = running.use(models)
    running.config = config
    running.publish_engines()
    return before


def _bare(models: Models) -> Models:
    """Without guards."""
    if isinstance(models.detect, GuardedDetector):
        models.detect = models.detect.stage
    if isinstance(models.pose, GuardedPose):
        models.pose = models.pose.stage
    return models


def _try(models: Models) -> None:
    """One step on an empty picture with one candidate.

    Raises:
        DataError: the networks run, but give nonsense. EdgeError: they do not run.
    """
    frame = Frame(np.full((480, 640, 3), 127, np.uint8), 0, 0, "trial")
    box = np.array([[200, 100, 400, 460]], np.float32)
    one = Detections(box, np.ones(1, np.float32))
    points = len(skeletons.get(models.pose.skeleton))
    found = [*models.detect([frame])]
    candidates = Poses.of_boxes(one, points, models.pose.skeleton)
    problem = nonsense([*found, *models.pose([frame], [candidates])])
    if problem:
        raise DataError(f"the bundle's models were tried: {problem}")
