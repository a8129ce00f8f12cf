"""From the text of an expression to a function over people.

The text is parsed by a grammar and becomes a tree of closures. Nothing of it is executed as Python.
Its length and depth are bounded, so its time is.
"""

from __future__ import annotations

import difflib
import operator
import re
from dataclasses import dataclass, field
from typing import Any, Callable, List, Sequence, Tuple

import lark
import numpy as np

from edge.errors import ConfigError
from edge.rules._custom import units
from edge.rules._custom.measures import FUNCTIONS, Measure, Scene, known

MAX_CHARACTERS = 1000
MAX_DEPTH = 32
MAX_FOR_S = 3600
GRAMMAR = r"""
start: either ["for" NUMBER "s"]
?either: both ("or" both)*
?both: single ("and" single)*
?single: "not" single -> negated
    | compared
?compared: sum (COMPARED sum)?
?sum: product (SIGN product)*
?product: factor (TIMES factor)*
?factor: NUMBER [UNIT] -> number
    | SIGN factor -> signed
    | WORD "(" [NAME ("," NAME)*] ")" -> called
    | "(" either ")"
COMPARED: "<=" | ">=" | "<" | ">"
SIGN: "+" | "-"
TIMES: "*" | "/"
UNIT.2: "deg/s" | "deg" | "H/s" | "H" | "px/s" | "px" | "s"
NUMBER: /[0-9]+(\.[0-9]+)?|\.[0-9]+/
NAME: /"[^"]{0,64}"/
WORD: /[a-z_]+/
%ignore /[ \t]+/
"""
_PREFIX = re.compile(r"not\b|[-+]")
_PREFIXES = re.compile(r"(?:(?:not\b|[-+])[ \t(]*)+")
_PARSER = lark.Lark(GRAMMAR, parser="lalr", propagate_positions=True)

Numbers = Callable[[Scene], np.ndarray]
# True or false for each person, and whether that is known: [N] bool each.
Truth = Callable[[Scene], Tuple[np.ndarray, np.ndarray]]
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Number:
    """A part of an expression with a value and a unit."""

    value: Numbers
    unit: units.Unit


@dataclass
class Expression:
    """A condition and how long it must hold.

    Attributes:
        holds: whether it holds for each person, and whether that is known.
        measures: what it measures, in the order of the text.
        for_s: it must hold for this long.
    """

    holds: Truth = field(repr=False, default=lambda scene: (np.zeros(0, bool), np.zeros(0, bool)))
    measures: List[Measure] = field(default_factory=list)
    for_s: float = 0.0


def parse(text: str, zones: Sequence[str], key: str = "when") -> Expression:
    """Make an expression.

    Args:
        text: such as `angle("left_elbow") < 40 deg for 0.3 s`.
        zones: names that `inside` may have.
        key: of the text in the configuration, for error lines.

    Raises:
        ConfigError: one line with a caret in the text where it is wrong, and what is allowed.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{key}: has {len(text)} characters; {MAX_CHARACTERS} are allowed")
    if _depth(text) > MAX_DEPTH:
        raise ConfigError(f"{key}: is nested deeper than {MAX_DEPTH} brackets, signs and nots")
    try:
        tree = _PARSER.parse(text)
    except lark.exceptions.UnexpectedInput as error:
        end = getattr(getattr(error, "token", None), "type", "") == "$END"
        at = len(text) if end else int(error.pos_in_stream or 0)
        raise ConfigError(_marked(key, text, at, _expected(text, at))) from error
    return _Compiler(text, zones, key).whole(tree)


class _Compiler:
    """Turns a tree into closures and collects what they measure."""

    def __init__(self, text: str, zones: Sequence[str], key: str) -> None:
        self._text, self._zones, self._key = text, list(zones), key
        self._made = Expression()

    def whole(self, tree: Any) -> Expression:
        condition, duration = tree.children
        self._made.holds = self._condition(condition)
        self._made.for_s = float(duration or 0)
        if self._made.for_s > MAX_FOR_S:
            raise self._wrong(duration, f"use {MAX_FOR_S} s at most")
        return self._made

    def _condition(self, node: Any) -> Truth:
        if node.data in ("either", "both"):
            parts = [self._condition(child) for child in node.children]
            return _joined(parts, node.data == "both")
        if node.data == "negated":
            return _negated(self._condition(node.children[0]))
        if node.data == "compared":
            return self._compared(*node.children)
        if node.data == "called" and node.children[0] == "inside":
            return self._inside(node)
        raise self._wrong(node, "is a number; compare it with another one")

    def _inside(self, node: Any) -> Truth:
        function, *names = [child for child in node.children if child is not None]
        if len(names) != 1:
            raise self._wrong(function, 'takes "zone" in its brackets')
        name = self._known(names[0], self._zones, "zone")
        return lambda scene: (scene.inside(name), np.ones(len(scene), bool))

    def _compared(self, left: Any, sign: Any, right: Any) -> Truth:
        a, b = self._number(left), self._number(right)
        if a.unit != b.unit:
            have, got = units.show(a.unit), units.show(b.unit)
            raise self._wrong(right, f"the left side is in {have}, this is in {got}")
        compare = _COMPARE[str(sign)]

        def truth(scene: Scene) -> Tuple[np.ndarray, np.ndarray]:
            x, y = a.value(scene), b.value(scene)
            with np.errstate(invalid="ignore"):
                return np.asarray(compare(x, y)), ~(np.isnan(x) | np.isnan(y))

        return truth

    def _number(self, node: Any) -> Number:
        made = {
            "number": self._constant,
            "signed": self._signed,
            "called": self._called,
            "sum": self._sum,
            "product": self._product,
        }
        if node.data not in made:
            raise self._wrong(node, "is true or false; a number is needed here")
        return made[node.data](node)

    def _constant(self, node: Any) -> Number:
        digits, unit = node.children
        value = float(digits)
        return Number(
            lambda scene: np.full(len(scene), value), units.NAMES[unit] if unit else units.PLAIN
        )

    def _signed(self, node: Any) -> Number:
        sign, inner = node.children[0], self._number(node.children[1])
        return inner if sign == "+" else Number(lambda scene: -inner.value(scene), inner.unit)

    def _sum(self, node: Any) -> Number:
        total = self._number(node.children[0])
        for sign, child in zip(node.children[1::2], node.children[2::2]):
            term = self._number(child)
            if term.unit != total.unit:
                have, got = units.show(total.unit), units.show(term.unit)
                raise self._wrong(child, f"{got} cannot be added to {have}")
            act = operator.add if sign == "+" else operator.sub
            total = Number(_of_both(act, total.value, term.value), total.unit)
        return total

    def _product(self, node: Any) -> Number:
        total = self._number(node.children[0])
        for sign, child in zip(node.children[1::2], node.children[2::2]):
            factor = self._number(child)
            if sign == "*":
                unit, act = units.product(total.unit, factor.unit), operator.mul
            else:
                unit, act = units.quotient(total.unit, factor.unit), _divide
            total = Number(_of_both(act, total.value, factor.value), unit)
        return total

    def _called(self, node: Any) -> Number:
        function, *names = [child for child in node.children if child is not None]
        if function == "inside":
            raise self._wrong(function, "is true or false; a number is needed here")
        if function not in FUNCTIONS:
            raise self._wrong(function, f"no such function{_near(str(function), list(FUNCTIONS))}")
        kinds, unit = FUNCTIONS[function]
        if len(names) != len(kinds):
            takes = ", ".join(f'"{kind}"' for kind in kinds) or "nothing"
            raise self._wrong(function, f"takes {takes} in its brackets")
        checked = [self._known(token, known(kind), kind) for token, kind in zip(names, kinds)]
        measure = Measure(str(function), tuple(checked))
        if measure not in self._made.measures:
            self._made.measures.append(measure)
        return Number(lambda scene: scene.values(measure), unit)

    def _known(self, token: Any, names: List[str], kind: str) -> str:
        name = str(token).strip('"')
        if name not in names:
            raise self._wrong(token, f"no {kind} of that name{_near(name, names)}")
        return name

    def _wrong(self, node: Any, problem: str) -> ConfigError:
        meta = getattr(node, "meta", node)
        return ConfigError(_marked(self._key, self._text, int(meta.start_pos), problem))


def _joined(parts: List[Truth], all_of: bool) -> Truth:
    """Kleene's logic: false and unknown is false, true or unknown is true, else unknown wins."""

    def truth(scene: Scene) -> Tuple[np.ndarray, np.ndarray]:
        found = [part(scene) for part in parts]
        settled = [(value != all_of) & is_known for value, is_known in found]
        one = np.any(settled, axis=0)
        every = np.all([is_known for _, is_known in found], axis=0)
        return (~one if all_of else one), one | every

    return truth


def _negated(part: Truth) -> Truth:
    def truth(scene: Scene) -> Tuple[np.ndarray, np.ndarray]:
        value, is_known = part(scene)
        return ~value, is_known

    return truth


def _of_both(act: Callable[[Any, Any], Any], a: Numbers, b: Numbers) -> Numbers:
    return lambda scene: np.asarray(act(a(scene), b(scene)))


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A quotient; by zero it is not known."""
    return np.asarray(a / np.where(b == 0, np.nan, b))


def _depth(text: str) -> int:
    """An upper bound of the depth of the tree of a text."""
    deepest = now = 0
    for character in text:
        now += {"(": 1, ")": -1}.get(character, 0)
        deepest = max(deepest, now)
    runs = [len(_PREFIX.findall(run.group())) for run in _PREFIXES.finditer(text)]
    return deepest + max(runs, default=0)


def _near(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(names)}" if len(names) <= 12 else ""


def _expected(text: str, at: int) -> str:
    if at >= len(text):
        return "the expression ends too early"
    return "this is not understood; see docs/rules.md for the words"


def _marked(key: str, text: str, at: int, problem: str) -> str:
    """One line: the problem, then the text with a caret before the place."""
    return f"{key}: {problem}: {text[:at].rstrip()} ^ {text[at:].lstrip()}".rstrip()
