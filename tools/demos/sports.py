"""Sports: repetitions of three exercises, counted and scored against templates (drawn people)."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from tools.demos import Plan
from tools.demos.exercises import exercise_plan

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


def plan(models: Optional[Path], sets: Optional[Path]) -> Plan:
    """The plan of `make demo-sports`."""
    return exercise_plan("sports", "Training", SAID, SHOWN, TABLES, models, sets)
