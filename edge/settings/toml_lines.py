"""Changing one key of a TOML file that a person wrote: comments and order stay."""

from __future__ import annotations

import re
from typing import List, Optional, Tuple


def has_key(text: str, section: str, name: str) -> bool:
    """Whether the key is set; a commented line sets nothing."""
    lines = text.splitlines()
    bounds = _bounds(lines, section)
    return bounds is not None and _find(lines, bounds, rf"\s*{name}\s*=") is not None


def set_key(text: str, section: str, name: str, value: str) -> str:
    """Set one key, in place of its line, of a commented one, or as a new line.

    A value that runs over several lines is not understood: read the result before it is used.

    Args:
        text: of the file.
        section: a table's name; "" = the top.
        name: of the key.
        value: as TOML writes it.
    """
    lines = text.splitlines()
    line = f"{name} = {value}"
    bounds = _bounds(lines, section)
    if bounds is None:
        return "\n".join([*lines, "", f"[{section}]", line]) + "\n"
    for pattern in (rf"\s*{name}\s*=", rf"\s*#\s*{name}\s*="):
        at = _find(lines, bounds, pattern)
        if at is not None:
            lines[at] = line
            break
    else:
        lines.insert(bounds[0], line)
    return "\n".join(lines) + "\n"


def _bounds(lines: List[str], section: str) -> Optional[Tuple[int, int]]:
    """First line and end of a section; None when there is no such section."""
    heads = [i for i, line in enumerate(lines) if re.match(r"\s*\[", line)] + [len(lines)]
    if not section:
        return 0, heads[0]
    for i, end in zip(heads, heads[1:]):
        if re.match(rf"\s*\[{section}\]\s*(#|$)", lines[i]):
            return i + 1, end
    return None


def _find(lines: List[str], bounds: Tuple[int, int], pattern: str) -> Optional[int]:
    return next((i for i in range(*bounds) if re.match(pattern, lines[i])), None)
