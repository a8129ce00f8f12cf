"""Record poses on disk in a ring of bounded size, for `edge-tools replay`; never pixels.

A recording is a folder of segments, `<UTC ns of the run's start>-<number>.poses`. If the ring is
full, the oldest segment is removed. If the clock is behind, a run is dated after the last one that
is there. A segment:

    magic      16 bytes  `edge-poses/1`, a line feed, zeros
    records    length u32 | CRC-32 u32 | kind u8 | payload        little-endian throughout

Length and CRC cover kind and payload. `H` is first in every segment: a JSON object with the
configuration, boot_id, and the next number of each topic. `P` is the people of a frame as the rules
saw them (edge/recording/record.py). `S` is a JSON object: `camera`, `rules` (names) and `mark`, a
change of a session (edge/rules/_sessions.py) before the next frame. `G` is a JSON object with the
number of frames missing here.
A kill may tear the last record, but none before it. A power cut may cost the last SYNC_S seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import queue
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from edge import durable
from edge.errors import DataError, NoInputError
from edge.messages import Builder
from edge.recording.record import RecordedFrame, pack
from edge.settings import config
from edge.structures import Frame, Poses

log = logging.getLogger(__name__)

MAGIC = b"edge-poses/1\n\0\0\0"
SUFFIX = ".poses"
RECORD = struct.Struct("<IIB")
SEGMENTS = 8  # of a full ring
SYNC_S = 5.0
ROOM = 256  # frames on their way to the disk
MAX_RECORD = 64 << 20


def read_segment(path: Path, begin: int = 0) -> Iterator[Tuple[str, bytes]]:
    """Yield the complete records of a segment, each as kind and payload.

    A torn record ends the segment and is logged.

    Args:
        path: of the segment.
        begin: where a record begins, in bytes; 0 = the first one.

    Raises:
        NoInputError: no such file. DataError: not a segment.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    with file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            if MAGIC.startswith(magic):  # a kill between open(2) and the first write
                log.warning("%s: is empty; the recorder was killed as it began", path)
                return
            raise DataError(f"{path}: is not a recording of poses")
        file.seek(begin or len(MAGIC))
        while True:
            head = file.read(RECORD.size)
            if len(head) < RECORD.size:
                return
            length, crc, kind = RECORD.unpack(head)
            payload = file.read(length - 1) if 1 <= length <= MAX_RECORD else b""
            if len(payload) != length - 1 or zlib.crc32(payload, zlib.crc32(head[8:])) != crc:
                log.warning("%s: ends torn; everything before is whole", path)
                return
            yield chr(kind), payload


class Ring:
    """Segments in a folder with a limit for their total size.

    Args:
        folder: it is made if it is missing.
        max_bytes: of all segments together.
        header: returns the payload of the record that begins a segment.
        max_age_s: recordings are removed after this time (edge.recording.retention), so that
            segments must end long before; 0 = never.
    """

    def __init__(
        self, folder: Path, max_bytes: int, header: Callable[[], bytes], max_age_s: float = 0.0
    ) -> None:
        self._folder, self._header = durable.make_dir(folder), header
        self._max_bytes = max_bytes
        self._segment_bytes = max_bytes // SEGMENTS
        self._segment_s = max_age_s / SEGMENTS or float("inf")
        self._began_s = 0.0
        self._run = f"{max(time.time_ns(), self._newest() + 1):020d}"
        self._number = 0
        self._handle = -1
        self._size = 0

    def _newest(self) -> int:
        """When the newest run in the folder began, UTC ns; 0 = there is none."""
        runs = (p.name.partition("-")[0] for p in self._folder.glob(f"*{SUFFIX}"))
        return max((int(run) for run in runs if run.isdecimal()), default=0)

    def write(self, kind: str, payload: bytes) -> None:
        """Append a record; raises OSError, which ends the segment with a torn record."""
        body = kind.encode("ascii") + payload
        record = struct.pack("<II", len(body), zlib.crc32(body)) + body
        if self._handle < 0 or self._size + len(record) > self._segment_bytes:
            self.begin()
        if not self._add(record):
            self.begin()
            self._add(record)
        self._size += len(record)

    def _add(self, data: bytes) -> bool:
        """Append to the segment; returns False if somebody has removed or replaced it."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX)  # somebody may be erasing frames of it
            if not os.fstat(self._handle).st_nlink:
                self.close()
                return False
            durable.write_all(self._handle, data)
            fcntl.flock(self._handle, fcntl.LOCK_UN)
        except OSError:
            self.close()  # a reader does not find records behind a torn one
            raise
        return True

    def begin(self) -> None:
        """Begin a new segment; the oldest are removed until there is room; raises OSError."""
        self.close()
        header = b"H" + self._header()
        first = MAGIC + struct.pack("<II", len(header), zlib.crc32(header)) + header
        self._make_room(max(self._segment_bytes, len(first)))
        path = f"{self._folder}/{self._run}-{self._number:06d}{SUFFIX}"
        self._number += 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._handle = os.open(path, flags, 0o600)
        try:
            self._add(first)
        except OSError:
            os.unlink(path)  # noqa: PTH108
            raise
        self._size, self._began_s = len(first), time.monotonic()

    def _make_room(self, size: int) -> None:
        """Remove the oldest segments. Without pathlib: Python 3.12 interns every part of a Path."""
        with os.scandir(str(self._folder)) as here:
            names = [p.path for p in here if p.name.endswith(SUFFIX)]
        sizes = {path: _size(path) for path in sorted(names)}
        for path in list(sizes):
            if sum(sizes.values()) + size <= self._max_bytes:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108
            del sizes[path]

    def due(self) -> bool:
        """Whether the segment is so full, or so old, that the next may begin after a step."""
        old = time.monotonic() - self._began_s > self._segment_s
        return old or self._size > 0.75 * self._segment_bytes

    def sync(self) -> None:
        """Make the segment durable; raises OSError."""
        if self._handle >= 0:
            os.fsync(self._handle)

    def close(self) -> None:
        """Close the segment."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def _size(path: str) -> int:
    """Bytes of a file; 0 if somebody has just removed it."""
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except FileNotFoundError:
        return 0


class Recorder:
    """Records every step (`Pipeline.watchers`); a thread of its own writes.

    Args:
        folder: of the ring.
        max_bytes: of the ring.
        builder: of the messages of this run; it dates and numbers them.
        settings: returns the configuration in use.
        lossless: wait for the disk instead of leaving frames out.
        max_age_s: as of `Ring`.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        builder: Builder,
        settings: Callable[[], config.Config],
        lossless: bool,
        max_age_s: float = 0.0,
    ) -> None:
        self._builder, self._settings, self._lossless = builder, settings, lossless
        self._used: Optional[config.Config] = None
        self._numbers: Dict[str, int] = builder.numbers()
        self._ring = Ring(folder, max_bytes, self._header, max_age_s)
        self._queue: queue.Queue[Optional[Tuple[str, Any]]] = queue.Queue(ROOM)
        self._now: List[Any] = [
            config.show(config.Config()),
            {},
        ]  # configuration and numbers of the record being written
        self._missing = 0
        self._ok = True
        self._lost = 0  # frames that the disk refused and no `G` record counts yet
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        """Record a step; called after its events were published."""
        self._head()
        for frame, people in zip(frames, poses):
            offset_ns = self._builder.offset_ns(frame.camera)
            recorded = RecordedFrame(
                frame.camera, frame.index, frame.t_ns, offset_ns, frame.size, people
            )
            self._put("P", pack(recorded))
        if frames:
            self._numbers = self._builder.numbers()
            self._put("N", self._numbers)

    def session(self, camera: str, rules: Sequence[str], mark: Mapping[str, Any]) -> None:
        """Record a change of a session; called between two steps."""
        self._head()
        record = {"camera": camera, "rules": [*rules], "mark": mark}
        if not self._put("S", json.dumps(record).encode()):
            self._missing += 1  # a replay is told that something is missing

    def _head(self) -> None:
        """Begin a segment if the configuration has changed."""
        settings = self._settings()
        if settings is not self._used:
            self._used = settings if self._put("H", (settings, self._numbers)) else None

    def close(self) -> None:
        """Write waiting records, then end the thread."""
        self._queue.put(None)
        self._thread.join(5.0)

    def _put(self, kind: str, what: Any) -> bool:
        """Queue a record; returns False if there is no room and the loop may not wait."""
        if self._lossless:
            self._queue.put((kind, what))
            return True
        if self._queue.qsize() >= ROOM - 2:
            self._missing += kind == "P"
            return False
        if self._missing:
            missing, self._missing = self._missing, 0
            self._queue.put(("G", json.dumps({"frames": missing}).encode()))
        self._queue.put((kind, what))
        return True

    def _run(self) -> None:
        synced_s = time.monotonic()
        while True:
            item = self._queue.get()
            if item is None:
                break
            self._try_to_write(*item)
            if time.monotonic() - synced_s > SYNC_S:
                synced_s = time.monotonic()
                self._attempt(self._ring.sync)
        self._attempt(self._ring.sync)
        self._ring.close()

    def _try_to_write(self, kind: str, what: Any) -> None:
        if kind == "H":
            settings, numbers = what  # config.show is slow: once for many segments
            self._now[:] = config.show(settings), numbers
            self._attempt(self._ring.begin)
        elif kind == "N":
            self._now[1] = what  # a step is complete, so a segment may begin here
            if self._ring.due() or not self._ok:
                self._attempt(self._ring.begin)
        elif self._ok:
            self._attempt(lambda: self._ring.write(kind, what))
        if not self._ok:
            self._lost += kind == "P"
        elif self._lost:
            lost = json.dumps({"frames": self._lost}).encode()
            if self._attempt(lambda: self._ring.write("G", lost)):
                self._lost = 0

    def _attempt(self, write: Callable[[], None]) -> bool:
        try:
            write()
            self._ok = True
        except OSError as error:
            if self._ok:
                log.error("recording: %s; frames are missing until that is mended", error)
            self._ok = False
        return self._ok

    def _header(self) -> bytes:
        shown, numbers = self._now
        record = {"boot_id": self._builder.boot_id, "config": shown, "numbers": numbers}
        return json.dumps(record).encode()
