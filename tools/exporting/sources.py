"""Read poses from recordings, from lines of messages, and from a broker; one frame at a time."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterator, Sequence

from edge import codec
from edge.errors import DataError, NoInputError
from edge.publish._address import Broker
from edge.recording.record import unpack
from edge.recording.ring import SUFFIX, read_segment
from edge.settings import config
from tools.exporting.sight import Sight, of_message, of_recording
from tools.mqtt.subscriber import Subscriber

POLL_S = 0.2


def of_paths(paths: Sequence[Path]) -> Iterator[Sight]:
    """The frames of recordings and jsonl files, in their order.

    Args:
        paths: segments, folders of segments, files of the sink jsonl:PATH; "-" = standard input.

    Raises:
        NoInputError: there is none. DataError: a file is something else.
    """
    for path in paths:
        if str(path) == "-":
            yield from _lines(sys.stdin, "standard input")
        elif path.is_dir():
            yield from _recording(path)
        elif path.suffix == SUFFIX:
            yield from _segments([path])
        else:
            try:
                with path.open(encoding="utf-8") as file:
                    yield from _lines(file, str(path))
            except OSError as error:
                raise NoInputError(f"{path}: {error.strerror}") from error


def _recording(folder: Path) -> Iterator[Sight]:
    segments = sorted(folder.glob(f"*{SUFFIX}")) or sorted(folder.glob(f"recordings/*{SUFFIX}"))
    if not segments:
        raise NoInputError(f"{folder}: contains no recording; set [record] max_mb to record")
    yield from _segments(segments)


def _segments(segments: Sequence[Path]) -> Iterator[Sight]:
    device = boot_id = ""
    for segment in segments:
        for kind, payload in read_segment(segment):
            if kind == "H":
                device, boot_id = _head(payload, segment)
            elif kind == "P":
                yield of_recording(unpack(payload), device, boot_id)


def _head(payload: bytes, path: Path) -> Sequence[str]:
    """Device and boot_id of a segment."""
    try:
        record = json.loads(payload)
        text = str(record["config"]).encode()
        table = config.read_toml(path, lambda _: text)
        return str(table.get("device", config.Config().device)), str(record["boot_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: its first record is damaged: {error}") from error


def _lines(file: IO[str], name: str) -> Iterator[Sight]:
    """The frames of lines {"topic": ..., "payload": ...}; other messages are passed over."""
    for number, line in enumerate(file, 1):
        if '/frame"' not in line[:200]:
            if number == 1 and not line.lstrip().startswith("{"):
                raise DataError(f"{name}: is no file of messages (--sink jsonl:PATH)")
            continue
        try:
            record: Dict[str, Any] = codec.read(line.encode(), codec.JSON)["payload"]
            yield of_message(record)
        except (DataError, KeyError) as error:
            if not line.endswith("\n"):
                return  # the writer was stopped in the middle of its last line
            raise DataError(f"{name}: line {number}: {error}") from error


def of_broker(
    broker: Broker, device: str, seconds: float, stop: Callable[[], bool]
) -> Iterator[Sight]:
    """The frames that come over a broker.

    Args:
        broker: a checked address.
        device: name of one box; "+" = all.
        seconds: how long to listen; 0 = for ever.
        stop: when it gives true, no further message is waited for.

    Raises:
        UnavailableError: the broker cannot be reached. DataError: a message breaks the contract.
    """
    end_s = time.monotonic() + (seconds or float("inf"))
    with Subscriber(broker, device) as subscriber:
        for message in subscriber.messages(POLL_S):
            if message is not None and message.kind in ("frame", "scene"):
                yield of_message(message.record())
            if stop() or time.monotonic() >= end_s:
                return
