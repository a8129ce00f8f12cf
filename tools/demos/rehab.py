"""Rehab: ranges of motion with goals, holds and bounds, of three exercises (drawn people)."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from tools.demos import Plan
from tools.demos.exercises import exercise_plan

SAID = (
    "All three people are drawn: nobody was filmed. This is not a medical device: angles of one",
    "camera are a few degrees off, and more if the person does not stand side-on.",
)
TABLES = """
[[rules]]
kind = "rom"
cameras = ["knee"]
name = "squat to 90"
angle = "knee"
goal_deg = 80
reps = 4
max_lean_deg = 60

[[rules]]
kind = "rom"
cameras = ["shoulder"]
name = "arm raise"
angle = "shoulder_abduction"
goal_deg = 100
max_uneven_deg = 15

[[rules]]
kind = "rom"
cameras = ["hip"]
name = "knee raise"
angle = "hip"
goal_deg = 60
max_uneven_deg = 15
"""
# Camera, motion, seconds, and the side from which it is seen.
SHOWN = (
    ("knee", "squat", 13, 88),
    ("shoulder", "jumping_jack", 8, 0),
    ("hip", "knee_raise", 10, 88),
)


def plan(models: Optional[Path], sets: Optional[Path]) -> Plan:
    """The plan of `make demo-rehab`."""
    return exercise_plan("rehab", "Rehab session", SAID, SHOWN, TABLES, models, sets)
