"""Builds a loop that can run from a configuration."""

from __future__ import annotations

import contextlib
from typing import Callable, Dict, Mapping, Optional, Protocol, Sequence, Tuple

from edge import skeletons
from edge.capture import Cameras, FrameMemory
from edge.health import Health
from edge.loop.assemble import Finish, Models, build_stages
from edge.loop.carry import Carry
from edge.loop.parts import Extra, Receive, Running, timed, timed_scenes
from edge.loop.rate_limit import RateLimit
from edge.loop.scenes import SceneStage, build_scenes
from edge.people.look_schedule import Pacing
from edge.pipeline import Pipeline
from edge.publish import Publisher, never_stop
from edge.settings.config import Config
from edge.stages import CameraStages


class ModelSource(Protocol):
    """Where the networks of a run come from."""

    def applied(self, config: Config) -> Config:
        """A configuration with the models folder in use."""

    def open(self, config: Config) -> Tuple[Config, Models]:
        """Open the networks to start with.

        Returns:
            The configuration as `applied` gives it, and its networks.

        Raises:
            EdgeError: they cannot be opened.
        """


class Installed(ModelSource):
    """The models folder that the configuration names."""

    def applied(self, config: Config) -> Config:
        """The configuration itself."""
        return config

    def open(self, config: Config) -> Tuple[Config, Models]:
        """Open the networks that the configuration names."""
        return config, Models(config)


def build(
    config: Config,
    stack: contextlib.ExitStack,
    source: ModelSource,
    extras: Sequence[Extra] = (),
    memory: Optional[FrameMemory] = None,
    stop: Callable[[], bool] = never_stop,
    goodbye_s: Callable[[], float] = lambda: 3.0,
) -> Running:
    """Make the parts of a loop and join them; cameras and engines are not started yet.

    Args:
        config: complete and checked.
        stack: closes the loop.
        source: opens the networks.
        extras: run beside the loop; attached here, in this order.
        memory: frames live in it; None = plain memory.
        stop: when it gives true, no sink waits any longer.
        goodbye_s: gives the time that the sinks may take to close.

    Raises:
        EdgeError: a part cannot be made; those made before are closed.
    """
    with contextlib.ExitStack() as undo:
        for extra in extras:
            undo.callback(extra.close)
        config, models = source.open(config)
        undo.callback(models.close)
        stages = build_stages(config, models.pose.skeleton)
        finish = Finish(config, models.pose.skeleton)
        scenes = build_scenes(config, finish.skeleton)
        cameras = Cameras(config.cameras, config.capture, memory)
        publisher = Publisher(
            config, models.sha256(), cameras.lossless, stop, listen=_filters(extras)
        )
        running = _joined(config, models, cameras, publisher, stages, finish, scenes)
        undo.pop_all()
    running.extras, running.goodbye_s = extras, goodbye_s
    stack.callback(running.close)
    for extra in extras:
        extra.attach(running)
    return running


def _filters(extras: Sequence[Extra]) -> Dict[str, Receive]:
    return {topic: take for extra in extras for topic, take in extra.listen().items()}


def _joined(
    config: Config,
    models: Models,
    cameras: Cameras,
    publisher: Publisher,
    stages: Mapping[str, CameraStages],
    finish: Finish,
    scenes: Sequence[SceneStage],
) -> Running:
    health, rate_limit = Health(), RateLimit(cameras)
    detect, pose, parts = timed(models, health)
    pipeline = Pipeline(
        cameras=rate_limit,
        detect=detect,
        pose=pose,
        parts=parts,
        concurrent=models.concurrent,
        carry=Carry.of(config.pose, skeletons.get(models.pose.skeleton)),
        stages=stages,
        publisher=publisher,
        pacing=Pacing.of(config.detect),
        finish=finish,
        scenes=timed_scenes(scenes, health),
        health=health,
    )
    return Running(config, models, cameras, rate_limit, publisher, pipeline, health, scenes=scenes)
