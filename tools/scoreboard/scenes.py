"""Several cameras: joints in metres of the demo's clip, through the daemon's own build."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple
from urllib.parse import quote

from edge.loop.build import Installed, build
from edge.scene_structures import SceneFrame
from edge.settings import config
from edge.structures import Frame, Poses
from tools.evaluation import rig_run
from tools.evaluation.figures.scene import Labels, Told, figures
from tools.evaluation.page.tables import number
from tools.fetch.by_name import ensure_set
from tools.progress import Progress
from tools.scoreboard.labelled import Setup, settings_of
from tools.scoreboard.table import Table

CLIPS = "multiperson"
SETUP = Setup("hybrid", "blazepose")
HEAD = ("limbs", "median px", "all people px", ">= 3 of 4 views", "bones %", "who is who", "people")
NOTE = (
    "Pose2Sim's clip of three people, 100 frames of four cameras, 1088 x 1920 px, with its own "
    "calibration. Median reprojection error of the published body joints: of people in three "
    "cameras or more, then of all; share of these people's joints that stand on three views or "
    "more; deviation of limbs' lengths over time, worst person; instants at which every person is "
    "one real person in all cameras and keeps one id (boxes labelled by hand in three frames); "
    "people told in all (3 are there, one of them in two cameras only)."
)
# Boxes labelled by hand: who it is in each camera, at three frames of the clip.
LABELS: Labels = {
    "runner": {
        "cam01": {
            14: (252, 369, 657, 1176),
            56: (82, 389, 791, 1186),
            94: (404, 483, 1024, 1281),
        },
        "cam02": {
            14: (327, 419, 778, 1129),
            56: (198, 384, 786, 1147),
            94: (131, 446, 861, 1222),
        },
        "cam03": {
            14: (400, 406, 790, 1332),
            56: (245, 350, 693, 1247),
            94: (129, 430, 511, 1196),
        },
        "cam04": {
            14: (110, 475, 716, 1420),
            56: (178, 331, 1034, 1264),
            94: (132, 376, 789, 1154),
        },
    },
    "helper": {
        "cam01": {
            14: (503, 777, 1037, 1786),
            56: (356, 740, 986, 1805),
            94: (409, 742, 1019, 1819),
        },
        "cam02": {14: (27, 611, 410, 1503), 56: (0, 599, 412, 1478), 94: (0, 610, 382, 1493)},
        "cam03": {14: (148, 499, 394, 1040), 56: (230, 480, 370, 1040), 94: (142, 485, 363, 1033)},
        "cam04": {14: (620, 402, 950, 939), 56: (581, 391, 1009, 943), 94: (649, 403, 985, 926)},
    },
    "bystander": {
        "cam01": {14: (0, 289, 163, 770), 56: (0, 287, 157, 772), 94: (3, 286, 155, 773)},
        "cam02": {14: (720, 479, 868, 889), 56: (723, 474, 865, 897), 94: (725, 460, 888, 900)},
    },
}


def table(models: Optional[Path], sets: Path) -> Table:
    """A row with limbs of one length, and one without."""
    folder = ensure_set(CLIPS, sets)
    rows: List[Tuple[str, ...]] = []
    for hold in (True, False):
        told = played(settings_of(SETUP, models), folder, hold)
        found = figures(told, LABELS)
        rows.append((f"{'held' if hold else 'free'}", *_row(found)))
    return Table("Four calibrated cameras, in metres", NOTE, HEAD, list(rows))


def _row(found: Dict[str, Any]) -> Tuple[str, ...]:
    worst = max(found["bones_percent"].values(), default=float("nan"))
    return (
        number(found["median_px"], 1),
        number(found["median_all_px"], 1),
        number(found["three_share"]),
        number(worst, 1),
        number(found["identity_share"]),
        str(found["people"]),
    )


def scene_settings(settings: config.Config, folder: Path, hold: bool) -> config.Config:
    """The daemon's settings for the clips of a folder, which has their calibration."""
    path = rig_run.calibration_of(folder)
    clips = sorted(folder.glob("*.mp4"))
    table = {
        "cameras": [
            {"name": clip.stem, "source": f"file://{quote(str(clip.resolve()))}?rate=max"}
            for clip in clips
        ],
        "capture": {"stall_s": 60.0},  # a busy machine must not bring the clips out of step
        "scenes": [{"name": "court", "calibration": str(path), "hold_bones": hold}],
    }
    made = config.build(config.Config, table)
    publish = dataclasses.replace(settings.publish, sinks=["jsonl:/dev/null"])
    return config.complete(
        dataclasses.replace(
            settings,
            cameras=made.cameras,
            scenes=made.scenes,
            capture=made.capture,
            publish=publish,
            rules=[],
        )
    )


def played(settings: config.Config, folder: Path, hold: bool) -> List[Told]:
    """Run the daemon's loop over the clips, in step; each instant that the scene told."""
    told: List[Told] = []
    with contextlib.ExitStack() as stack:
        running = build(scene_settings(settings, folder, hold), stack, Installed())
        bar = stack.enter_context(Progress("playing the clips", unit="frames"))
        (scene,) = running.pipeline.scenes

        def noted(frames: Sequence[Frame], poses: Sequence[Poses]) -> List[SceneFrame]:
            found = scene(frames, poses)
            boxes = {f.camera: _boxes(p) for f, p in zip(frames, poses)}
            told.extend(Told(frames[0].index, one, boxes) for one in found)
            bar.update()
            return found

        running.pipeline.scenes = [noted]
        running.start()
        running.pipeline.run(lambda: False)
        failures = running.cameras.failures
        if failures:
            raise failures[0]
    return told


def _boxes(poses: Poses) -> Dict[int, List[float]]:
    return dict(zip(poses.ids.tolist(), poses.boxes.tolist()))
