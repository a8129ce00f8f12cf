"""A recording for the page: where in its files each moment lies, and its messages.

A thread reads the recording once, in order. It gives events to the board, and marks about every
second where the files continue. The page shows what is read so far, and asks for one part after
another. The position of a frame is the time in s since the first one; a pause of more than
MAX_PAUSE_S counts as so much, so that a recording of many runs has no empty stretches.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Protocol, Tuple

from edge.errors import DataError, EdgeError, NoInputError
from edge.messages import Message
from edge.recording.ring import SUFFIX
from tools.viewer.board import Board
from tools.viewer.lines import Lines
from tools.viewer.ring import RingFiles

log = logging.getLogger(__name__)

MESSAGES = "messages.jsonl"  # of `edge-tools demo`
MARK_S = 1.0
MAX_PAUSE_S = 2.0
MAX_EVENTS = 5000
MAX_NOTES = 5
TELL_S = 0.5
KEPT = ("state", "status", "metrics")
VARYING = ("seq", "t_utc_ns", "t_mono_ns", "since_utc_ns")


class Source(Protocol):
    """The files of a recording."""

    @property
    def notes(self) -> List[str]:
        """What the user should know about it."""

    def read(self) -> Iterator[Tuple[int, int, Message]]:
        """All messages in order, each with the number of its file and where it begins there."""

    def part(self, file: int, begin: int, end: int) -> Iterator[Message]:
        """The frames of a stretch of a file; `end` = -1: to its end."""

    def share(self, file: int, begin: int) -> float:
        """How much of the recording lies before a place, 0..1."""


class Mark(NamedTuple):
    """Where a part of about MARK_S begins."""

    at_s: float
    t_ns: int  # of its first frame
    file: int
    begin: int


@dataclass
class Position:
    """The position of frames that come one after another."""

    at_s: float = 0.0
    last_ns: Optional[int] = None  # the latest time so far; None = no frame yet

    def move(self, t_ns: int) -> float:
        """The position of the next frame."""
        since_s = 0.0 if self.last_ns is None else (t_ns - self.last_ns) * 1e-9
        if -MAX_PAUSE_S < since_s < 0:
            return self.at_s  # cameras of one step differ a little
        # A new run of the box begins with another monotonic time.
        self.at_s += since_s if 0 <= since_s <= MAX_PAUSE_S else MAX_PAUSE_S
        self.last_ns = t_ns
        return self.at_s


@dataclass
class Kept:
    """What one topic said last, at each position; repetitions are left out."""

    at_s: List[float] = field(default_factory=list)
    bodies: List[bytes] = field(default_factory=list)
    said: Dict[str, Any] = field(default_factory=dict)

    def add(self, at_s: float, message: Message) -> None:
        """Keep the message if it says something new."""
        said = {k: v for k, v in message.payload.items() if k not in VARYING}
        if said != self.said:
            self.said = said
            self.bodies.append(message.json)
            self.at_s.append(at_s)

    def between(self, begin_s: float, end_s: float) -> List[Tuple[float, bytes]]:
        """What is valid at the begin, and what follows before the end."""
        count = len(self.at_s)  # another thread appends, to this list last
        first = max(0, bisect_right(self.at_s, begin_s, 0, count) - 1)
        rows = zip(self.at_s[first:count], self.bodies[first:count])
        return [(max(at, begin_s), body) for at, body in rows if at < end_s]


class Replay:
    """Reads a recording in a thread of its own; a context manager.

    Args:
        path: a folder of segments, a segment, or a .jsonl file of messages.

    Attributes:
        board: gets the events, and under the name `replay` how much is read.

    Raises:
        NoInputError: there is no recording. DataError: it is not one.
    """

    def __init__(self, path: Path) -> None:
        self.board = Board(MAX_EVENTS)
        self._source = _source(path)
        self._marks: List[Mark] = []
        self._kept: Dict[str, Kept] = {}
        self._position = Position()
        self._told_s = 0.0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)

    def __enter__(self) -> Replay:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped = True
        self._thread.join()

    def chunk(self, at_s: float) -> bytes:
        """The part that contains a position.

        Returns:
            JSON: `from` and `to`, its limits in s; `last`, whether no part follows so far; and
            `messages`, each [position in s, topic, payload], with the states of then.
        """
        marks = self._marks[:]  # the thread appends
        if not marks:
            return b'{"from":0,"to":0,"last":true,"messages":[]}'
        i = max(0, bisect_right([mark.at_s for mark in marks], at_s) - 1)
        mark, end = marks[i], marks[i + 1] if i + 1 < len(marks) else None
        to_s = end.at_s if end else self._position.at_s + 0.001
        stop = end.begin if end and end.file == mark.file else -1
        rows = self._states(mark.at_s, to_s) + self._frames(mark, stop, to_s)
        head = f'{{"from":{mark.at_s:.3f},"to":{to_s:.3f},"last":{json.dumps(end is None)}'
        return head.encode() + b',"messages":[' + b",".join(rows) + b"]}"

    def _states(self, begin_s: float, end_s: float) -> List[bytes]:
        kept = list(self._kept.items())
        return [
            _row(at_s, topic, body)
            for topic, of_topic in kept
            for at_s, body in of_topic.between(begin_s, end_s)
        ]

    def _frames(self, mark: Mark, stop: int, to_s: float) -> List[bytes]:
        position, rows = Position(mark.at_s, mark.t_ns), []
        try:
            for message in self._source.part(mark.file, mark.begin, stop):
                at_s = position.move(_time_ns(message))
                if at_s > to_s:
                    break
                rows.append(_row(at_s, message.topic, message.json))
        except (EdgeError, OSError) as error:  # the box may have removed its oldest segment
            log.warning("%s", error)
        return rows

    def _run(self) -> None:
        """Read the recording; a mistake in it ends the reading, and the page says so."""
        problem = ""
        try:
            for file, begin, message in self._source.read():
                if self._stopped:
                    return
                self._take(file, begin, message)
                self._tell(self._source.share(file, begin))
        except (EdgeError, OSError) as error:
            problem = str(error)
            log.error("%s", problem)
        self._tell(1.0, done=True, problem=problem)

    def _take(self, file: int, begin: int, message: Message) -> None:
        try:
            if message.kind in ("frame", "scene"):
                self._mark(file, begin, _time_ns(message))
            elif message.kind == "event":
                at = {"at_s": round(self._position.at_s, 3)}
                self.board.event(message.topic, {**message.payload, **at})
            elif message.kind in KEPT:
                self._kept.setdefault(message.topic, Kept()).add(self._position.at_s, message)
        except (DataError, KeyError, TypeError, ValueError) as error:
            log.warning("%s: %r is left out", message.topic, error)

    def _mark(self, file: int, begin: int, t_ns: int) -> None:
        """Move to a frame; it may begin a part."""
        at_s = self._position.move(t_ns)
        before = self._marks[-1] if self._marks else None
        if before is None or before.file != file or at_s >= before.at_s + MARK_S:
            # Rounded as the page is told, so that the end of a part is the begin of the next.
            self._marks.append(Mark(round(at_s, 3), t_ns, file, begin))

    def _tell(self, share: float, done: bool = False, problem: str = "") -> None:
        now_s = time.monotonic()
        if done or now_s >= self._told_s + TELL_S:
            self._told_s = now_s
            said = {"share": round(share, 3), "done": done, "problem": problem}
            to_s = round(self._position.at_s, 3)
            notes = self._source.notes[:MAX_NOTES]
            self.board.put("replay", {**said, "to_s": to_s, "notes": notes})


def _source(path: Path) -> Source:
    if path.is_dir():
        segments = sorted(path.glob("*" + SUFFIX))
        if segments:
            return RingFiles(segments)
        path = path / MESSAGES if (path / MESSAGES).is_file() else path
    if path.is_file():
        return RingFiles([path]) if path.suffix == SUFFIX else Lines(path)
    raise NoInputError(f"{path}: contains no recording; set [record] max_mb to record")


def _row(at_s: float, topic: str, body: bytes) -> bytes:
    return b"[%.3f,%s,%s]" % (at_s, json.dumps(topic).encode(), body)


def _time_ns(message: Message) -> int:
    """The monotonic time of a message. Raises DataError if it has none."""
    try:
        return int(message.payload["t_mono_ns"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{message.topic}: has no t_mono_ns") from error
