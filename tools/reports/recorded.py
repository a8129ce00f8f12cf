"""What a report is made from: events and people of a recording, or of a file of messages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.errors import DataError, EdgeError, NoInputError
from edge.recording.record import RecordedFrame
from edge.recording.ring import SUFFIX
from edge.settings.config import Config
from edge.structures import Poses
from tools.playback.player import Player, find

KINDS = ("action", "rom")


@dataclass(frozen=True)
class Told:
    """One event of a rule that counts."""

    run: str
    camera: str
    person: int
    t_ns: int
    utc_ns: int
    kind: str
    data: Mapping[str, Any]
    level: str
    why: str


@dataclass
class Recorded:
    """Events in order, people of each frame by run and camera, and `[[rules]]` tables.

    Plans are texts such as `3 x 10`, by run, camera, session and rule (or exercise).
    """

    events: List[Told] = field(default_factory=list)
    frames: Dict[Tuple[str, str], List[RecordedFrame]] = field(default_factory=dict)
    tables: List[Mapping[str, Any]] = field(default_factory=list)
    plans: Dict[Tuple[str, str, str, str], str] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)
    device: str = ""


def read(path: Path, rules_of: Optional[Config]) -> Recorded:
    """Read a segment, a folder of segments, or a file of messages.

    Args:
        path: a segment (.poses), a folder of them, or lines of messages: of the sink jsonl, or of
            `mosquitto_sub -v` (topic, space, JSON).
        rules_of: a configuration with the rules; None = those of the recording. For messages it
            gives the bounds and templates only.

    Raises:
        EdgeError: the file cannot be read, or has nothing of this kind.
    """
    if path.is_dir() or path.suffix == SUFFIX:
        return _replayed(find(path), rules_of)
    return _of_messages(path, rules_of)


def _replayed(segments: Sequence[Path], rules_of: Optional[Config]) -> Recorded:
    player, found = Player(rules_of), Recorded()
    for path in segments:
        for frame, events in player.judged(path):
            run = str(player.runs)
            found.frames.setdefault((run, frame.camera), []).append(frame)
            counted = [e for e in events if e.kind in KINDS]
            for summary in player.summaries(frame.camera) if counted else ():
                _note_plan(found, run, frame.camera, summary.name, summary.data)
            for e in counted:
                where = (run, e.camera, e.person, e.t_ns, e.t_ns + frame.offset_ns)
                found.events.append(Told(*where, e.kind, e.data, e.level, e.why))
        for table in player.settings.rules:
            if table not in found.tables:
                found.tables.append(table)
        found.device = player.settings.device
    found.notes = player.notes
    return found


def _of_messages(path: Path, rules_of: Optional[Config]) -> Recorded:
    found = Recorded(tables=list(rules_of.rules) if rules_of else [])
    unreadable = 0
    for topic, payload in _lines(path):
        try:
            _take(found, topic, payload)
        except (KeyError, TypeError, ValueError, EdgeError):
            unreadable += 1
    if unreadable:
        found.notes.append(f"{unreadable} messages are not of this contract and were left out")
    if not found.events and not found.frames:
        raise DataError(f"{path}: has no events of {' or '.join(KINDS)}, and no frames")
    return found


def _lines(path: Path) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    """Topic and payload of each line that is a message."""
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                message = _message(line.strip())
                if message is not None:
                    yield message
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is neither a recording nor lines of messages") from error


def _message(line: str) -> Optional[Tuple[str, Mapping[str, Any]]]:
    topic = ""
    if line[:1] != "{":  # of mosquitto_sub -v
        topic, _, line = line.partition(" ")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(record, dict) and isinstance(record.get("payload"), dict):
        topic, record = str(record.get("topic", "")), record["payload"]
    return (topic, record) if topic and isinstance(record, dict) else None


def _take(found: Recorded, topic: str, record: Mapping[str, Any]) -> None:
    levels = topic.split("/")
    run = str(record.get("boot_id", ""))
    if len(levels) == 6 and levels[4] == "event" and levels[5] in KINDS:
        found.device = str(record["device"])
        where = (run, record["camera"], record["person"], record["t_mono_ns"], record["t_utc_ns"])
        event = (levels[5], record["data"], record["level"], record.get("why", ""))
        found.events.append(Told(*where, *event))
    elif len(levels) == 5 and levels[4] == "state":
        for name, rule in record["rules"].items():
            _note_plan(found, run, str(record["camera"]), str(name), rule["data"])
    elif len(levels) == 5 and levels[4] == "frame":
        frames = found.frames.setdefault((run, str(record["camera"])), [])
        frames.append(_frame(record))


def _note_plan(found: Recorded, run: str, camera: str, name: str, data: Mapping[str, Any]) -> None:
    if data.get("plan"):
        found.plans[run, camera, str(data.get("session", "")), name] = str(data["plan"])


def _frame(record: Mapping[str, Any]) -> RecordedFrame:
    """The people of a frame message (contract/frame.json)."""
    skeleton, people = skeletons.get(record["skeleton"]), record["people"]
    rows = np.array([p["keypoints"] for p in people], np.float32).reshape(len(people), -1, 3)
    if len(people) and rows.shape[1] != len(skeleton):
        raise ValueError("keypoints of another skeleton")
    rows = rows if len(people) else np.zeros((0, len(skeleton), 3), np.float32)
    poses = Poses(
        rows[..., :2] / np.float32(10),
        rows[..., 2] / np.float32(100),
        np.array([p["box"] for p in people], np.float32).reshape(-1, 4) / np.float32(10),
        np.array([p["id"] for p in people], np.int64).reshape(-1),
        np.array([p["score"] for p in people], np.float32).reshape(-1) / np.float32(100),
        skeleton.name,
    )
    t_ns = int(record["t_mono_ns"])
    offset_ns = int(record["t_utc_ns"]) - t_ns
    width, height = (int(v) for v in record["size"])
    return RecordedFrame(str(record["camera"]), 0, t_ns, offset_ns, (width, height), poses)
