"""Scenes of a run: the people of several calibrated cameras, joined in each step."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import List, Sequence, Set

from edge import skeletons
from edge.errors import ConfigError, EdgeError
from edge.rig.files import read_rig
from edge.scene.pairing import Pairing
from edge.scene.rig import Rig
from edge.scene.room import Room
from edge.scene_structures import SceneFrame
from edge.settings.config import Config
from edge.settings.sections import Scene
from edge.structures import Frame, Poses

log = logging.getLogger(__name__)


class SceneStage:
    """Joins the people of a scene's cameras; called in the thread of `tell`.

    A step may have frames of some cameras only. Pictures may be larger or smaller than the
    calibrated ones. A camera whose pictures have another shape is left out, and one line says so.

    Args:
        settings: of the scene, complete.
        rig: its cameras, in the order and with the names of the configuration.
        skeleton: name of the keypoint set that is published.
    """

    def __init__(self, settings: Scene, rig: Rig, skeleton: str) -> None:
        self.settings, self._as_read = settings, rig
        points = skeletons.get(skeleton)
        self.room = Room(settings.name, rig, points, settings.hold_bones)
        self._pairing = Pairing(
            len(rig),
            len(points),
            round(settings.max_gap_ms * 1e6),
            [round(ms * 1e6) for ms in settings.delays_ms],
        )
        self._rows = {name: row for row, name in enumerate(rig.names)}
        self._refused: Set[str] = set()

    def same_as(self, other: SceneStage) -> bool:
        """Whether another stage would do the same; calibrations are compared by their numbers."""
        return (
            self.settings == other.settings
            and self.room.skeleton == other.room.skeleton
            and self._as_read.same_as(other._as_read)
        )

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> List[SceneFrame]:
        """The people of the next instant that all live cameras have reached; [] = not yet."""
        for frame, people in zip(frames, poses):
            row = self._rows.get(frame.camera, -1)
            if row >= 0 and self._fits(row, frame):
                self._pairing.add(row, people, frame.t_ns)
        views = self._pairing.instant()
        return [] if views is None else [self.room(views)]

    def _fits(self, row: int, frame: Frame) -> bool:
        if tuple(self.room.rig.sizes[row]) == frame.size:
            return True
        try:
            self.room.resized(row, frame.size)
        except ValueError as error:
            if frame.camera not in self._refused:
                self._refused.add(frame.camera)
                log.warning("scene %s: leaves %s out: %s", self.settings.name, frame.camera, error)
            return False
        return True


def build_scenes(config: Config, skeleton: str) -> List[SceneStage]:
    """The scenes of a configuration.

    Args:
        config: complete and checked.
        skeleton: name of the keypoint set that is published.

    Raises:
        EdgeError: a calibration cannot be used.
    """
    return [
        SceneStage(scene, rig_of(scene, f"scenes[{i}]"), skeleton)
        for i, scene in enumerate(config.scenes)
    ]


def rig_of(scene: Scene, where: str) -> Rig:
    """The cameras of a scene, from its calibration.

    Raises:
        EdgeError: it cannot be read, or lacks a camera.
    """
    try:
        rig = read_rig(Path(scene.calibration), scene.unit_m)
    except EdgeError as error:
        raise type(error)(f"{where}.calibration: {error}") from error
    for view in scene.views:
        if view not in rig.names:
            raise ConfigError(
                f"{where}.views: {scene.calibration} has no camera {view!r}; there are: "
                f"{', '.join(rig.names)}"
            )
    return rig.take([rig.names.index(view) for view in scene.views]).renamed(scene.cameras)
