"""Units of expressions: what may be added, compared, multiplied and divided."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

# Exponents of degrees, heights of the person, px, seconds.
Unit = Tuple[int, int, int, int]

PLAIN: Unit = (0, 0, 0, 0)
NAMES: Dict[str, Unit] = {
    "deg": (1, 0, 0, 0),
    "deg/s": (1, 0, 0, -1),
    "H": (0, 1, 0, 0),
    "H/s": (0, 1, 0, -1),
    "px": (0, 0, 1, 0),
    "px/s": (0, 0, 1, -1),
    "s": (0, 0, 0, 1),
}
_LETTERS = ("deg", "H", "px", "s")


def product(a: Unit, b: Unit) -> Unit:
    """Unit of a product."""
    return tuple(x + y for x, y in zip(a, b))  # type: ignore[return-value]


def quotient(a: Unit, b: Unit) -> Unit:
    """Unit of a quotient."""
    return tuple(x - y for x, y in zip(a, b))  # type: ignore[return-value]


def named(text: str) -> Optional[Unit]:
    """The unit of a name; None = there is none."""
    return NAMES.get(text)


def show(unit: Unit) -> str:
    """A unit in words."""
    if unit == PLAIN:
        return "a plain number"
    above = [_power(n, e) for n, e in zip(_LETTERS, unit) if e > 0]
    below = [_power(n, -e) for n, e in zip(_LETTERS, unit) if e < 0]
    return "*".join(above or ["1"]) + "".join(f"/{n}" for n in below)


def _power(name: str, exponent: int) -> str:
    return name if exponent == 1 else f"{name}^{exponent}"
