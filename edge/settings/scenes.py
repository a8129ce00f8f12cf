"""Checks what concerns the [[scenes]] tables together with the cameras."""

import dataclasses
from typing import List, Sequence

from edge.errors import ConfigError
from edge.settings.sections import Scene

FEWEST = 2
MOST_DELAY_MS = 10_000.0


def completed(scenes: Sequence[Scene], cameras: Sequence[str]) -> List[Scene]:
    """Scenes with the names of their cameras, and of these in the calibration.

    Raises:
        ConfigError: two scenes have one name, a scene has fewer than two cameras, or a list does
            not fit to its cameras.
    """
    done: List[Scene] = []
    for i, scene in enumerate(scenes):
        if scene.name in [s.name for s in done]:
            raise ConfigError(
                f"scenes[{i}].name: {scene.name!r} is taken by an earlier scene; choose another"
            )
        if scene.name == "event":  # its topic would be that of an event
            raise ConfigError(f"scenes[{i}].name: 'event' has another meaning; choose another name")
        done.append(_completed(scene, f"scenes[{i}]", cameras))
    return done


def _completed(scene: Scene, where: str, cameras: Sequence[str]) -> Scene:
    own = list(scene.cameras or cameras)
    for name in own:
        if name not in cameras:
            raise ConfigError(
                f"{where}.cameras: no camera {name!r}; there are: {', '.join(cameras)}"
            )
        if own.count(name) > 1:
            raise ConfigError(f"{where}.cameras: {name!r} is there twice; remove one")
    if cameras and len(own) < FEWEST:
        raise ConfigError(
            f"{where}.cameras: a scene needs {FEWEST} cameras or more, not {len(own)}"
        )
    for key in ("views", "delays_ms"):
        given = getattr(scene, key)
        if given and len(given) != len(own):
            raise ConfigError(
                f"{where}.{key}: has {len(given)} entries for {len(own)} cameras; give one each"
            )
    for delay_ms in scene.delays_ms:
        if not abs(delay_ms) <= MOST_DELAY_MS:
            raise ConfigError(f"{where}.delays_ms: {delay_ms:g} is not within {MOST_DELAY_MS:g} ms")
    return dataclasses.replace(
        scene,
        cameras=own,
        views=list(scene.views or own),
        delays_ms=list(scene.delays_ms or [0.0] * len(own)),
    )
