"""What the rule `fall` says of its events."""

from __future__ import annotations

from typing import Mapping

from edge.structures import JsonValue


def why(
    action: str,
    data: Mapping[str, JsonValue],
    fell: bool,
    tilt_deg: float,
    speed_h_s: float,
    lost_s: float,
) -> str:
    """The figures of an event in words."""
    if action == "recover":
        return f"is up again after {data['down_s']} s on the ground"
    if action == "lost":
        return f"was on the ground and has not been seen for {lost_s:g} s"
    if not fell:
        lies = f"torso {data['tilt_deg']} deg from upright > {tilt_deg:g} deg"
        return f"{lies} for {data['down_s']} s, without a drop"
    fast = f"{data['speed_h_s']} H/s > {speed_h_s:g} H/s"
    stays = f"then down for {data['down_s']} s, torso {data['tilt_deg']} deg from upright"
    return f"shoulders dropped {data['drop_h']} H at {fast}, {stays}"
