"""The rule `rom`: the range of motion of a joint, its repetitions, and whether they are as planned.

The angle is measured in the picture, filtered, and refused where the movement is seen from a bad
side or a keypoint is hidden: then nothing is counted, and the summary says `unsure`. docs/rules.md
has the sources of error.

Event data: `name` of the rule; `action` repetition | outside | end | compensation | asymmetry |
set | session; `angle`; and the figures of that action (event.json, $defs/rom).
"""

from __future__ import annotations

from typing import Tuple

from edge.errors import ConfigError
from edge.people import angles
from edge.rules import Rule
from edge.rules._custom.measures import ALIASES, known
from edge.rules._rom.options import Options as Options
from edge.rules._rom.watch import Watch


def build(options: Options) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: no such angle, or bounds that exclude each other.
    """
    which = angles_of(options.angle)
    if options.low_deg + 2 * options.hysteresis_deg >= options.high_deg:
        raise ConfigError("low_deg: must be below high_deg by more than twice hysteresis_deg")
    if not options.name:
        raise ConfigError("name: is empty; give the rule a name")
    if options.max_uneven_deg and len(which) < 2:
        joint = options.angle.partition("_")[2]
        raise ConfigError(f'max_uneven_deg: needs both sides; use angle = "{joint or "knee"}"')
    return Watch(options, which)


def angles_of(name: str) -> Tuple[str, ...]:
    """Full names of the angles that an option means."""
    there = known("angle")
    which = [name] if name in there else [f"{side}_{name}" for side in angles.SIDES]
    if not set(which) <= set(there):
        both = sorted({n.partition("_")[2] for n in there if n.startswith("left_")})
        raise ConfigError(f"angle: no {name!r}; there are: {', '.join([*both, *there])}")
    return tuple(ALIASES.get(n, n) for n in which)
