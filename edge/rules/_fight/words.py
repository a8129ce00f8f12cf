"""What the rule `fight` says of its events."""

from __future__ import annotations

from typing import Mapping

from edge.structures import JsonValue


def why(data: Mapping[str, JsonValue], person: int, shake_h_s: float) -> str:
    """The figures of an event in words."""
    if data["action"] == "end":
        return f"persons {person} and {data['other']} stopped after {data['held_s']} s"
    parts = []
    if data["blows"] or data["blows_other"]:
        by = f"{data['blows']} by {person}, {data['blows_other']} by {data['other']}"
        parts.append(f"blows: {by}")
    if data["shaken_s"]:
        parts.append(f"shook each other at > {shake_h_s:g} H/s for {data['shaken_s']} s")
    return f"{'; '.join(parts)}; {data['gap_h']} H apart, within {data['held_s']} s"
