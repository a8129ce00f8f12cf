"""The [[grounds]] tables: the floor of a camera in metres."""

import math
from dataclasses import dataclass
from typing import List, Optional, Sequence

from edge.errors import ConfigError
from edge.settings.schema import key

_SINGULAR = 1e-12


@dataclass(frozen=True)
class Ground:
    """The floor as one camera sees it, for rules in metres; `edge-tools ground` writes it."""

    camera: str = key(help="name of the camera")
    matrix: List[List[float]] = key(
        help="three rows of three numbers: they make metres of the floor from px of the picture"
    )
    lens: Optional[bool] = key(
        None,
        "true = from px without the lens of the camera, false = from px as they are seen; needed "
        "where the camera has a lens",
    )


def check(grounds: Sequence[Ground], cameras: Sequence[str], lenses: Sequence[str] = ()) -> None:
    """Check the grounds of a configuration.

    Args:
        grounds: one a camera.
        cameras: names of all cameras.
        lenses: names of the cameras whose lens is given.

    Raises:
        ConfigError: a camera is not there or has two grounds, a matrix is none, or it is not said
            whether it takes px without the lens.
    """
    seen: List[str] = []
    for i, ground in enumerate(grounds):
        if ground.camera not in cameras:
            there = ", ".join(cameras)
            raise ConfigError(
                f"grounds[{i}].camera: no camera {ground.camera!r}; there are: {there}"
            )
        if ground.camera in seen:
            raise ConfigError(f"grounds[{i}].camera: {ground.camera!r} has a ground; remove one")
        _check_lens(ground, i, lenses)
        problem = _problem(ground.matrix)
        if problem:
            raise ConfigError(f"grounds[{i}].matrix: {problem}")
        seen.append(ground.camera)


def _check_lens(ground: Ground, i: int, lenses: Sequence[str]) -> None:
    if ground.lens is None and ground.camera in lenses:
        raise ConfigError(
            f"grounds[{i}].lens: is missing, because camera {ground.camera!r} has a lens; make the "
            "table again with edge-tools ground --config, or write false if its matrix takes px as "
            "they are seen"
        )
    if ground.lens and ground.camera not in lenses:
        raise ConfigError(
            f"grounds[{i}].lens: camera {ground.camera!r} has no lens; give it its "
            "[cameras.lens] table"
        )


def _problem(rows: Sequence[Sequence[float]]) -> Optional[str]:
    if len(rows) != 3 or any(len(row) != 3 for row in rows):
        return "use three rows of three numbers, as edge-tools ground writes them"
    if not all(math.isfinite(value) for row in rows for value in row):
        return "a number is not finite"
    (a, b, c), (d, e, f), (g, h, i) = rows
    volume = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    lengths = [math.sqrt(sum(value * value for value in row)) for row in rows]
    if abs(volume) <= _SINGULAR * lengths[0] * lengths[1] * lengths[2]:
        return "its rows depend on each other; make it again with edge-tools ground"
    return None
