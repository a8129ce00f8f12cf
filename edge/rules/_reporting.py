"""What every rule may be told beside its own options: which of its events are reported, and how."""

from __future__ import annotations

import collections
import dataclasses
import re
from dataclasses import dataclass
from typing import Callable, Deque, Dict, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from edge.rules._polygon import depths, polygon
from edge.rules._sessions import Mark
from edge.settings.schema import key
from edge.structures import LEVELS, Moment, PoseEvent, Poses, RuleSummary

# Minute of the local day at a monotonic time in ns; None = the date is not known.
LocalMinute = Callable[[int], Optional[float]]

_DAY_MIN = 24 * 60
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)")
_BEFORE_HZ = 5.0  # poses before an event are given at this rate
_PLACE_S = 10.0  # the place of a person who is out of view is remembered for this long


def _span_problem(text: str) -> Optional[str]:
    found = _SPAN.fullmatch(text)
    if found and _span(text)[1] <= _DAY_MIN:
        return None
    return 'use "HH:MM-HH:MM" of the local day, such as "22:00-06:00"'


def _span(text: str) -> Tuple[int, int]:
    """Begin and end in minutes of the day."""
    begin, end = ([int(n) for n in part.split(":")] for part in text.split("-"))
    return begin[0] * 60 + begin[1], end[0] * 60 + end[1]


@dataclass(frozen=True)
class Options:
    """Keys that every `[[rules]]` table may have."""

    level: str = key(
        "", "level of all events of this rule; empty = as the rule says", choices=("", *LEVELS)
    )
    active: List[str] = key(
        [],
        'when events are reported, "HH:MM-HH:MM" local time; empty = always',
        check=_span_problem,
    )
    mute: List[List[List[float]]] = key(
        [], "polygons, each of corners [x, y] in px: no events of people who stand in one"
    )
    repeat_s: float = key(
        0.0, "the same event of the same person is reported once in this time", 0, 86400
    )
    preroll_s: float = key(0.0, "poses of this long before an event are sent with it", 0, 10)


class Inner(Protocol):
    """The rule whose events are reported; see edge.rules.Rule."""

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""

    def summary(self) -> RuleSummary:
        """The rule's view of its camera."""


class Reporting:
    """A rule of which some events are left out, and the others carry a level and earlier poses.

    Outside its hours a rule goes on watching, so that its counts stay right. Without a date it is
    active at all times, and its summary says so.

    Args:
        rule: gives the events.
        options: which are reported.
        local_minute: gives the local time.

    Raises:
        ConfigError: a polygon is none.
    """

    def __init__(self, rule: Inner, options: Options, local_minute: LocalMinute) -> None:
        self._rule, self._options, self._local_minute = rule, options, local_minute
        self._spans = [_span(text) for text in options.active]
        self._mute = [polygon(c, name=f"mute[{i}]") for i, c in enumerate(options.mute)]
        self._muted: Dict[int, Tuple[int, bool]] = {}  # id -> when seen, whether in a muted polygon
        self._reported_ns: Dict[Tuple[int, str, object], int] = {}
        self._before: Deque[Moment] = collections.deque()
        self._undated = False

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """The events to report of this frame."""
        self._note_places(poses, t_ns)
        events = self._rule(poses, camera, t_ns)
        active = self._is_active(t_ns)
        told = [self._dressed(e) for e in events if active and self._is_wanted(e)]
        self._keep(poses, t_ns)
        return told

    def summary(self) -> RuleSummary:
        """The rule's own summary."""
        summary = self._rule.summary()
        if not self._undated or summary.unsure:
            return summary
        return dataclasses.replace(
            summary, unsure="the clock is not set, so the rule is active at all times"
        )

    def nearness(self, poses: Poses) -> Optional[np.ndarray]:
        """That of the rule; None if it has no places."""
        nearness = getattr(self._rule, "nearness", None)
        return None if nearness is None else np.asarray(nearness(poses))

    def names(self) -> Sequence[str]:
        """The rule's names for sessions; none if it does not count (edge.rules.Counting)."""
        named = getattr(self._rule, "names", None)
        return () if named is None else tuple(named())

    def looks_for(self) -> str:
        """Name of the rule's template (edge.rules.Counting); empty = it has none."""
        named = getattr(self._rule, "looks_for", None)
        return "" if named is None else str(named())

    def mark(self, mark: Mark) -> None:
        """Hand the mark of a session to the rule."""
        pass_on = getattr(self._rule, "mark", None)
        if pass_on is not None:
            pass_on(mark)

    def _is_active(self, t_ns: int) -> bool:
        if not self._spans:
            return True
        minute = self._local_minute(t_ns)
        self._undated = minute is None
        return minute is None or any(_covers(span, minute) for span in self._spans)

    def _is_wanted(self, event: PoseEvent) -> bool:
        if self._muted.get(event.person, (0, False))[1]:
            return False
        what = (event.person, event.kind, event.data.get("action"))
        last_ns = self._reported_ns.get(what)
        if last_ns is not None and event.t_ns - last_ns < self._options.repeat_s * 1e9:
            return False
        if self._options.repeat_s:
            self._reported_ns[what] = event.t_ns
            _drop_old(self._reported_ns, event.t_ns - round(self._options.repeat_s * 1e9))
        return True

    def _dressed(self, event: PoseEvent) -> PoseEvent:
        level = self._options.level or event.level
        before = tuple(_of_person(moment, event.person) for moment in self._before)
        return dataclasses.replace(event, level=level, before=before)

    def _note_places(self, poses: Poses, t_ns: int) -> None:
        if not self._mute:
            return
        feet = (poses.boxes[:, 0] + poses.boxes[:, 2]) / 2 + 1j * poses.boxes[:, 3]
        inside = np.any([depths(feet, corners) > 0 for corners in self._mute], axis=0)
        self._muted.update(zip(poses.ids.tolist(), zip([t_ns] * len(poses), inside.tolist())))
        for person in [i for i, (ns, _) in self._muted.items() if t_ns - ns > _PLACE_S * 1e9]:
            del self._muted[person]

    def _keep(self, poses: Poses, t_ns: int) -> None:
        """Keep copies of the poses of the last `preroll_s`, not more than `_BEFORE_HZ`."""
        preroll_s = self._options.preroll_s
        while self._before and t_ns - self._before[0].t_ns > preroll_s * 1e9:
            self._before.popleft()
        last_ns = self._before[-1].t_ns if self._before else 0
        if preroll_s and (not self._before or t_ns - last_ns >= 1e9 / _BEFORE_HZ):
            self._before.append(Moment(t_ns, poses.take(np.arange(len(poses)))))


def _covers(span: Tuple[int, int], minute: float) -> bool:
    """Whether a minute lies in a span; a span that ends before it begins goes over midnight."""
    begin, end = span
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def _drop_old(times_ns: Dict[Tuple[int, str, object], int], oldest_ns: int) -> None:
    for what in [w for w, ns in times_ns.items() if ns < oldest_ns]:
        del times_ns[what]


def _of_person(moment: Moment, person: int) -> Moment:
    """The moment with that person only; with everybody if the event is of no single person."""
    if person < 0:
        return moment
    return Moment(moment.t_ns, moment.poses.take(moment.poses.ids == person))


def names() -> Sequence[str]:
    """The keys of `Options`."""
    return [f.name for f in dataclasses.fields(Options)]
