"""Rules turn the poses of a camera into events. Pure: time is an argument.

Each rule is one file. It has `Options`, a frozen dataclass that edge.settings.config.build checks,
and `build(options) -> Rule`, or `build(options, ground) -> Rule` and `ON_GROUND = True` if it can
measure in metres. One Rule object serves one camera. An event of a rule says why it was
reported, and how urgent it is. What all rules may be told besides is in _reporting.py.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Protocol

from edge import plug
from edge.errors import ConfigError
from edge.rules import _reporting
from edge.rules._reporting import LocalMinute as LocalMinute  # for other rooms
from edge.rules._sessions import ACTIONS as ACTIONS
from edge.rules._sessions import Counting as Counting
from edge.rules._sessions import Mark as Mark
from edge.rules._sessions import Plan as Plan
from edge.rules._sessions import counting as counting
from edge.scene.ground import Ground
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


def no_date(t_ns: int) -> Optional[float]:
    """No local time is known."""
    return None


def build_rule(table: Mapping[str, Any], where: str, local_minute: LocalMinute = no_date) -> Rule:
    """Make a rule from a `[[rules]]` table.

    Args:
        table: `kind`, the options of that kind, and those of every rule (edge.rules._reporting).
            `ground`, a Ground that `on_ground` put there, is the floor of the camera.
        where: key path of the table for error lines, such as "rules[0]".
        local_minute: minute of the local day at a monotonic time in ns, None = not known.

    Raises:
        ConfigError: `kind` is missing or unknown, or an option is wrong.
    """
    options: Dict[str, Any] = dict(table)
    kind = options.pop("kind", None)
    options.pop("cameras", None)
    ground = options.pop("ground") if isinstance(options.get("ground"), Ground) else None
    if not isinstance(kind, str):
        raise ConfigError(f"{where}.kind: is missing; there are: {', '.join(plug.names('rules'))}")
    module = plug.load("rules", kind)
    shared = {name: options.pop(name) for name in _reporting.names() if name in options}
    reported = build(_reporting.Options, shared, where)
    checked = build(module.Options, options, where, also=_reporting.names())
    try:
        rule: Rule = module.build(checked, ground) if on_ground(kind) else module.build(checked)
        if reported == _reporting.Options():
            return rule
        return _reporting.Reporting(rule, reported, local_minute)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from error


def on_ground(kind: object) -> bool:
    """Whether rules of a kind can measure in metres, with the ground of their camera."""
    known = isinstance(kind, str) and kind in plug.names("rules")
    return known and bool(getattr(plug.load("rules", str(kind)), "ON_GROUND", False))
