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


def check(grounds: Sequence[Ground], cameras: Sequence[str]) -> None:
    """Check the grounds of a configuration.

    Args:
        grounds: one a camera.
        cameras: names of all cameras.

    Raises:
        ConfigError: a camera is not there or has two grounds, or a matrix is none.
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
        problem = _problem(ground.matrix)
        if problem:
            raise ConfigError(f"grounds[{i}].matrix: {problem}")
        seen.append(ground.camera)


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
