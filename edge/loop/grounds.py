"""The floor of each camera in metres: of a [[grounds]] table, or of a scene."""

from __future__ import annotations

from typing import Any, Dict, Optional

from edge.errors import ConfigError
from edge.lens import Lens
from edge.loop.lenses import lens_of_camera
from edge.loop.scenes import rig_of
from edge.rules import on_ground
from edge.scene.ground import Ground, of_rig
from edge.settings.config import Config


def with_ground(table: Dict[str, Any], config: Config, camera: str) -> Dict[str, Any]:
    """A `[[rules]]` table with the ground of a camera, if rules of its kind can use one.

    Raises:
        EdgeError: the calibration of a scene cannot be read.
    """
    if not on_ground(table.get("kind")):
        return table
    ground = ground_of(config, camera)
    return table if ground is None else {**table, "ground": ground}


def ground_of(config: Config, camera: str) -> Optional[Ground]:
    """The floor of a camera: of its [[grounds]] table, else z = 0 of the first scene that has it.

    Args:
        config: complete and checked.
        camera: name.

    Raises:
        EdgeError: the calibration cannot be read.
    """
    for own in config.grounds:
        if own.camera == camera:
            matrix = tuple([number for row in own.matrix for number in row])
            return Ground(matrix, _lens_of(config, camera) if own.lens else None)
    for i, scene in enumerate(config.scenes):
        if camera in scene.cameras:
            rig = rig_of(scene, f"scenes[{i}]")
            return of_rig(rig, rig.names.index(camera))
    return None


def _lens_of(config: Config, camera: str) -> Lens:
    """The lens of a camera that has one; Raises EdgeError: it cannot be used."""
    i = next(i for i, c in enumerate(config.cameras) if c.name == camera)
    lens = lens_of_camera(config.cameras[i], f"cameras[{i}]")
    if lens is None:
        raise ConfigError(f"grounds: camera {camera!r} has no lens; remove lens = true")
    return lens
