"""Find the user's recordings, and read them frame by frame.

A video is one clip. The pictures of a folder are also one clip, since they may be frames of a
video. A file that cannot be read is left out and noted; the other files are still read.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence, Tuple
from urllib.parse import quote

import cv2
import numpy as np

from edge import capture
from edge.capture import file
from edge.capture._reels import ASSUMED_HZ, Reel, VideoReel
from edge.errors import DataError, NoInputError
from edge.view import View

IMAGES = file.IMAGES
VIDEOS = file.VIDEOS
OPTIONS = capture.CaptureOptions()
ClipFrame = Tuple[int, float, np.ndarray]  # index in the clip, time in s, [H,W,3] u8 BGR borrowed


@dataclass
class Clip:
    """A sequence of frames whose neighbours may look alike.

    Attributes:
        name: path of the video or folder, or URI of the camera.
        paths: one video, or pictures.
        is_video: whether `paths` is one video.
        problems: one line for each part that was left out.
        rate_hz: frame rate.
    """

    name: str
    paths: List[Path]
    is_video: bool
    problems: List[str] = field(default_factory=list)
    rate_hz: float = ASSUMED_HZ


def find(words: Sequence[str]) -> List[Clip]:
    """Clips of files, folders with all their subfolders, and globs.

    Raises:
        NoInputError: a path does not exist, or has no recordings.
    """
    found: Dict[Path, Path] = {}  # real path -> path, so that each file comes once
    for word in words:
        for path in _files(word.partition("://")[2] if word.startswith("file://") else word):
            found.setdefault(path.resolve(), path)
    clips: Dict[str, Clip] = {}
    for path in found.values():
        if path.suffix.lower() in IMAGES:
            folder = str(path.parent)
            clips.setdefault(folder, Clip(folder, [], False)).paths.append(path)
        else:
            clips[str(path)] = Clip(str(path), [path], True)
    return list(clips.values())


def _files(word: str) -> List[Path]:
    path = Path(word)
    if path.is_dir():
        found = [p for p in path.rglob("*") if not p.name.startswith(".")]
    elif path.exists():
        return [path]
    else:
        found = [Path(p) for p in glob.glob(word, recursive=True)]  # noqa: PTH207
        if not found:
            raise NoInputError(f"{word}: no such file or folder")
    found = [p for p in found if p.is_file() and p.suffix.lower() in VIDEOS + IMAGES]
    if not found:
        raise NoInputError(f"{word}: has no videos or images ({' '.join(VIDEOS + IMAGES)})")
    return sorted(found, key=file.natural)


def length(clip: Clip) -> int:
    """Number of frames of a clip; 0 if it cannot be read.

    If the container does not give the number, the frames are counted.
    """
    if not clip.is_video:
        return len(clip.paths)
    try:
        reel = _open(clip.paths[0])
    except (DataError, NoInputError) as error:
        clip.problems.append(str(error))
        return 0
    try:
        clip.rate_hz = reel.rate_hz
        known = reel.count if isinstance(reel, VideoReel) else 1
        return known if known > 0 else sum(1 for _ in iter(reel.next_ns, None))
    finally:
        reel.close()


def read(
    clip: Clip, wanted: Callable[[int], bool], step: Callable[[], None] = lambda: None
) -> Iterator[ClipFrame]:
    """The wanted frames of a clip, in order; each image is borrowed until the next one.

    Args:
        clip: problems are added to it.
        wanted: whether the frame of an index is wanted; other frames are decoded only as far as
            the codec needs.
        step: called after every frame.
    """
    ring = capture.Ring(2, live=False)
    reader = _video if clip.is_video else _pictures
    yield from reader(clip, wanted, step, ring)


def _video(
    clip: Clip, wanted: Callable[[int], bool], step: Callable[[], None], ring: capture.Ring
) -> Iterator[ClipFrame]:
    slot = capture.Slot()
    try:
        reel = _open(clip.paths[0])
    except (DataError, NoInputError) as error:
        clip.problems.append(str(error))
        return
    try:
        for index, t_ns in enumerate(iter(reel.next_ns, None)):
            if wanted(index):
                reel.fill(slot, ring)
                yield index, t_ns / 1e9, _square(slot)
            step()
        if reel.early_end():
            clip.problems.append(reel.early_end())
    except DataError as error:
        clip.problems.append(str(error))
    finally:
        reel.close()


def _square(slot: capture.Slot) -> np.ndarray:
    """The picture with square pixels, as the networks are to see it."""
    if slot.aspect == 1:
        return slot.image
    size = View(aspect=slot.aspect).size((slot.image.shape[1], slot.image.shape[0]))
    return np.asarray(cv2.resize(slot.image, size))


def _pictures(
    clip: Clip, wanted: Callable[[int], bool], step: Callable[[], None], ring: capture.Ring
) -> Iterator[ClipFrame]:
    slot = capture.Slot()
    for index, path in enumerate(clip.paths):
        if wanted(index):
            try:
                reel = _open(path)
                reel.next_ns()
                reel.fill(slot, ring)
            except (DataError, NoInputError) as error:
                clip.problems.append(str(error))
            else:
                yield index, index / clip.rate_hz, slot.image
        step()


def _open(path: Path) -> Reel:
    try:
        address = capture.parse(f"file://{quote(str(path))}")
        return file.open_reel(address, ASSUMED_HZ, OPTIONS)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise NoInputError(f"{str(path)!a}: the name is not UTF-8; rename it") from error
