"""The people of one camera under the rule `action`."""

from __future__ import annotations

import dataclasses
from typing import Any, List, Mapping, Optional, Sequence

import numpy as np

from edge.rules._action import spring
from edge.rules._action.features import NAMES, reaches
from edge.rules._action.judge import judge
from edge.rules._action.options import Options
from edge.rules._action.telling import Repetition, Teller, tallies
from edge.rules._action.template import FARTHEST, Template, of_table
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._sessions import Mark, Session
from edge.structures import PoseEvent, Poses, RuleSummary

_KEEP_S = 10.0  # counts of a person who is out of view are kept for this long
_SLOWEST, _FASTEST = 1.8, 0.56  # of a repetition's duration over the template's
_WAIT = 0.5  # a found repetition is reported after this share of its length at the latest
# Repetitions share the posture between them: the next may begin this share of the length before the
# last one ends.
_SHARED = 0.15
_GAP_S = 1.0  # a person who was unseen for longer begins afresh
_UNSURE_S = 5.0


class Watch:
    """Follows each person and reports each repetition once.

    Args:
        options: of the rule.
        template: of the exercise.
    """

    def __init__(self, options: Options, template: Template) -> None:
        self._options, self._configured = options, template
        self._session = Session()
        self._use(None)
        self._blind_ns = -1
        self._blind_s = 0.0

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        self._obey()
        people, seen = self._people, with_ids(poses)
        all_rows = rows = people.rows_of(seen, t_ns)
        people["score"][rows] = seen.person_scores
        people["ours"][rows] |= self._session.chooses(seen, people["ours"][rows])
        due = t_ns - people["taken_ns"][rows] >= 0.9e9 / self._template.rate_hz
        due |= people["taken_ns"][rows] < 0
        due &= not self._session.paused
        rows, postures = rows[due], reaches(seen)[due]
        costs = self._template.costs(postures)
        if due.any() or not len(seen):
            self._note_blindness(costs, t_ns, len(seen))
        self._take(rows, postures, costs, t_ns)
        rows = rows[people["ours"][rows]]
        told = [self._repetition(int(row), camera, t_ns) for row in self._ready(rows, t_ns)]
        self._teller.forget(people, people.note_seen(all_rows, t_ns) > _KEEP_S)
        return [event for events in told for event in events]

    def summary(self) -> RuleSummary:
        """Repetitions of the people in view, with their scores."""
        return self._teller.summary(self._people, self._session, self._blind_s > _UNSURE_S)

    def names(self) -> Sequence[str]:
        """The names of the configured template and of the one in use."""
        return tuple(dict.fromkeys((self._configured.name, self._template.name)))

    def looks_for(self) -> str:
        """Name of the configured template."""
        return self._configured.name

    def mark(self, mark: Mark) -> None:
        """Note a change of the session; it holds from the next frame on."""
        self._session.put(mark)

    def _obey(self) -> None:
        for mark in self._session.take():
            self._session.obey(mark)
            if mark.action not in ("pause", "resume"):
                self._use(self._session.template)
            elif self._session.paused:
                self._people["taken_ns"][:] = -1  # matches do not go on over a pause

    def _use(self, table: Optional[Mapping[str, Any]]) -> None:
        """Count from 0, with the template and the plan of the session."""
        self._template = self._configured if table is None else of_table(table)
        plan, options = self._session.plan, self._options
        if plan is not None:
            options = dataclasses.replace(options, sets=plan.sets, reps=plan.reps)
        self._ring = round(len(self._template.reaches) * _SLOWEST * 1.5) + 2
        self._teller = Teller(options, self._template)
        self._people = self._nobody()

    def _nobody(self) -> PersonMemory:
        """No people.

        `far`, `began_ns` are the running matches, as they are and mirrored. `best` ... is the match
        that waits to be reported. `past`, `past_ns` are postures of the last seconds.
        """
        frames = len(self._template.reaches)
        return PersonMemory(
            _KEEP_S,
            ours=False,
            far=np.full((2, frames), spring.FAR),
            began_ns=np.zeros((2, frames), np.int64),
            best=np.full(2, spring.FAR),
            best_from_ns=np.zeros(2, np.int64),
            best_to_ns=np.zeros(2, np.int64),
            past=np.full((self._ring, len(NAMES)), np.nan),
            past_ns=np.zeros(self._ring, np.int64),
            taken_ns=-1,
            score=0.0,
            **tallies(),
        )

    def _take(self, rows: np.ndarray, postures: np.ndarray, costs: np.ndarray, t_ns: int) -> None:
        """Extend the running matches of these people by one frame."""
        people = self._people
        taken_ns = people["taken_ns"][rows]
        lost = (t_ns - taken_ns > _GAP_S * 1e9) | (taken_ns < 0)
        self._start_afresh(rows[lost])
        passed = np.where(lost, 0, (t_ns - taken_ns) * 1e-9 * self._template.rate_hz)
        most_rows = np.ceil(passed / _FASTEST).astype(np.int64).clip(1)[:, None]
        people["taken_ns"][rows] = t_ns
        for name, now in (("past", postures), ("past_ns", np.full(len(rows), t_ns))):
            people[name][rows] = np.concatenate((people[name][rows][:, 1:], now[:, None]), 1)
        edge = costs[..., [0, -1]] <= self._template.edge_cost
        before, began_ns = people["far"][rows], people["began_ns"][rows]
        far, began_ns = spring.step(costs, before, began_ns, t_ns, edge[..., 0], most_rows)
        people["far"][rows], people["began_ns"][rows] = far, began_ns
        took_s = (t_ns - began_ns[..., -1]) * 1e-9
        share = took_s / self._template.length_s
        # Over the template's frames, not the path's: long stillness would make any mean small.
        mean = far[..., -1] / far.shape[-1]
        good = (mean <= self._template.threshold) & (share >= _FASTEST) & (share <= _SLOWEST)
        good &= edge[..., 1]
        good[:, 1] &= self._options.mirror
        better = good & (far[..., -1] < people["best"][rows])
        for name, new in (
            ("best", far[..., -1]),
            ("best_from_ns", began_ns[..., -1]),
            ("best_to_ns", np.full(better.shape, t_ns)),
        ):
            people[name][rows] = np.where(better, new, people[name][rows])

    def _start_afresh(self, rows: np.ndarray) -> None:
        self._people["far"][rows] = spring.FAR
        self._people["best"][rows] = spring.FAR
        self._people["past_ns"][rows] = 0

    def _ready(self, rows: np.ndarray, t_ns: int) -> np.ndarray:
        """The people of whom a found repetition cannot become better any more."""
        people = self._people
        best = people["best"][rows].min(1)
        side = people["best"][rows].argmin(1)
        to_ns = people["best_to_ns"][rows, side]
        from_ns = people["best_from_ns"][rows, side]
        far, began_ns = people["far"][rows, side], people["began_ns"][rows, side]
        over = (began_ns > _free_ns(from_ns, to_ns)[:, None]) | (far >= best[:, None])
        waited = (t_ns - to_ns) > _WAIT * (to_ns - from_ns)
        return rows[(best < spring.FAR) & (over.all(1) | waited)]

    def _repetition(self, row: int, camera: str, t_ns: int) -> List[PoseEvent]:
        people = self._people
        mirrored = bool(people["best"][row].argmin())
        from_ns = int(people["best_from_ns"][row][int(mirrored)])
        to_ns = int(people["best_to_ns"][row][int(mirrored)])
        during = (people["past_ns"][row] >= from_ns) & (people["past_ns"][row] <= to_ns)
        verdict = judge(self._template, people["past"][row][during], mirrored)
        side, began_ns = int(mirrored), people["began_ns"][row]
        if not verdict.is_one:  # matches that began later, and those of the other side, go on
            people["far"][row][side][began_ns[side] <= from_ns] = spring.FAR
            people["best"][row][side] = spring.FAR
            return []
        taken = began_ns <= _free_ns(np.array(from_ns), np.array(to_ns))
        people["far"][row][taken] = spring.FAR
        people["best"][row] = spring.FAR
        found = Repetition(from_ns, to_ns, mirrored, verdict)
        return self._teller.repetition(people, row, found, self._session, camera, t_ns)

    def _note_blindness(self, costs: np.ndarray, t_ns: int, in_view: int) -> None:
        judged = bool((costs < FARTHEST).any())
        if judged or not in_view or self._blind_ns < 0:
            self._blind_ns = t_ns
        self._blind_s = (t_ns - self._blind_ns) * 1e-9


def _free_ns(from_ns: np.ndarray, to_ns: np.ndarray) -> np.ndarray:
    """Time after which the next repetition may begin."""
    return np.asarray(to_ns - _SHARED * (to_ns - from_ns))
