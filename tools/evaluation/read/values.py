"""Values of files that others wrote: numbers that may be text, lists that may be anything."""

from __future__ import annotations

import math
from typing import Any, Dict, List


def number(value: Any, otherwise: float = 0.0) -> float:
    """A finite number, also of text; `otherwise` if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return otherwise
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return otherwise
    return found if math.isfinite(found) else otherwise


def whole(value: Any, otherwise: int = 0) -> int:
    """A whole number of at most 15 digits; `otherwise` if it is none."""
    found = number(value, math.nan)
    return int(found) if abs(found) < 1e15 else otherwise


def objects(value: Any) -> List[Dict[str, Any]]:
    """The objects of a list; none if it is no list."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
