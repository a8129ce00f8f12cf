"""The clips of a calibrated rig through the daemon's own build, and how far its cameras agree."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple
from urllib.parse import quote

import numpy as np

from edge import skeletons
from edge.errors import ConfigError, NoInputError
from edge.geometry import as_complex
from edge.loop.build import Installed, build
from edge.people.stature import heights
from edge.settings import config
from edge.structures import Frame, Poses
from tools.evaluation.figures import motion, rig
from tools.evaluation.figures.motion import Walk
from tools.evaluation.found import recordings
from tools.evaluation.found.networks import name_of
from tools.progress import Progress

BODY = 17


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """The people of one camera at one moment, COCO's 17 keypoints."""

    points: np.ndarray  # [N,17,3] px and score
    heights_px: np.ndarray  # [N]
    ids: np.ndarray  # [N]


Moments = Dict[int, Dict[str, Body]]  # frame number -> camera -> its people


def is_rig(path: Path) -> bool:
    """Whether a path is a calibration of cameras, or a folder with one."""
    return calibration_of(path) is not None


def calibration_of(path: Path) -> Any:
    """The calibration file of a path; None if it is none."""
    if path.is_dir():
        found = sorted(path.glob("*.qca.txt"))
        return found[0] if found else None
    return path if path.name.endswith(".qca.txt") else None


def clips_of(path: Path, views: int) -> List[Path]:
    """The videos beside a calibration, one a camera, by name.

    Raises:
        NoInputError: not as many as cameras.
    """
    folder = path if path.is_dir() else path.parent
    clips = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".mp4", ".avi", ".mov"))
    if len(clips) != views:
        raise NoInputError(
            f"{folder}: {len(clips)} videos beside a calibration of {views} cameras; one a camera, "
            "by name in the order of the file, is expected"
        )
    return clips


def played(settings: config.Config, clips: Sequence[Path], quiet: bool) -> Tuple[str, Moments]:
    """Run the daemon's loop over the clips, in step."""
    names = [clip.stem for clip in clips]
    sources = [
        {"name": name, "source": f"file://{quote(str(clip.resolve()))}?rate=max"}
        for name, clip in zip(names, clips)
    ]
    cameras = config.build(config.Config, {"cameras": sources}).cameras
    publish = dataclasses.replace(settings.publish, sinks=["jsonl:/dev/null"])
    plain = dataclasses.replace(settings, cameras=cameras, publish=publish, rules=[])
    moments: Moments = {}
    with contextlib.ExitStack() as stack:
        running = build(config.complete(plain), stack, Installed())
        bar = stack.enter_context(Progress("playing the clips", unit="frames", quiet=quiet))

        def watch(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
            for frame, people in zip(frames, poses):
                moments.setdefault(frame.index, {})[frame.camera] = body_of(people)
            bar.update()

        running.watch(watch)
        running.start()
        running.pipeline.run(lambda: False)
        failures = running.cameras.failures
        if failures:
            raise failures[0]
    return name_of(settings), moments


def recorded(path: Path, names: Sequence[str]) -> Tuple[str, Moments]:
    """The same of a recording, whose cameras are called as the clips.

    Raises:
        ConfigError: a camera is missing.
    """
    moments: Moments = {}
    for frame in recordings.frames(path):
        moments.setdefault(frame.index, {})[frame.camera] = body_of(frame.poses)
    there = {camera for moment in moments.values() for camera in moment}
    missing = [name for name in names if name not in there]
    if missing:
        raise ConfigError(f"{path}: has no frames of a camera {missing[0]!r}")
    return path.name, moments


def body_of(poses: Poses) -> Body:
    """COCO's body of the people of a frame, copied."""
    which = skeletons.body17(poses.skeleton)
    there = which >= 0
    scores = np.where(there, poses.scores[:, which], np.float32(0))
    tall = heights(as_complex(poses.keypoints)[:, which], scores, poses.boxes)
    points = np.concatenate((poses.keypoints[:, which], scores[..., None]), -1)
    return Body(points.astype(np.float64), tall.astype(np.float64), poses.ids.copy())


def figures(views: Sequence[rig.View], names: Sequence[str], moments: Moments) -> Dict[str, Any]:
    """Disagreement of the cameras, and motion of each person in each camera."""
    apart: Dict[str, List[np.ndarray]] = {name: [] for name in names}
    tall: Dict[str, List[np.ndarray]] = {name: [] for name in names}
    nobody = Body(np.zeros((0, BODY, 3)), np.zeros(0), np.zeros(0, np.int64))
    for moment in moments.values():
        people = [moment.get(name, nobody) for name in names]
        off = rig.disagreement(views, [p.points for p in people])
        for name, here, body in zip(names, off, people):
            apart[name].append(here)
            tall[name].append(body.heights_px)
    flat = {name: (_join(apart[name]), _join(tall[name])) for name in names}
    return {
        "frames": len(moments),
        "cameras": {name: rig.figures(*flat[name]) for name in names},
        **rig.figures(_join([a for a, _ in flat.values()]), _join([t for _, t in flat.values()])),
        "ids": {name: len(_ids(moments, name)) for name in names},
        "motion": motion.figures(_walks(moments, names)),
    }


def _join(arrays: List[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *arrays])


def _ids(moments: Moments, name: str) -> Any:
    none = np.zeros(0, np.int64)
    return np.unique(np.concatenate([none, *(m[name].ids for m in moments.values() if name in m)]))


def _walks(moments: Moments, names: Sequence[str]) -> List[Walk]:
    found: List[Walk] = []
    for name in names:
        frames = sorted(i for i, moment in moments.items() if name in moment)
        for who in _ids(moments, name).tolist():
            there = [i for i in frames if (moments[i][name].ids == who).any()]
            rows = [_row(moments[i][name], who) for i in there]
            size = float(np.median([tall for _, tall in rows]))
            for run in motion.runs(np.array(there)):
                found.append(Walk(np.array([rows[k][0] for k in run.tolist()]), max(size, 1.0)))
    return found


def _row(body: Body, who: int) -> Tuple[np.ndarray, float]:
    at = int(np.flatnonzero(body.ids == who)[0])
    points = body.points[at]
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan), float(body.heights_px[at])


def text(name: str, found: Dict[str, Any]) -> str:
    """The figures for a terminal."""
    lines = [
        f"{name}: {found['frames']} frames of {len(found['cameras'])} calibrated cameras, "
        f"{found['poses']} poses, {found['compared']} seen by two cameras or more"
    ]
    if found["compared"]:
        lines += [
            f"the cameras disagree by {found['median_px']:.1f} px (median), {found['p90_px']:.1f} "
            f"(90 %), {found['mean_capped_px']:.1f} (mean, capped at 100); "
            f"{found['far_share']:.1%} by more than {rig.FAR_PX:g} px",
            f"in heights of the person: {found['median_h']:.4f} (median), {found['p90_h']:.4f}",
        ]
    for camera, row in found["cameras"].items():
        median = f"{row['median_px']:.1f} px" if row["compared"] else "-"
        lines.append(
            f"  {camera}: {row['poses']} poses, median {median}, {found['ids'][camera]} ids"
        )
    moved = found["motion"]
    if moved["jitter_h"] is not None:
        lines.append(
            f"jitter {moved['jitter_h']:.4f} H, poses with a jump {moved['jump_share']:.1%}"
        )
    return "\n".join(lines)
