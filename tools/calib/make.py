"""Make a calibration set of recordings."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

import cv2
import numpy as np

from edge.errors import ConfigError, DataError, NoInputError
from edge.loop.assemble import Models
from edge.models import Gives
from edge.settings.config import Config
from edge.structures import Detections, Frame, Poses
from tools.calib import camera_recording, choose, media, report, selection
from tools.calib.record import record
from tools.calib.scan import FindPeople, ScannedFrames, scan, strides
from tools.calib.selection import CALIBRATION, FOLDERS, HELD_OUT, Picture, Selection
from tools.fetch.files import locked, sha256_of
from tools.progress import Progress, track

SCANNED = 6  # frames scanned for each frame chosen
RECORDED = 2  # the same for a camera, whose frames must be saved first
LOCK = ".lock"  # in the folder of the set
OURS = re.compile(r"\d{3,}-\d{6,}\.png")  # a chosen frame: number of recording and of frame
LEAST_PEOPLE = 16  # in the calibration frames, unless fewer frames are asked for
RULE = (
    "every n-th frame is scanned; the same stretch of each recording is held out, with unused "
    "frames on both sides; frames are spread over strata of people, their height, brightness and "
    "sharpness by the square root of the sizes, farthest point first within a stratum"
)


@dataclass(frozen=True)
class SetRequest:
    """What the user asks for.

    Attributes:
        sources: files, folders, globs and URIs of recordings and cameras.
        frames: number of calibration frames.
        held_out: number of held-out frames.
        seed: of all random choices.
        seconds: how long to record a camera.
        licence: of the recordings.
        quiet: show no progress.
    """

    sources: Sequence[str]
    frames: int = 128
    held_out: int = 32
    seed: int = 0
    seconds: float = 60.0
    licence: str = ""
    quiet: bool = False


@dataclass
class MadeSet:
    """A finished calibration set.

    Attributes:
        folder: of the set.
        selection: the chosen frames.
        looked_at: number of frames scanned.
        problems: one line for each recording, or part of one, that was left out.
        inputs: number of recorded inputs by model/network.
    """

    folder: Path
    selection: Selection
    looked_at: int = 0
    problems: List[str] = field(default_factory=list)
    inputs: Dict[str, int] = field(default_factory=dict)


def make_set(folder: Path, request: SetRequest, settings: Config) -> MadeSet:
    """Choose frames, save them, and record the network inputs; a lock keeps other programs out.

    Raises:
        EdgeError: there is nothing to read, there are too few people in it, or files of the user
            are where the chosen frames go. An existing set then stays as it was.
    """
    with locked(folder / LOCK):
        _require_room(folder)
        return _make(folder, request, settings)


def _make(folder: Path, request: SetRequest, settings: Config) -> MadeSet:
    part = folder / ".part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        clips = _clips(request, part)
        seen = _look(clips, request, settings)
        made = _choose(folder, part, clips, seen, request, settings)
        made.inputs = record_inputs(part, made.selection, settings, request.quiet)
        _install(part, folder)
        selection.save(folder, made.selection)
        return made
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _require_room(folder: Path) -> None:
    """Refuse to replace files that no earlier run made.

    Raises:
        ConfigError: names such a file.
    """
    for name in FOLDERS.values():
        foreign = [p for p in (folder / name).glob("*") if not OURS.fullmatch(p.name)]
        if foreign:
            raise ConfigError(
                f"{sorted(foreign)[0]}: would be deleted, because chosen pictures replace all "
                f"files in {folder / name}; move your recordings elsewhere"
            )


def record_inputs(folder: Path, chosen: Selection, settings: Config, quiet: bool) -> Dict[str, int]:
    """Run the chosen pictures through the daemon's models and save the network inputs.

    They go to crops/<model>/<network>.npy, those of held-out pictures to <network>.heldout.npy.

    Returns:
        Number of inputs by model/network and by model/network.heldout.
    """
    counts: Dict[str, int] = {}
    for split, ending in ((CALIBRATION, ""), (HELD_OUT, ".heldout")):
        pictures = _pictures(folder, chosen.of(split), f"recording {split} inputs", quiet)
        found = record(settings, pictures, folder / "crops", f"{ending}.npy", seed=chosen.seed)
        counts.update({f"{name}{ending}": count for name, count in found.items()})
    return counts


def _pictures(folder: Path, chosen: List[Picture], label: str, quiet: bool) -> Iterator[np.ndarray]:
    for picture in track(chosen, label, unit="frames", quiet=quiet):
        yield report.read_picture(folder / picture.file)


def _clips(request: SetRequest, part: Path) -> List[media.Clip]:
    """All recordings; cameras are recorded first."""
    cameras = [w for w in request.sources if "://" in w and not w.startswith("file://")]
    files = [w for w in request.sources if w not in cameras]
    clips = media.find(files) if files else []
    room = RECORDED * (request.frames + request.held_out)
    for number, uri in enumerate(cameras):
        place = part / f"camera{number}"
        clips.append(
            camera_recording.record_camera(uri, request.seconds, room, place, request.quiet)
        )
    return clips


def _look(clips: List[media.Clip], request: SetRequest, settings: Config) -> ScannedFrames:
    lengths = [media.length(clip) for clip in clips]
    every = strides(lengths, SCANNED * (request.frames + request.held_out))
    every = [n if known else 0 for n, known in zip(every, lengths)]  # 0: cannot be read
    models = Models(settings)
    try:
        with Progress("scanning frames", sum(lengths), "frames", request.quiet) as bar:
            seen = scan(clips, every, _look_with(models), bar.update)
    finally:
        models.close()
    if not len(seen):
        problems = [p for clip in clips for p in clip.problems]
        raise NoInputError(problems[0] if problems else "the recordings have no frame")
    return seen


def _look_with(models: Models) -> FindPeople:
    def look(image: np.ndarray) -> Detections:
        frame = Frame(image, 0, 0, "scan")
        if models.pose.gives is Gives.POSES:
            return models.detect([frame])[0]
        nobody = Poses.empty(0, models.pose.skeleton)
        poses = models.pose([frame], [nobody])[0]
        return Detections(poses.boxes, poses.person_scores)

    return look


def _choose(
    folder: Path,
    part: Path,
    clips: List[media.Clip],
    seen: ScannedFrames,
    request: SetRequest,
    settings: Config,
) -> MadeSet:
    first, second = choose.pick(seen, request.frames, request.held_out, request.seed)
    _require_people(seen, first, second, request)
    chosen = np.concatenate((first, second))
    splits = [CALIBRATION] * len(first) + [HELD_OUT] * len(second)
    pictures, sources = _keep(part, clips, seen, dict(zip(chosen.tolist(), splits)), request.quiet)
    found = Selection(
        description=f"{len(first)} calibration and {len(second)} held-out frames",
        licence=request.licence or "not stated; the user's own recordings",
        seed=request.seed,
        rule=RULE,
        detect=settings.detect.model,
        pose=settings.pose.model,
        sources=sources,
        frames=pictures,
    )
    report.write(part, found, seen, chosen, folder.name)
    return MadeSet(folder, found, len(seen), [p for clip in clips for p in clip.problems])


def _require_people(
    seen: ScannedFrames, first: np.ndarray, second: np.ndarray, request: SetRequest
) -> None:
    people = int(seen.people[first].sum())
    scanned = f"{len(seen)} frames scanned"
    if not seen.people.any():
        raise DataError(f"no people in {scanned}: record people, or try another --detect")
    if people < min(LEAST_PEOPLE, request.frames):
        raise DataError(
            f"only {people} people in the {len(first)} frames that differ, of {scanned}; at least "
            f"{min(LEAST_PEOPLE, request.frames)} are needed: record longer, or in more places"
        )
    if request.held_out and not seen.people[second].any():
        raise DataError(
            "no people in the held-out frames: the recordings are too short or too uniform "
            f"({scanned}); record longer, or hold out another stretch with another --seed"
        )


def _keep(
    part: Path, clips: List[media.Clip], seen: ScannedFrames, splits: Dict[int, str], quiet: bool
) -> Tuple[List[Picture], List[selection.Recording]]:
    """Save the chosen frames as PNG; of a recording only the chosen frames are decoded fully."""
    pictures: List[Picture] = []
    sources: List[selection.Recording] = []
    for name in FOLDERS.values():
        (part / name).mkdir()
    with Progress("saving the chosen frames", len(splits), "frames", quiet) as bar:
        for number, clip in enumerate(clips):
            rows = {int(seen.index[r]): r for r in splits if seen.clip[r] == number}
            if not rows:
                continue
            last = max(rows)
            for index, _, image in media.read(clip, lambda i, w=rows: i in w):  # type: ignore[misc]
                row = rows[index]
                name = f"{FOLDERS[splits[row]]}/{number:03d}-{index:06d}.png"
                cv2.imwrite(str(part / name), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
                pictures.append(_picture(part, name, seen, row, splits[row], clip))
                bar.update()
                if index == last:
                    break
            sources += _sources(part.parent, clip, number, seen, sorted(rows))
    return sorted(pictures, key=lambda p: (p.split, p.file)), sources


def _picture(
    part: Path, name: str, seen: ScannedFrames, row: int, split: str, clip: media.Clip
) -> Picture:
    return Picture(
        file=name,
        split=split,
        source=_path(part.parent, clip, int(seen.index[row])),
        index=int(seen.index[row]),
        people=int(seen.people[row]),
        sha256=sha256_of(part / name),
        t_s=float(seen.t_s[row]),
        height=float(seen.height[row]),
        brightness=float(seen.brightness[row]),
        sharpness=float(seen.sharpness[row]),
    )


def _path(folder: Path, clip: media.Clip, index: int) -> str:
    """Name of the recording of a frame; pictures of a camera are deleted later, so its URI."""
    if "://" in clip.name:
        return clip.name
    return _name(folder, clip.paths[0 if clip.is_video else index])


def _name(folder: Path, path: Path) -> str:
    """The path as the user gave it; relative if it lies in the folder of the set."""
    return str(path.relative_to(folder) if folder in path.parents else path)


def _sources(
    folder: Path, clip: media.Clip, number: int, seen: ScannedFrames, chosen: List[int]
) -> List[selection.Recording]:
    if "://" in clip.name:
        return [selection.Recording(clip.name, "", len(clip.paths), len(chosen))]
    if clip.is_video:
        frames = int(seen.index[seen.clip == number].max()) + 1
        path = clip.paths[0]
        return [selection.Recording(_name(folder, path), sha256_of(path), frames, len(chosen))]
    paths = [clip.paths[i] for i in chosen]
    return [selection.Recording(_name(folder, p), sha256_of(p), 1, 1) for p in paths]


def _install(part: Path, folder: Path) -> None:
    """Replace the files of an earlier set by the new ones; a report may not have been drawn."""
    for made in ("crops", *FOLDERS.values(), report.REPORT):
        place = folder / made
        if place.is_dir():
            shutil.rmtree(place)
        elif place.is_file():
            place.unlink()
        if (part / made).exists():
            (part / made).replace(place)
