"""Makes the objects of the loop from a checked configuration."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, cast

from edge import skeletons
from edge.errors import ConfigError, NoInputError
from edge.loop import cpu_verdicts
from edge.loop.cpu_verdicts import Verdicts
from edge.loop.engines import Engines
from edge.loop.engines import network_file as network_file  # for other rooms
from edge.loop.grounds import with_ground
from edge.loop.lenses import build_lenses
from edge.loop.local_time import LocalTime
from edge.loop.temporal_network import TemporalNetwork
from edge.models import (
    Detector,
    Gives,
    Model,
    ModelOptions,
    PoseModel,
    input_shapes,
    load_model,
)
from edge.models._preprocess.crops import one_thread_a_crop
from edge.people.camera_motion import CameraMotion
from edge.people.colours import colours_of
from edge.people.smoother import Smoother
from edge.people.temporal import Temporal
from edge.people.tracker import Tracker
from edge.recipe import INSTALLED_MODELS, Recipe, load_recipe
from edge.rules import LocalMinute, Rule, build_rule
from edge.runtime import Read, Runner, read_plain
from edge.runtime._core_pool import CorePool
from edge.settings import templates
from edge.settings.config import Config
from edge.stages import CameraStages
from edge.structures import Poses

log = logging.getLogger(__name__)

HERE_MODELS = Path("engines")
SOURCE_MODELS = Path(__file__).resolve().parents[2] / "engines"


def models_dir(config: Config) -> Path:
    """The folder of models: the configured one, else the default one.

    Raises:
        NoInputError: the configured folder does not exist.
    """
    if config.models.dir:
        folder = Path(config.models.dir)
        if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for names too long
            raise NoInputError(f"models.dir: {folder}: no such folder")
        return folder
    return default_models()


def default_models() -> Path:
    """The first folder that exists: ./engines, the installed one, that of the source tree."""
    places = (HERE_MODELS, INSTALLED_MODELS, SOURCE_MODELS)
    there = (d for d in places if os.path.isdir(d))  # noqa: PTH112 - is_dir raises in a closed folder
    return next(there, HERE_MODELS)


def trusted_read(folder: Path, key_file: str) -> Read:
    """The function that reads files of models.

    Args:
        folder: of the models.
        key_file: public key of the operator; with one, only signed files are read.

    Raises:
        EdgeError: the key or the manifest cannot be used.
    """
    if not key_file:
        return read_plain
    from edge.keys.trust import open_trust  # loads a library that only this needs

    return open_trust(folder, key_file).read


class Models:
    """The detector and the pose model of a run, with their networks opened.

    Args:
        config: names the models, and says how they are executed.
        wrap: called with each network's name (model/network) and runner; gives the runner to use.

    Raises:
        EdgeError: a model cannot be opened, or is in the wrong place.
    """

    def __init__(
        self, config: Config, wrap: Callable[[str, Runner], Runner] = lambda name, runner: runner
    ) -> None:
        self.runners: Dict[str, Runner] = {}
        self._wrap = wrap
        self._config = config
        self._folder = models_dir(config)
        self._read = trusted_read(self._folder, config.trust.key_file)
        verdicts = Verdicts(cpu_verdicts.folder(config.state.dir))
        signed = bool(config.trust.key_file)
        self.engines = Engines(config.runtime, self._read, signed, verdicts=verdicts)
        self._pool = CorePool(config.runtime.threads or len(os.sched_getaffinity(0)))
        try:
            self.detect = cast(Detector, self._load(config.detect.model, config.detect.min_score))
            self.pose = cast(PoseModel, self._load(config.pose.model, 0.0))
            check_roles(config, self.detect.gives, self.pose.gives)
            if config.pose.world and not self.pose.gives_world:
                name = config.pose.model
                raise ConfigError(f"pose.world: {name!r} gives no joints in metres; use blazepose")
        except BaseException:
            self.close()
            raise

    def runs(self) -> Dict[str, int]:
        """Executions of each network so far."""
        return {name: runner.runs for name, runner in self.runners.items()}

    def concurrent(self) -> bool:
        """Whether the pose model's networks may run at the same time."""
        pose = f"{self._config.pose.model}/"
        return all(r.concurrent for n, r in self.runners.items() if n.startswith(pose))

    def sha256(self) -> Dict[str, str]:
        """Hash of each network's file, as it was loaded."""
        return {name: runner.sha256 for name, runner in self.runners.items()}

    def close(self) -> None:
        """Close every network; may be called twice."""
        self.engines.close()
        for runner in self.runners.values():
            runner.close()
        self._pool.close()

    def _load(self, name: str, min_score: float) -> Model:
        if name == "none":
            return load_model(Recipe(family="none", networks={}), {}, ModelOptions())
        folder = self._folder / name
        recipe = load_recipe(folder, self._read)
        options = ModelOptions(
            min_score,
            self._config.detect.nms_iou,
            self._config.detect.max_people,
            self._config.crowd,
            self._config.detect.suppression,
            self._config.pose.world,
        )
        return load_model(recipe, self._open(folder, recipe), options)

    def _open(self, folder: Path, recipe: Recipe) -> Mapping[str, Runner]:
        shapes = input_shapes(recipe)
        opened: Dict[str, Runner] = {}
        pool = self._pool if len(recipe.networks) > 1 else None  # a single one uses all cores
        for name, network in recipe.networks.items():
            full = f"{folder.name}/{name}"
            self.runners[full] = self.engines.open(folder, name, network, shapes[name], pool)
            self.runners[full] = opened[name] = self._wrap(full, self.runners[full])
        choices = [self.engines.choices[f"{folder.name}/{name}"] for name in opened]
        if pool and all(choice.runtime != "trt" for choice in choices):
            one_thread_a_crop()
        return opened


def check_roles(config: Config, detect: Gives, pose: Gives) -> None:
    """Refuse a pose model as detector, a detector as pose model, and a missing detector.

    Args:
        config: names both models.
        detect: what the model of detect.model gives.
        pose: what the model of pose.model gives.

    Raises:
        ConfigError: a model is in the wrong place; the message names the key.
    """
    name = config.pose.model
    if pose is Gives.BOXES:
        raise ConfigError(f"pose.model: {name!r} finds boxes, not poses: it is a detect.model")
    if detect is not Gives.BOXES:
        raise ConfigError(
            f"detect.model: {config.detect.model!r} gives poses, not boxes; use it as pose.model "
            'with detect.model = "none"'
        )
    if config.detect.model == "none" and pose is Gives.POSES:
        raise ConfigError(f"detect.model: pose.model {name!r} needs a detector, so not 'none'")


def build_stages(config: Config, skeleton: str) -> Dict[str, CameraStages]:
    """The tracker, the smoother, the lens and the rules of each camera, by its name.

    Args:
        config: complete and checked.
        skeleton: name of the keypoint set that the pose model gives.

    Raises:
        ConfigError: a rule that cannot be built. EdgeError: a lens that cannot be used.
    """
    stages: Dict[str, CameraStages] = {}
    keypoints, options = skeletons.get(skeleton), config.smooth
    lenses = build_lenses(config)
    network = TemporalNetwork() if options.enabled and options.temporal else None
    for i, camera in enumerate(config.cameras):
        smooth = Smoother(options, keypoints, Temporal(network) if network else None)
        wear = partial(colours_of, body17=keypoints.body17)
        stages[camera.name] = CameraStages(
            tracker=Tracker(config.track, keypoints),
            smooth=smooth if options.enabled else _unsmoothed,
            camera_motion=CameraMotion() if config.track.moving_camera else None,
            colours=wear if config.track.clothes else None,
            rules=build_rules(config, camera.name),
            phase=i / len(config.cameras),
            consistency=smooth.consistency,
            lens=lenses.get(camera.name),
        )
    return stages


def build_rules(
    config: Config, camera: str, local_minute: Optional[LocalMinute] = None
) -> List[Rule]:
    """The rules for a camera, in the order of `rule_tables`.

    Args:
        config: complete and checked.
        camera: name.
        local_minute: the local time for their hours; None = that of this machine.

    Raises:
        ConfigError: a rule that cannot be built.
    """
    clock = local_minute or LocalTime()
    return [build_rule(table, f"rules[{i}]", clock) for i, table in rule_tables(config, camera)]


def rule_tables(config: Config, camera: str) -> List[Tuple[int, Dict[str, Any]]]:
    """The [[rules]] tables for a camera, with their positions in the configuration.

    A template that a table names by file is in it with its content, and so is the ground of the
    camera.

    Raises:
        EdgeError: there is no such template, or a calibration cannot be read.
    """
    tables = [(i, t) for i, t in enumerate(config.rules) if camera in t.get("cameras", [camera])]
    full = [(i, templates.resolved(table, f"rules[{i}]")) for i, table in tables]
    return [(i, with_ground(table, config, camera)) for i, table in full]


def _unsmoothed(poses: Poses, t_ns: int) -> Poses:
    return poses


class Finish:
    """Drops weak people and converts keypoints; the last step before the rules.

    Args:
        config: has the lowest score and the skeleton to publish.
        skeleton: name of the keypoint set that the pose model gives.

    Raises:
        ConfigError: there is no such skeleton.
    """

    def __init__(self, config: Config, skeleton: str) -> None:
        self._min_score = config.pose.min_score
        self.skeleton = config.pose.skeleton or skeleton  # what is published
        if self.skeleton not in skeletons.names():
            there = ", ".join(skeletons.names())
            raise ConfigError(f"pose.skeleton: no skeleton {self.skeleton!r}; there are: {there}")

    def __call__(self, poses: Poses) -> Poses:
        """Give the people who are strong enough, in the skeleton to publish."""
        strong = poses.person_scores >= self._min_score
        kept = poses if strong.all() else poses.take(strong)
        if kept.skeleton == self.skeleton:
            return kept
        return skeletons.convert_poses(kept, self.skeleton)
