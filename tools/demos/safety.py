"""Safety: a street with a line and a zone (real video), a fall and a fight (drawn people)."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Optional

from tools.demos import Plan, moments
from tools.demos.files import Files
from tools.demos.rendered import ensure_clip
from tools.fetch.by_name import ensure_model, ensure_set

DETECT, POSE = "hybrid", "blazepose"
TITLE = "Safety: what a guard is told"
SAID = (
    "street: real video. ward, hall: drawn people, because nobody is to fall or fight for a demo.",
    "This is not a safety system: a rule may be wrong, and a camera may be blind.",
)
TABLES = """
[[rules]]
kind = "line"
cameras = ["street"]
name = "road"
line = [[470, 195], [600, 440]]

[[rules]]
kind = "crowd"
cameras = ["street"]
name = "path"
polygon = [[330, 250], [560, 190], [700, 330], [420, 390]]
area_m2 = 80  # by eye

[[rules]]
kind = "fall"
cameras = ["ward"]
preroll_s = 2

[[rules]]
kind = "fight"
cameras = ["hall"]

[[rules]]
kind = "strike"
cameras = ["hall"]
"""

SIZE, CAMERA = (640, 480), {"camera_m": 2.6, "fov_deg": 70.0}


def plan(models: Optional[Path], sets: Optional[Path]) -> Plan:
    """The plan of `make demo-safety`."""
    folders = [ensure_model(name, models) for name in (DETECT, POSE)]
    seen = {"distance_m": 3.8, **CAMERA}
    clips = {
        "street": ensure_set("pedestrians", sets) / "vtest.avi",
        "ward": ensure_clip("safety", "ward", sets, ["faint"], 10, SIZE, **seen),
        "hall": ensure_clip("safety", "hall", sets, ["fight_mixed"], 8, SIZE, **seen),
    }

    def pages(files: Files) -> Dict[str, Path]:
        if not files.messages.exists():
            return {}
        moments.write(files.page, files.messages, clips, TITLE, " ".join(SAID))
        return {"moments": files.page}

    return Plan(SAID, DETECT, POSE, folders[0].parent, list(clips.items()), TABLES, pages, 400)
