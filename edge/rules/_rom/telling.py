"""What the rule `rom` tells: events, and the summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Sequence

import numpy as np

from edge.people import angles
from edge.rules._person_memory import PersonMemory
from edge.rules._rom import compensation, tally
from edge.rules._rom.options import Options
from edge.rules._rom.repetitions import Repetition
from edge.rules._sessions import Plan, Session
from edge.structures import JsonValue, PoseEvent, RuleSummary

_UNSURE_S = 2.0  # an angle that is not known for this long makes the person's state unsure


class Teller:
    """Makes the events and the summary.

    Args:
        options: of the rule.
        which: full names of the angles.
    """

    def __init__(self, options: Options, which: Sequence[str]) -> None:
        self.options, self.which = options, list(which)
        self._t_ns = 0
        self._said: Dict[str, JsonValue] = {}  # figures of the last summary, and of which state
        self._said_of: object = None

    def at(self, people: PersonMemory, camera: str, t_ns: int, session: Session) -> At:
        """The events of one frame."""
        self._t_ns = t_ns
        return At(self.options, self.which, people, camera, t_ns, session.name)

    def summary(self, people: PersonMemory, session: Session) -> RuleSummary:
        """Counts and progress of each person, and why nobody can be judged."""
        away = (self._t_ns - people.seen_ns) * 1e-9 > 1
        blind = self._blind(people) & (not session.paused)
        data = self._data(people, session, away, blind)
        here = np.flatnonzero(people["ours"] & ~away)
        unsure = self._why_blind(people, int(here[0])) if len(here) and blind[here].all() else ""
        labels = _Labels(self.options, people, blind, session.paused)
        return RuleSummary(self.options.name, "rom", data, unsure=unsure, labels=labels)

    def _data(
        self, people: PersonMemory, session: Session, away: np.ndarray, blind: np.ndarray
    ) -> Dict[str, JsonValue]:
        """The figures; the same record while nothing changes, since most frames change nothing."""
        changes = (people.ids, people["ours"], people["count"], people["sets"], away, blind)
        now = (*(a.tobytes() for a in changes), session.name, session.paused, self.options)
        if now != self._said_of:
            self._said, self._said_of = self._figures(people, session, away, blind), now
        return self._said

    def _figures(
        self, people: PersonMemory, session: Session, away: np.ndarray, blind: np.ndarray
    ) -> Dict[str, JsonValue]:
        o, ours = self.options, np.flatnonzero(people["ours"]).tolist()
        in_view = "paused" if session.paused else "ok"
        told: List[JsonValue] = [
            {
                "person": int(people.ids[row]),
                "state": "away" if away[row] else "unsure" if blind[row] else in_view,
                "sets": int(people["sets"][row]),
                "angles": tally.sides(people, row, self.which),
            }
            for row in ours
        ]
        return {
            "repetitions": int(people["count"][ours].sum()),
            "good": int(people["good"][ours].sum()),
            "plan": str(Plan(o.sets, o.reps, o.hold_s)) if o.reps else "",
            **session.told(),
            "people": told,
        }

    def _blind(self, people: PersonMemory) -> np.ndarray:
        """The people [M] bool of whom no angle has been known lately."""
        late_ns = self._t_ns - _UNSURE_S * 1e9
        return np.asarray((people["known_ns"] < late_ns).all(1) & (people["begun_ns"] < late_ns))

    def _why_blind(self, people: PersonMemory, row: int) -> str:
        if not people["refused"][row].any():
            return f"{self.which[0]}: a keypoint is hidden"
        off, error = (float(np.nanmin(people[n][row])) for n in ("off_deg", "error_deg"))
        if off > self.options.max_off_plane_deg - 5:
            return f"{self.which[0]} is seen {off:.0f} deg out of its plane; turn the person"
        return f"{self.which[0]}: the likely error is {error:.0f} deg"


class _Labels(Mapping[int, str]):
    """Counts and the angle now of each person, in words; made only where they are drawn."""

    def __init__(
        self, options: Options, people: PersonMemory, blind: np.ndarray, paused: bool
    ) -> None:
        self._options, self._blind, self._paused = options, blind, paused
        self._row_of = {int(people.ids[row]): row for row in np.flatnonzero(people["ours"])}
        names = ("angle", "known", "good", "sets")
        self._now = {name: people[name].copy() for name in names}

    def __getitem__(self, person: int) -> str:
        row, o, now = self._row_of[person], self._options, self._now
        if self._paused:
            return f"{o.name}: paused"
        if self._blind[row]:
            return f"{o.name}: unsure"
        shown = [
            f"{angle:.0f} deg" if known else "?"
            for angle, known in zip(now["angle"][row], now["known"][row])
        ]
        of = f"/{o.reps}" if o.reps else ""
        counts = " ".join(f"{n}{of}" for n in now["good"][row] - int(now["sets"][row]) * o.reps)
        return f"{o.name} {counts}, {' '.join(shown)}"

    def __iter__(self) -> Iterator[int]:
        return iter(self._row_of)

    def __len__(self) -> int:
        return len(self._row_of)


@dataclass(frozen=True)
class At:
    """The events of one frame."""

    options: Options
    which: List[str]
    people: PersonMemory
    camera: str
    t_ns: int
    session_name: str

    def outside(self, rows: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> List[PoseEvent]:
        """Alarms that start and end."""
        found = [("outside", *at) for at in np.argwhere(starts)]
        found += [("end", *at) for at in np.argwhere(ends)]
        return [self._bound(action, int(rows[i]), int(side)) for action, i, side in found]

    def _bound(self, action: str, row: int, side: int) -> PoseEvent:
        o, people, name = self.options, self.people, self.which[side]
        angle = float(people["angle"][row, side])
        if action == "outside":
            low = people["out_told"][row, side] < 0
            held_s = (self.t_ns - int(people["out_told_ns"][row, side])) * 1e-9
            limit = f"< {o.low_deg:g}" if low else f"> {o.high_deg:g}"
            people["alarms"][row] += 1
            why = f"{_said(name)} {angle:.0f} deg {limit} deg for {held_s:.1f} s"
        else:
            held_s = (self.t_ns - int(people["out_told_ns"][row, side])) * 1e-9
            sees = bool(people["known"][row, side])
            why = f"{_said(name)} {angle:.0f} deg is within its bounds" if sees else ""
            why = why or f"{_said(name)} is no longer seen"
        data = {"angle_deg": round(angle, 1), "held_s": round(max(held_s, 0.0), 2)}
        return self._event(action, row, side, data, why, "alarm" if action == "outside" else "info")

    def compensations(self, rows: np.ndarray, starts: np.ndarray) -> List[PoseEvent]:
        """Compensations that start."""
        o, told = self.options, []
        limits = (o.max_lean_deg, o.max_hike_deg, o.max_shrug_h)
        for i, which in np.argwhere(starts):
            name, unit, row = compensation.NAMES[which], compensation.UNITS[which], int(rows[i])
            value = round(float(self.people["comp"][row, which]), 3 if unit == "H" else 1)
            data: Dict[str, JsonValue] = {"fault": name, "value": value, "unit": unit}
            why = f"{name} {value:g} {unit} > {limits[which]:g} {unit}"
            told.append(self._event("compensation", row, -1, data, why, "warning"))
        return told

    def repetition(self, row: int, side: int, found: Repetition) -> List[PoseEvent]:
        """A repetition, and what it completes."""
        faults = self._faults(row, side, found)
        tally.add(self.people, row, side, found, not faults)
        n, size = int(self.people["count"][row, side]), found.high_deg - found.low_deg
        data: Dict[str, JsonValue] = {
            "number": n,
            "good": not faults,
            "faults": list(faults),
            "peak_deg": round(found.peak_deg, 1),
            "valley_deg": round(found.valley_deg, 1),
            "low_deg": round(found.low_deg, 1),
            "high_deg": round(found.high_deg, 1),
            "range_deg": round(size, 1),
            "duration_s": round(found.duration_s, 2),
            "hold_s": round(found.hold_s, 2),
        }
        name = _said(self.which[side])
        why = f"{name} {found.valley_deg:.0f} to {found.peak_deg:.0f} deg, repetition {n}"
        why += f": {', '.join(faults)}" if faults else ""
        return [
            self._event("repetition", row, side, data, why),
            *self._uneven(row),
            *self._set(row),
        ]

    def _faults(self, row: int, side: int, found: Repetition) -> List[str]:
        o = self.options
        missing = (o.goal_deg - found.peak_deg) * (-1 if o.toward == "low" else 1)
        faults = ["short"] if o.goal_deg and missing > 0 else []
        faults += ["hold"] if found.hold_s < o.hold_s else []
        return faults + [
            name for name, was in zip(compensation.NAMES, self.people["faults"][row, side]) if was
        ]

    def _uneven(self, row: int) -> List[PoseEvent]:
        """Told once, when the sides come to differ."""
        o, people = self.options, self.people
        if not o.max_uneven_deg or (people["count"][row] < tally.ENOUGH).any():
            return []
        left, right = (round(float(size), 1) for size in people["range_recent"][row])
        before = bool(people["uneven"][row])
        limit = o.max_uneven_deg - (o.hysteresis_deg if before else 0)
        people["uneven"][row] = now = abs(left - right) > limit
        if before or not now:
            return []
        why = (
            f"range left {left:.0f} deg, right {right:.0f} deg: more than {o.max_uneven_deg:g} deg"
        )
        data: Dict[str, JsonValue] = {"left_deg": left, "right_deg": right}
        return [self._event("asymmetry", row, -1, data, f"{why} apart", "warning")]

    def _set(self, row: int) -> List[PoseEvent]:
        o, people = self.options, self.people
        done = int(people["good"][row].min()) // o.reps if o.reps else 0
        if done <= people["sets"][row]:
            return []
        people["sets"][row] = done
        data: Dict[str, JsonValue] = {"set": done, "sets": o.sets, "plan_done": done >= o.sets}
        return [self._event("set", row, -1, data, f"set {done} of {o.sets} is done")]

    def session(self, row: int) -> List[PoseEvent]:
        """What a person did in the session that ends, or until they left."""
        people = self.people
        if not people["ours"][row] or not (people["count"][row].any() or people["alarms"][row]):
            return []
        counts, watched_s = people["compensated"][row], float(people["watched_s"][row])
        data: Dict[str, JsonValue] = {
            "angles": tally.sides(people, row, self.which),
            "sets": int(people["sets"][row]),
            "plan_done": bool(self.options.reps > 0 and self.options.sets <= people["sets"][row]),
            "alarms": int(people["alarms"][row]),
            "compensations": {n: int(c) for n, c in zip(compensation.NAMES, counts)},
            "watched_s": round(watched_s, 1),
            "unsure_s": round(float(people["unsure_s"][row]), 1),
        }
        good, n = (int(people[name][row].sum()) for name in ("good", "count"))
        why = f"{n} repetitions, {good} good, in {watched_s:.0f} s"
        return [self._event("session", row, -1, data, why)]

    def _event(
        self,
        action: str,
        row: int,
        side: int,
        more: Dict[str, Any],
        why: str,
        level: str = "info",
    ) -> PoseEvent:
        """An event of a person; of one angle if `side` is one."""
        people = self.people
        data: Dict[str, JsonValue] = {
            "name": self.options.name,
            "action": action,
            "session": self.session_name,
            "angle": self.which[side] if side >= 0 else "",
            **more,
        }
        if side >= 0:
            off, error = (float(people[n][row, side]) for n in ("off_deg", "error_deg"))
            in_space = bool(people["in_space"][row, side])
            error = angles.world_error_deg(self.which[side]) if in_space else error
            where = "space" if in_space else "picture"
            data.update(measured_in=where, off_plane_deg=round(off), error_deg=round(error, 1))
            why += f", out of plane {off:.0f} deg" + (", measured in space" if in_space else "")
        score = float(people["score"][row])
        return PoseEvent(
            "rom", self.camera, int(people.ids[row]), self.t_ns, score, data, level, why
        )


def _said(name: str) -> str:
    return name.replace("_", " ")
