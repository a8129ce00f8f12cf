"""Start, pause and stop sessions of the rules that count, while the loop runs."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, Dict, List, Mapping, Optional, Sequence

from edge.errors import ConfigError
from edge.loop.session_request import Request
from edge.pipeline import Pipeline
from edge.rules import Counting, Mark, Plan, build_rule, counting
from edge.settings import templates
from edge.stages import CameraStages

_PLAN = re.compile(r"(\d{1,3})x(\d{1,4})(?:x(\d{1,3}(?:\.\d)?))?")


def begin(
    pipeline: Pipeline, wanted: Request, tables: Sequence[Mapping[str, Any]] = ()
) -> Dict[str, Any]:
    """Mark the rules that count; it holds from the next step on. From any thread.

    Args:
        pipeline: the loop.
        wanted: what to do, for whom.
        tables: the `[[rules]]` of the configuration; templates that they name can be asked for.

    Returns:
        `cameras` and `rules`: names, joined by commas.

    Raises:
        ConfigError: no such rule counts, a person is named without their camera, or the plan or the
            template is wrong.
    """
    mark = _mark(wanted, tables)
    chosen = _targets(pipeline.stages, wanted)
    if not any(chosen.values()):
        raise ConfigError(_nothing(pipeline.stages, wanted))

    def change() -> None:
        # A reload may have replaced the rules since.
        for camera, rules in _targets(pipeline.stages, wanted).items():
            for one in rules:
                one.mark(mark)
            if rules:
                pipeline.marked(camera, [one.names()[0] for one in rules], mark.table())

    pipeline.between_steps(change)
    names = {rule.names()[0] for rules in chosen.values() for rule in rules}
    return {
        "cameras": ",".join(c for c, rules in chosen.items() if rules),
        "rules": ",".join(sorted(names)),
    }


def _mark(wanted: Request, tables: Sequence[Mapping[str, Any]]) -> Mark:
    placed = wanted.x_px >= 0 or wanted.y_px >= 0
    starts = {
        "plan": bool(wanted.plan),
        "template": bool(wanted.template),
        "person": wanted.person >= 0,
        "x_px": placed,
    }
    if wanted.action != "start":
        for name in [name for name, given in starts.items() if given]:
            raise ConfigError(f"{name}: goes with action start only")
        return Mark(wanted.action)
    if (wanted.person >= 0 or placed) and not wanted.camera:
        name = "person" if wanted.person >= 0 else "x_px"
        raise ConfigError(f"{name}: needs a camera: each camera has people and pixels of its own")
    if placed and (wanted.person >= 0 or min(wanted.x_px, wanted.y_px) < 0):
        raise ConfigError("x_px: a place is x_px and y_px, without person")
    place = complex(wanted.x_px, wanted.y_px) if placed else None
    template = _template(wanted.template, tables)
    plan = _plan(wanted.plan)
    return Mark("start", wanted.name, wanted.person, place, plan, template)


def _plan(text: str) -> Optional[Plan]:
    if not text:
        return None
    found = _PLAN.fullmatch(text)
    if not found or not int(found.group(1)) or not int(found.group(2)):
        raise ConfigError(
            f"plan: {text!r}: write SETSxREPETITIONS, such as 3x10, or 3x10x5 to hold each for 5 s"
        )
    sets, reps, hold_s = found.groups()
    return Plan(int(sets), int(reps), float(hold_s or 0))


def _template(name: str, tables: Sequence[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    """The table of a template: shipped, or named by the configuration. No other file is read."""
    if not name:
        return None
    named = [t["template"] for t in tables if isinstance(t.get("template"), str)]
    there = {PurePath(one).stem: one for one in [*templates.names(), *named]}
    if name not in there:
        raise ConfigError(f"template: no {name!r}; there are: {', '.join(sorted(there))}")
    table = templates.read(there[name])
    build_rule({"kind": "action", "template": table}, "session")  # refuses a wrong file
    return table


def _targets(stages: Mapping[str, CameraStages], wanted: Request) -> Dict[str, List[Counting]]:
    """The rules to mark, by camera."""
    found: Dict[str, List[Counting]] = {}
    for name, of in dict(stages).items():
        if wanted.camera in ("", name):
            rules = [r for r in counting(of.rules) if not wanted.rule or wanted.rule in r.names()]
            found[name] = _for_template(rules, wanted.template) if wanted.template else rules
    return found


def _for_template(rules: Sequence[Counting], template: str) -> List[Counting]:
    """The rule that looks for a template; if none does, the first that looks for any."""
    able = [rule for rule in rules if rule.looks_for()]
    return ([rule for rule in able if rule.looks_for() == template] or able)[:1]


def _nothing(stages: Mapping[str, CameraStages], wanted: Request) -> str:
    """Why no rule is meant."""
    there = {
        name
        for camera, of in dict(stages).items()
        if wanted.camera in ("", camera)
        for rule in counting(of.rules)
        for name in rule.names()[:1]
        if rule.looks_for() or not wanted.template
    }
    if wanted.template:
        known = ", ".join(sorted(there)) or "none"
        return f"template: needs a rule action here that looks for it; there are: {known}"
    known = ", ".join(sorted(there)) or "no rule that counts"
    return f"rule: no {wanted.rule or 'rule'!r} that counts here; there are: {known}"
