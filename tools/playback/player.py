"""Rules on recorded poses, as a run had them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

from edge.errors import DataError, NoInputError
from edge.loop.assemble import build_rules, rule_tables
from edge.loop.lenses import CameraLens, build_lenses
from edge.loop.local_time import minute_of_day
from edge.messages import Builder, Clock, Message
from edge.recording.record import RecordedFrame, unpack
from edge.recording.ring import SUFFIX, read_segment
from edge.rules import Mark, Rule, counting
from edge.settings import config
from edge.stages import summaries
from edge.structures import CameraState, Frame, PoseEvent, Poses, RuleSummary


def find(path: Path) -> List[Path]:
    """The segments of a recording, oldest first.

    Raises:
        NoInputError: there are no segments.
    """
    segments = sorted(path.glob("*" + SUFFIX)) if path.is_dir() else [path]
    if not segments or not segments[0].is_file():
        raise NoInputError(f"{path}: contains no recording; set [record] max_mb to record")
    return segments


class Player:
    """Turns recorded frames into messages.

    Args:
        rules_of: configuration with the rules; None = the rules of the recording.
        with_frames: also return frame messages.
    """

    def __init__(self, rules_of: Optional[config.Config] = None, with_frames: bool = False) -> None:
        self._rules_of, self._with_frames = rules_of, with_frames
        self._offset_ns = 0
        self._boot_id = ""
        self._config = config.Config()
        self._build = Builder("edge")
        self._rules: Dict[str, List[Tuple[Dict[str, Any], Rule]]] = {}
        self._built: Dict[str, config.Config] = {}  # of which settings the rules of a camera are
        self._lenses: Optional[Tuple[config.Config, Dict[str, CameraLens]]] = None
        self.frames = self.events = self.runs = self.missing = 0
        self.notes: List[str] = []

    @property
    def settings(self) -> config.Config:
        """The configuration whose rules run now."""
        return self._rules_of or self._config

    def summaries(self, camera: str) -> List[RuleSummary]:
        """What the rules of a camera know after its last frame."""
        return [rule.summary() for rule in self._rules_for(camera)]

    @property
    def rules(self) -> List[Dict[str, Any]]:
        """The tables of the rules: of the given configuration, else of the recording so far."""
        return list((self._rules_of or self._config).rules)

    def segment(self, path: Path) -> Iterator[Message]:
        """The messages of one segment.

        Raises:
            DataError: the file is not a segment, or is of another program version.
        """
        for kind, payload in read_segment(path):
            yield from self.record(kind, payload, path)

    def record(self, kind: str, payload: bytes, path: Path) -> Iterator[Message]:
        """The messages of one record of a segment; raises what `segment` raises."""
        kinds: Dict[str, Callable[[bytes], Iterator[Message]]] = {
            "H": self._head,
            "P": self._frame,
            "G": self._gap,
            "S": self._mark,
        }
        if kind not in kinds:
            raise DataError(f"{path}: has a record of kind {kind!r}; is it of a newer version?")
        yield from kinds[kind](payload)

    def state(self, frame: Message) -> Message:
        """The state of the camera of a frame's message, with what its rules know after it."""
        told = frame.payload
        state = CameraState(told["camera"], "ok", "", told["t_mono_ns"], size=told["size"])
        rules = summaries(self._rules_for(told["camera"]))
        return self._build.state(state, len(told["people"]), rules)

    def _head(self, payload: bytes) -> Iterator[Message]:
        record = _record(payload, "boot_id", "config", "numbers")
        table = config.read_toml(Path("recording"), lambda path: record["config"].encode())
        settings = config.complete(config.build(config.Config, table))
        if record["boot_id"] != self._boot_id:
            self._begin(record, settings)
        self._config = settings
        yield from ()

    def _begin(self, record: Dict[str, Any], settings: config.Config) -> None:
        clock = Clock(lambda: self._offset_ns, lambda: 0)
        publish = settings.publish
        self._build = Builder(settings.device, publish.codec, publish.frame_expiry_s, clock)
        self._build.resume(record["boot_id"], record["numbers"])
        self._boot_id, self._rules = record["boot_id"], {}
        self.runs += 1
        if any(topic.endswith("/frame") for topic in record["numbers"]):
            self.notes.append(
                f"run {self._boot_id}: its beginning is gone from the ring; rules "
                "start without memory, so events may differ"
            )

    def _gap(self, payload: bytes) -> Iterator[Message]:
        missing = int(_record(payload, "frames")["frames"])
        self.missing += missing
        self.notes.append(
            f"run {self._boot_id}: {missing} frames are missing, so events may differ"
        )
        yield from ()

    def _mark(self, payload: bytes) -> Iterator[Message]:
        """A session starts, pauses or ends in rules of these names."""
        record = _record(payload, "camera", "rules", "mark")
        try:
            mark = Mark.of_table(record["mark"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the recording is damaged: a mark lacks {error}") from error
        for rule in counting(self._rules_for(record["camera"])):
            if rule.names()[0] in record["rules"]:
                rule.mark(mark)
        yield from ()

    def _frame(self, payload: bytes) -> Iterator[Message]:
        told = unpack(payload)
        self._offset_ns = told.offset_ns
        self.frames += 1
        message = self._build.frame(_frame(told), told.poses)
        if self._with_frames:
            yield message
        for event in self._events(told):
            yield self._build.event(event)

    def judged(self, path: Path) -> Iterator[Tuple[RecordedFrame, List[PoseEvent]]]:
        """The frames of one segment, each with the events of the rules.

        Raises:
            DataError: as `segment`.
        """
        for kind, payload in read_segment(path):
            if kind == "P":
                told = unpack(payload)
                self.frames += 1
                yield told, self._events(told)
            elif kind == "H":
                list(self._head(payload))
            elif kind == "G":
                list(self._gap(payload))
            elif kind == "S":
                list(self._mark(payload))

    def _events(self, told: RecordedFrame) -> List[PoseEvent]:
        found: List[PoseEvent] = []
        poses = self._straightened(told)
        for rule in self._rules_for(told.camera):
            found += rule(poses, told.camera, told.t_ns)
        self.events += len(found)
        return found

    def _straightened(self, told: RecordedFrame) -> Poses:
        """The people of a frame without the lens of their camera, as a run gives them to rules."""
        if self._lenses is None or self._lenses[0] is not self.settings:
            self._lenses = self.settings, build_lenses(self.settings)
        lens = self._lenses[1].get(told.camera)
        return told.poses if lens is None else lens.straighten(told.poses, told.size)

    def _local_minute(self, t_ns: int) -> float:
        """The local time of the recorded frame; its date is taken as right."""
        return minute_of_day(t_ns + self._offset_ns)

    def _rules_for(self, camera: str) -> List[Rule]:
        """The rules of a camera; as after a reload, an unchanged rule keeps its memory."""
        settings = self.settings
        known = self._rules.get(camera)
        if known is not None and self._built[camera] is settings:
            return [rule for _, rule in known]
        self._built[camera] = settings
        tables = [table for _, table in rule_tables(settings, camera)]
        if known is None or [t for t, _ in known] != tables:
            left = list(known or [])
            fresh = list(zip(tables, build_rules(settings, camera, self._local_minute)))
            for i, (table, _) in enumerate(fresh):
                at = next((j for j, (was, _) in enumerate(left) if was == table), -1)
                fresh[i] = left.pop(at) if at >= 0 else fresh[i]
            known = self._rules[camera] = fresh
        return [rule for _, rule in known]


def _record(payload: bytes, *names: str) -> Dict[str, Any]:
    try:
        record = json.loads(payload)
        return {name: record[name] for name in names}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"the recording is damaged: {error}") from error


def _frame(told: RecordedFrame) -> Frame:
    """A frame without an image."""
    width, height = told.size
    nothing = np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))
    return Frame(nothing, told.index, told.t_ns, told.camera)
