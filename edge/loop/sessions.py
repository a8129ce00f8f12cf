"""Start and stop sessions of the rules that count, while the loop runs."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from edge.errors import ConfigError
from edge.pipeline import CameraStages, Pipeline
from edge.rules import Counting, Mark, counting


def begin(
    pipeline: Pipeline, action: str, name: str, camera: str, person: int, rule: str
) -> Dict[str, Any]:
    """Mark the rules that count; it holds from the next step on. From any thread.

    Args:
        pipeline: the loop.
        action: one of edge.rules.ACTIONS.
        name: of the session that starts.
        camera: of one camera only; empty = of all.
        person: id of the only person who is judged; -1 = everybody.
        rule: of rules of this name, or that look for a template of this name; empty = of all.

    Returns:
        `cameras` and `rules`: names, joined by commas.

    Raises:
        ConfigError: no such rule counts, or a person is named without their camera.
    """
    if person >= 0 and not camera:
        raise ConfigError("person: needs a camera: each camera numbers its people itself")
    mark = Mark(action, name if action == "start" else "", person)
    found = _targets(pipeline.stages, camera, rule)
    if not any(found.values()):
        there = {
            n for rules in _targets(pipeline.stages, camera, "").values() for n in _names(rules)
        }
        known = ", ".join(sorted(there)) or "no rule that counts"
        raise ConfigError(f"rule: no {rule or 'rule'!r} that counts here; there are: {known}")

    def change() -> None:
        # A reload may have replaced the rules since.
        for rules in _targets(pipeline.stages, camera, rule).values():
            for one in rules:
                one.mark(mark)

    pipeline.between_steps(change)
    names = {name for rules in found.values() for name in _names(rules)}
    return {
        "cameras": ",".join(c for c, rules in found.items() if rules),
        "rules": ",".join(sorted(names)),
    }


def _targets(
    stages: Mapping[str, CameraStages], camera: str, rule: str
) -> Dict[str, List[Counting]]:
    return {
        name: [r for r in counting(of.rules) if not rule or rule in r.names()]
        for name, of in dict(stages).items()
        if camera in ("", name)
    }


def _names(rules: List[Counting]) -> List[str]:
    return [rule.names()[0] for rule in rules]
