"""Four cameras of real video: people, zones and falls, and the people in their room in 3-D."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from edge.rig.files import read_rig
from tools.cameras import scene_page
from tools.demos import Plan
from tools.demos.files import Files
from tools.evaluation.rig_run import calibration_of
from tools.fetch.by_name import ensure_model, ensure_set

CLIP = "multiperson"
DETECT, POSE = "hybrid-tall", "blazepose"  # the clip's cameras are in portrait orientation
RULES = """
[[rules]]
kind = "presence"

[[rules]]
kind = "zone"
cameras = ["cam02"]
name = "platform"
polygon = [[300, 1010], [800, 990], [1050, 1440], [60, 1550]]
dwell_s = 0.5

[[rules]]
kind = "fall"
"""
SCENE = """
[[scenes]]
name = "room"
calibration = {calibration}
"""


def plan(models: Optional[Path], sets: Optional[Path]) -> Plan:
    """The plan of `make demo`."""
    folders = [ensure_model(name, models) for name in (DETECT, POSE)]
    clips = sorted(ensure_set(CLIP, sets).glob("cam*.mp4"))
    calibration = calibration_of(clips[0].parent)

    def pages(files: Files) -> Dict[str, Path]:
        return _scene_page(files, calibration)

    return Plan(
        (),
        DETECT,
        POSE,
        folders[0].parent,
        named(clips),
        RULES + scene_text(calibration),
        pages,
    )


def named(clips: List[Path]) -> List[Tuple[str, Path]]:
    """Cameras that are called as their files."""
    return [(clip.stem, clip) for clip in clips]


def scene_text(calibration: Optional[Path]) -> str:
    """The [[scenes]] table, if there is a calibration."""
    return SCENE.format(calibration=json.dumps(str(calibration))) if calibration else ""


def _scene_page(files: Files, calibration: Optional[Path]) -> Dict[str, Path]:
    """The page with the people in their room, if the daemon told any."""
    if calibration is None or not files.messages.exists():
        return {}
    with files.messages.open(encoding="utf-8") as lines:
        told = [json.loads(line)["payload"] for line in lines if "/scene/" in line[:200]]
    if not told:
        return {}
    scene_page.write(files.page, told, read_rig(calibration))
    return {"people in 3-D": files.page}
