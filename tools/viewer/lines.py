"""A file of messages (`jsonl:` sink), read for the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from edge.errors import DataError, NoInputError
from edge.messages import Message
from tools.mqtt.subscriber import Received
from tools.viewer.board import LATEST


class Lines:
    """One message a line, {"topic": ..., "payload": ...}.

    Args:
        path: of the file.

    Raises:
        NoInputError: there is no such file. DataError: its first line is no message.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unreadable = 0
        try:
            self._size = path.stat().st_size
            with path.open("rb") as lines:
                first = lines.readline()
        except OSError as error:
            raise NoInputError(f"{path}: {error.strerror}") from error
        if first.strip() and _message(first) is None:
            raise DataError(f"{path}: is not a file of messages, as a jsonl: sink writes it")

    @property
    def notes(self) -> List[str]:
        """What is wrong with the file."""
        return [f"{self._unreadable} lines are no messages"] if self._unreadable else []

    def read(self) -> Iterator[Tuple[int, int, Message]]:
        """All messages in order, each with the number of the file, 0, and where it begins."""
        for at, line in self._lines(0):
            message = _message(line)
            if message is not None:
                yield 0, at, message
            elif line.strip():
                self._unreadable += 1

    def part(self, file: int, begin: int, end: int) -> Iterator[Message]:
        """The frames of a stretch; `end` = -1: to the end."""
        for at, line in self._lines(begin):
            if 0 <= end <= at:
                return
            message = _message(line)
            if message is not None and message.kind in ("frame", "scene"):
                yield message

    def share(self, file: int, begin: int) -> float:
        """How much of the file lies before a place, 0..1."""
        return begin / max(1, self._size)

    def _lines(self, begin: int) -> Iterator[Tuple[int, bytes]]:
        with self._path.open("rb") as lines:
            lines.seek(begin)
            for line in lines:
                yield begin, line
                begin += len(line)


def _message(line: bytes) -> Optional[Message]:
    """The message of a line, or None."""
    try:
        record = json.loads(line)
        topic, payload = record["topic"], record["payload"]
        kind = Received(topic, b"{").kind
        known = kind in LATEST or kind == "event"
        return Message(topic, kind if known else "", payload) if payload.items() else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
