"""List recordings, and erase frames of them: by time and by camera.

A segment is replaced in one durable step by a copy without the erased frames, or removed if none is
left. So after a kill or a power cut each segment is as before or as it should be. A running
recorder waits for its open segment meanwhile (flock), then goes on in a new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Dict, FrozenSet, Iterator, List, Optional, Tuple

from edge import durable
from edge.errors import DataError, NoInputError, TempError
from edge.recording.record import RecordedFrame, unpack
from edge.recording.ring import MAGIC, SUFFIX, read_segment


@dataclass(frozen=True)
class Choice:
    """Which frames: those of the cameras, from `after_ns` to `before_ns`, UTC."""

    cameras: FrozenSet[str] = frozenset()  # empty = all
    after_ns: Optional[int] = None
    before_ns: Optional[int] = None

    def has(self, frame: RecordedFrame) -> bool:
        """Whether a frame is chosen."""
        t_ns = frame.t_ns + frame.offset_ns
        return (
            (not self.cameras or frame.camera in self.cameras)
            and (self.after_ns is None or t_ns >= self.after_ns)
            and (self.before_ns is None or t_ns < self.before_ns)
        )


@dataclass
class Summary:
    """What a segment holds."""

    path: Path
    size_bytes: int
    first_ns: int = 0  # UTC of its first frame; 0 = it has none
    last_ns: int = 0
    frames: Dict[str, int] = field(default_factory=dict)  # by camera
    missing: int = 0  # frames that were erased or never written


def segments(folder: Path) -> List[Path]:
    """The segments of a folder, oldest first.

    Raises:
        NoInputError: no such folder.
    """
    if not folder.is_dir():
        raise NoInputError(f"{folder}: no such folder of recordings")
    return sorted(folder.glob(f"*{SUFFIX}"))


def summary(path: Path) -> Summary:
    """Read what a segment holds.

    Raises:
        NoInputError: no such file. DataError: not a segment.
    """
    found = Summary(path, path.stat().st_size)
    for kind, payload in read_segment(path):
        if kind == "P":
            frame = unpack(payload)
            t_ns = frame.t_ns + frame.offset_ns
            found.first_ns = min(found.first_ns or t_ns, t_ns)
            found.last_ns = max(found.last_ns, t_ns)
            found.frames[frame.camera] = found.frames.get(frame.camera, 0) + 1
        elif kind == "G":
            found.missing += _missing(payload)
    return found


def erase(path: Path, choice: Choice, dry: bool = False) -> int:
    """Erase frames of a segment.

    Args:
        path: the segment.
        choice: which frames.
        dry: only count them.

    Returns:
        The number of frames.

    Raises:
        NoInputError, DataError: it is no segment. TempError: the disk or the system refuses; the
            segment is as before.
    """
    try:
        with _held(path) as handle:
            kept, gone = _counted(path, choice)
            if gone and not dry:
                if kept:
                    _rewrite(path, choice, os.fstat(handle))
                else:
                    path.unlink()
                    durable.sync_dir(path.parent)
            return gone
    except OSError as error:
        raise TempError(
            f"{path}: {error.strerror or error}; run it as the service's user"
        ) from error


@contextlib.contextmanager
def _held(path: Path) -> Iterator[int]:
    """Keep the recorder from writing to a segment."""
    while True:
        try:
            handle = os.open(str(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise NoInputError(f"{path}: no such recording") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:  # else it was replaced before we had it
                yield handle
                return
        finally:
            os.close(handle)


def _counted(path: Path, choice: Choice) -> Tuple[int, int]:
    """How many frames stay, and how many are chosen."""
    counts = [0, 0]
    for kind, payload in read_segment(path):
        if kind == "P":
            counts[choice.has(unpack(payload))] += 1
    return counts[0], counts[1]


def _rewrite(path: Path, choice: Choice, before: os.stat_result) -> None:
    with durable.new_file(path) as file:
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
        file.write(MAGIC)
        erased = 0
        for kind, payload in read_segment(path):
            if kind == "P" and choice.has(unpack(payload)):
                erased += 1
                continue
            if erased:
                _add_gap(file, erased)
            erased = 0
            _add(file, kind, payload)
        if erased:
            _add_gap(file, erased)
        file.flush()


def _add_gap(file: BinaryIO, frames: int) -> None:
    _add(file, "G", json.dumps({"frames": frames, "erased": True}).encode())


def _add(file: BinaryIO, kind: str, payload: bytes) -> None:
    body = kind.encode("ascii") + payload
    file.write(struct.pack("<II", len(body), zlib.crc32(body)) + body)


def _missing(payload: bytes) -> int:
    try:
        return int(json.loads(payload)["frames"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"the recording is damaged: {error}") from error
