"""Rules turn the poses of a camera into events. Pure: time is an argument.

Each rule is one file. It has `Options`, a frozen dataclass that edge.settings.config.build checks,
and `build(options) -> Rule`. One Rule object serves one camera.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Protocol

from edge import plug
from edge.errors import ConfigError
from edge.settings.config import build
from edge.structures import PoseEvent, Poses, RuleSummary


class Rule(Protocol):
    """Turns the people of each frame into events."""

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame, called for empty frames too.

        Args:
            poses: [N] people; borrowed.
            camera: name of the camera.
            t_ns: capture time of the frame.
        """

    def summary(self) -> RuleSummary:
        """The rule's view of its camera after the last frame."""


def build_rule(table: Mapping[str, Any], where: str) -> Rule:
    """Make a rule from a `[[rules]]` table.

    Args:
        table: `kind`, and the options of that kind.
        where: key path of the table for error lines, such as "rules[0]".

    Raises:
        ConfigError: `kind` is missing or unknown, or an option is wrong.
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
