"""The segments of a recording of poses (`[record]`), read for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from edge.message_people import people
from edge.messages import ROOT, SCHEMA, Message
from edge.recording.record import RecordedFrame, unpack
from edge.recording.ring import MAGIC, RECORD, read_segment
from tools.playback.player import Player

STATE_NS = 250_000_000  # between two looks at what the rules of a camera know


class RingFiles:
    """Segments in order; the rules of the recording judge its frames.

    Args:
        paths: of the segments, oldest first.

    Attributes:
        notes: what may make events differ from those of the run.

    Raises:
        DataError: the first one is no segment.
    """

    def __init__(self, paths: List[Path]) -> None:
        self._paths = paths
        self._sizes = [path.stat().st_size for path in paths]
        self._player = Player(with_frames=True)
        self._runs: Dict[int, Tuple[str, str]] = {}  # by file: device, boot_id
        self._looked_ns: Dict[str, int] = {}  # by topic
        next(read_segment(paths[0]), None)

    @property
    def notes(self) -> List[str]:
        """What may make events differ from those of the run."""
        return self._player.notes

    def read(self) -> Iterator[Tuple[int, int, Message]]:
        """All frames, events and states in order, each with its file and where it begins."""
        for file, path in enumerate(self._paths):
            for begin, kind, payload in _records(path):
                for message in self._judged(file, kind, payload, path):
                    yield file, begin, message

    def _judged(self, file: int, kind: str, payload: bytes, path: Path) -> List[Message]:
        """The messages of a record, and now and then what the rules know after it."""
        messages = list(self._player.record(kind, payload, path))
        for frame in [message for message in messages if message.kind == "frame"]:
            told = frame.payload
            self._runs[file] = (told["device"], told["boot_id"])
            since_ns = abs(told["t_mono_ns"] - self._looked_ns.get(frame.topic, -STATE_NS))
            if since_ns >= STATE_NS:
                self._looked_ns[frame.topic] = told["t_mono_ns"]
                messages.append(self._player.state(frame))
        return messages

    def part(self, file: int, begin: int, end: int) -> Iterator[Message]:
        """The frames of a stretch of a file; `end` = -1: to its end."""
        for at, kind, payload in _records(self._paths[file], begin):
            if 0 <= end <= at:
                return
            if kind == "P":
                yield _message(unpack(payload), *self._runs[file])

    def share(self, file: int, begin: int) -> float:
        """How much of the recording lies before a place, 0..1."""
        return (sum(self._sizes[:file]) + begin) / max(1, sum(self._sizes))


def _records(path: Path, begin: int = 0) -> Iterator[Tuple[int, str, bytes]]:
    """The records of a segment, each with the byte at which it begins."""
    at = begin or len(MAGIC)
    for kind, payload in read_segment(path, begin):
        yield at, kind, payload
        at += RECORD.size + len(payload)


def _message(told: RecordedFrame, device: str, boot_id: str) -> Message:
    topic = f"{ROOT}/{device}/{told.camera}/frame"
    payload = {
        "schema": SCHEMA,
        "device": device,
        "camera": told.camera,
        "boot_id": boot_id,
        "seq": told.index,
        "t_utc_ns": told.t_ns + told.offset_ns,
        "t_mono_ns": told.t_ns,
        "size": list(told.size),
        "skeleton": told.poses.skeleton,
        "people": people(told.poses),
    }
    return Message(topic, "frame", payload)
