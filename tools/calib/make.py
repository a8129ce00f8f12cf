"""From recordings to a calibration set in its folder."""

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
from tools.calib.scan import Look, Seen, scan, strides
from tools.calib.selection import CALIBRATION, FOLDERS, HELD_OUT, Picture, Selection
from tools.fetch.files import locked, sha256_of
from tools.progress import Progress, track

LOOKED_AT = 6  # frames looked at for each one chosen; of a camera, whose frames take room, ...
WATCHED = 2
LOCK = ".lock"  # in the set's folder
OURS = re.compile(r"\d{3,}-\d{6,}\.png")  # a chosen frame: number of the recording, of the frame
LEAST_PEOPLE = 16  # in the calibration frames, unless fewer frames than that are wanted
RULE = (
    "every n-th frame is looked at; one stretch of each recording, the same share of all, is held "
    "out with a guard on both sides; spread over strata of people, their height, brightness and "
    "sharpness by the root of their sizes; farthest point first within each"
)


@dataclass(frozen=True)
class Order:
    """What a user wants."""

    words: Sequence[str]  # files, folders, globs, URIs
    frames: int = 128
    held_out: int = 32
    seed: int = 0
    seconds: float = 60.0  # of a running camera
    licence: str = ""
    quiet: bool = False


@dataclass
class Made:
    """What came of it."""

    folder: Path
    selection: Selection
    looked_at: int = 0
    problems: List[str] = field(default_factory=list)
    inputs: Dict[str, int] = field(default_factory=dict)


def make(folder: Path, order: Order, settings: Config) -> Made:
    """Choose frames, keep them, record what the networks are fed; one program at a time.

    Raises:
        EdgeError: nothing to read, nobody in it, or too few, or pictures of the user's own where
            the chosen ones go; the set before stays as it was.
    """
    with locked(folder / LOCK):
        _require_room(folder)
        return _make(folder, order, settings)


def _make(folder: Path, order: Order, settings: Config) -> Made:
    part = folder / ".part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        clips = _clips(order, part)
        seen = _look(clips, order, settings)
        made = _choose(folder, part, clips, seen, order, settings)
        made.inputs = record_inputs(part, made.selection, settings, order.quiet)
        _install(part, folder)
        selection.save(folder, made.selection)
        return made
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _require_room(folder: Path) -> None:
    """What is replaced must be what an earlier run made.

    Raises:
        ConfigError: names a file that is not.
    """
    for name in FOLDERS.values():
        foreign = [p for p in (folder / name).glob("*") if not OURS.fullmatch(p.name)]
        if foreign:
            raise ConfigError(
                f"{sorted(foreign)[0]}: is where the chosen pictures go, which replace all that is "
                f"in {folder / name}; move your recordings elsewhere"
            )


def record_inputs(folder: Path, chosen: Selection, settings: Config, quiet: bool) -> Dict[str, int]:
    """Run the chosen pictures through the daemon's models; crops/<model>/<network>.npy.

    Returns:
        Number of inputs by model/network, and of held-out ones by model/network.heldout.
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


def _clips(order: Order, part: Path) -> List[media.Clip]:
    """Every recording once, cameras first put on disk."""
    cameras = [w for w in order.words if "://" in w and not w.startswith("file://")]
    files = [w for w in order.words if w not in cameras]
    clips = media.find(files) if files else []
    room = WATCHED * (order.frames + order.held_out)
    for number, uri in enumerate(cameras):
        place = part / f"camera{number}"
        clips.append(camera_recording.spool(uri, order.seconds, room, place, order.quiet))
    return clips


def _look(clips: List[media.Clip], order: Order, settings: Config) -> Seen:
    lengths = [media.length(clip) for clip in clips]
    every = strides(lengths, LOOKED_AT * (order.frames + order.held_out))
    every = [n if known else 0 for n, known in zip(every, lengths)]  # those cannot be read
    models = Models(settings)
    try:
        with Progress("looking at frames", sum(lengths), "frames", order.quiet) as bar:
            seen = scan(clips, every, _look_with(models), bar.update)
    finally:
        models.close()
    if not len(seen):
        problems = [p for clip in clips for p in clip.problems]
        raise NoInputError(problems[0] if problems else "the recordings have no frame")
    return seen


def _look_with(models: Models) -> Look:
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
    seen: Seen,
    order: Order,
    settings: Config,
) -> Made:
    first, second = choose.pick(seen, order.frames, order.held_out, order.seed)
    _require_people(seen, first, second, order)
    chosen = np.concatenate((first, second))
    splits = [CALIBRATION] * len(first) + [HELD_OUT] * len(second)
    pictures, sources = _keep(part, clips, seen, dict(zip(chosen.tolist(), splits)), order.quiet)
    found = Selection(
        description=f"{len(first)} calibration and {len(second)} held-out frames",
        licence=order.licence or "not stated; recordings of the user's own",
        seed=order.seed,
        rule=RULE,
        detect=settings.detect.model,
        pose=settings.pose.model,
        sources=sources,
        frames=pictures,
    )
    report.write(part, found, seen, chosen, folder.name)
    return Made(folder, found, len(seen), [p for clip in clips for p in clip.problems])


def _require_people(seen: Seen, first: np.ndarray, second: np.ndarray, order: Order) -> None:
    people = int(seen.people[first].sum())
    looked = f"{len(seen)} frames looked at"
    if not seen.people.any():
        raise DataError(f"no one is to be seen in {looked}: record people, or try another --detect")
    if people < min(LEAST_PEOPLE, order.frames):
        raise DataError(
            f"only {people} people in the {len(first)} frames that differ, of {looked}; at least "
            f"{min(LEAST_PEOPLE, order.frames)} are needed: record longer, or in more places"
        )
    if order.held_out and not seen.people[second].any():
        raise DataError(
            f"no one is left to hold out: the recordings are too short or too alike ({looked}); "
            "record longer, or another --seed holds out another stretch"
        )


def _keep(
    part: Path, clips: List[media.Clip], seen: Seen, splits: Dict[int, str], quiet: bool
) -> Tuple[List[Picture], List[selection.Source]]:
    """Write the chosen frames as PNG; read from each recording only what is wanted."""
    pictures: List[Picture] = []
    sources: List[selection.Source] = []
    for name in FOLDERS.values():
        (part / name).mkdir()
    with Progress("keeping the chosen frames", len(splits), "frames", quiet) as bar:
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


def _picture(part: Path, name: str, seen: Seen, row: int, split: str, clip: media.Clip) -> Picture:
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
    """How a frame's recording is called; a camera's pictures are gone afterwards."""
    if "://" in clip.name:
        return clip.name
    return _name(folder, clip.paths[0 if clip.is_video else index])


def _name(folder: Path, path: Path) -> str:
    """As the user named it; media of the set itself by their place in it."""
    return str(path.relative_to(folder) if folder in path.parents else path)


def _sources(
    folder: Path, clip: media.Clip, number: int, seen: Seen, chosen: List[int]
) -> List[selection.Source]:
    if "://" in clip.name:
        return [selection.Source(clip.name, "", len(clip.paths), len(chosen))]
    if clip.is_video:
        frames = int(seen.index[seen.clip == number].max()) + 1
        path = clip.paths[0]
        return [selection.Source(_name(folder, path), sha256_of(path), frames, len(chosen))]
    paths = [clip.paths[i] for i in chosen]
    return [selection.Source(_name(folder, p), sha256_of(p), 1, 1) for p in paths]


def _install(part: Path, folder: Path) -> None:
    """Put what was made in place of what was there."""
    for made in ("crops", *FOLDERS.values(), "report.png"):
        place = folder / made
        if place.is_dir():
            shutil.rmtree(place)
        (part / made).replace(place)
