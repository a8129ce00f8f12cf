"""A self-contained page that plays the people of a scene in their room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from edge import skeletons
from edge.scene.rig import Rig

_MARK = "/*DATA*/"
_PAGE = Path(__file__).parent / "scene.html"
_RIM_MM = 350.0  # how far the drawn view of a camera reaches


def write(path: Path, messages: List[Dict[str, Any]], rig: Rig) -> bool:
    """Write the page.

    Args:
        path: of the page.
        messages: payloads of a scene's frames, in order.
        rig: its cameras.

    Returns:
        False if nobody was told, and nothing is written.
    """
    if not any(message["people"] for message in messages):
        return False
    data = json.dumps(_data(messages, rig), separators=(",", ":"))
    path.write_text(_PAGE.read_text("utf-8").replace(_MARK, data.replace("<", "\\u003c")), "utf-8")
    return True


def _data(messages: List[Dict[str, Any]], rig: Rig) -> Dict[str, Any]:
    skeleton = skeletons.get(messages[0]["skeleton"])
    fine = {int(i) for part in ("face", "left_hand", "right_hand") for i in skeleton.parts[part]}
    edges = [[a, b, 1 if a in fine and b in fine else 3] for a, b in skeleton.edges.tolist()]
    frames = [
        {
            "t": round((message["t_mono_ns"] - messages[0]["t_mono_ns"]) / 1e6),
            "people": [
                {"id": person["id"], "points": _points(person["keypoints"])}
                for person in message["people"]
            ],
        }
        for message in messages
    ]
    spots = [p for f in frames for who in f["people"] for p in who["points"] if p]
    spots += (rig.centres * 1000).tolist()
    low, high = [[pick(p[axis] for p in spots) for axis in range(3)] for pick in (min, max)]
    return {
        "edges": edges,
        "frames": frames,
        "cameras": [_camera(rig, c) for c in range(len(rig))],
        "middle": [(a + b) / 2 for a, b in zip(low, high)],
        "reach": max(b - a for a, b in zip(low, high)) / 2,
    }


def _points(flat: List[int]) -> List[Any]:
    """[x, y, z] mm of each keypoint; null = missing."""
    return [flat[i : i + 3] if flat[i + 3] else None for i in range(0, len(flat), 4)]


def _camera(rig: Rig, c: int) -> Dict[str, Any]:
    centre = rig.centres[c] * 1000
    wide, high = rig.sizes[c] if rig.sizes[c].all() else (1600.0, 900.0)
    matrix = rig.matrices[c]
    corners = [(0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high)]
    rays = [
        ((x - matrix[0, 2]) / matrix[0, 0], (y - matrix[1, 2]) / matrix[1, 1], 1.0)
        for x, y in corners
    ]
    rim = [(centre + _RIM_MM * (rig.turns[c].T @ ray)).tolist() for ray in rays]
    return {"name": rig.names[c], "place": centre.tolist(), "rim": rim}
