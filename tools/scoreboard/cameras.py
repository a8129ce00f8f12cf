"""The demo's four calibrated cameras, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

from tools.evaluation import rig_run
from tools.evaluation.figures import rig
from tools.evaluation.page.tables import number
from tools.fetch.by_name import ensure_set
from tools.scoreboard.labelled import Setup, settings_of
from tools.scoreboard.table import Table

CLIPS = "multiperson"
SETUPS = (
    Setup("hybrid-tall", "blazepose"),
    Setup("none", "movenet-multipose"),
    Setup("yolov4-tiny-tall", "blazepose"),
)
HEAD = (
    "models",
    "poses",
    "median px",
    "90 % px",
    "median H",
    "> 40 px",
    "jitter H",
    "jumps",
    "ids",
)


def table(models: Optional[Path], sets: Path) -> Table:
    """A row for each setup."""
    folder = ensure_set(CLIPS, sets)
    path = rig_run.calibration_of(folder)
    views = rig.read_rig(path)
    clips = rig_run.clips_of(path, len(views))
    rows: List[Tuple[str, ...]] = []
    for setup in SETUPS:
        name, moments = rig_run.played(settings_of(setup, models), clips, False)
        found = rig_run.figures(views, [clip.stem for clip in clips], moments)
        rows.append(
            (
                name,
                str(found["poses"]),
                number(found.get("median_px"), 1),
                number(found.get("p90_px"), 1),
                number(found.get("median_h"), 4),
                number(found.get("far_share")),
                number(found["motion"]["jitter_h"], 4),
                number(found["motion"]["jump_share"]),
                str(sum(found["ids"].values())),
            )
        )
    note = (
        "Pose2Sim's clip of three people, 100 frames of four cameras, 1088 x 1920 px. Nothing is "
        "labelled: the figures say how far a person is from where the other cameras see somebody "
        "(H: heights of the person), how keypoints tremble and jump, and how many ids the cameras "
        "gave in all (10 people come into view of a camera)."
    )
    return Table("Four calibrated cameras, no labels", note, HEAD, list(rows))
