"""What is worth an event: poses in, events out. Pure: time is an argument.

A rule is a file with `Options` (a frozen dataclass, checked by edge.settings.config.build) and
`build(options) -> Rule`. One Rule object serves one camera.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Protocol

from edge import plug
from edge.errors import ConfigError
from edge.settings.config import build
from edge.structures import PoseEvent, Poses


class Rule(Protocol):
    """Looks at each frame's people and tells what happened."""

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame; t_ns is the frame's capture time. Called for N = 0 too."""


def build_rule(table: Mapping[str, Any], where: str) -> Rule:
    """Make a rule from its `[[rules]]` table.

    Args:
        table: `kind`, and the options of that kind.
        where: the table's place in the file, for messages ("rules[0]").

    Raises:
        ConfigError: no kind, unknown kind, or an option that is wrong.
    """
    options: Dict[str, Any] = dict(table)
    kind = options.pop("kind", None)
    options.pop("cameras", None)
    if not isinstance(kind, str):
        raise ConfigError(f"{where}.kind: is missing; there are: {', '.join(plug.names('rules'))}")
    module = plug.load("rules", kind)
    checked = build(module.Options, options, where)
    try:
        rule: Rule = module.build(checked)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from error
    return rule
