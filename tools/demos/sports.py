"""Sports: repetitions of three exercises, counted and scored against templates (drawn people)."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from tools.demos import Plan
from tools.demos.rendered import ensure_clip
from tools.demos.session_page import session_page
from tools.fetch.by_name import ensure_model

DETECT, POSE = "hybrid", "blazepose"
SAID = (
    "All three people are drawn: nobody was filmed. The templates are joint-angle scripts, not a",
    "coach's. `edge-tools template record` makes one of your own recording.",
)
TABLES = """
[[rules]]
kind = "action"
template = "squat"
cameras = ["squat"]

[[rules]]
kind = "action"
template = "jumping_jack"
cameras = ["jacks"]

[[rules]]
kind = "action"
template = "basketball_shot"
cameras = ["shot"]
"""
# Camera, motion, seconds, and the side from which it is seen.
SHOWN = (
    ("squat", "squat", 13, 60),
    ("jacks", "jumping_jack", 9, 5),
    ("shot", "basketball_shot", 11, 70),
)
SIZE = (480, 640)
CAMERA = {"camera_m": 1.2, "distance_m": 3.2, "fov_deg": 45}


def plan(models: Optional[Path], sets: Optional[Path]) -> Plan:
    """The plan of `make demo-sports`."""
    folders = [ensure_model(name, models) for name in (DETECT, POSE)]
    clips = [
        (
            name,
            ensure_clip("sports", name, sets, [motion], seconds, SIZE, azimuth_deg=side, **CAMERA),
        )
        for name, motion, seconds, side in SHOWN
    ]
    page = session_page("Training")
    return Plan(SAID, DETECT, POSE, folders[0].parent, clips, TABLES, page)
