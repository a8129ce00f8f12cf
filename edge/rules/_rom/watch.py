"""The people of one camera under the rule `rom`."""

from __future__ import annotations

import dataclasses
from typing import Dict, List, Sequence, Tuple

import numpy as np

from edge.people import angles
from edge.people.angles_picture import Body
from edge.rules._person_memory import PersonMemory, with_ids
from edge.rules._posture import limbs_of, straight_body_of
from edge.rules._rom import bounds, compensation, filtered, repetitions, tally
from edge.rules._rom.options import NO_HIGH_DEG, NO_LOW_DEG, Options
from edge.rules._rom.telling import At, Teller
from edge.rules._sessions import Mark, Session
from edge.structures import PoseEvent, Poses, RuleSummary

_TALL_S = 2.0  # the standing height is a mean over this time


class Watch:
    """Follows the angles of each person, counts, and tells.

    Args:
        options: of the rule.
        which: full names of the angles: one, or those of both sides.
    """

    def __init__(self, options: Options, which: Sequence[str]) -> None:
        self._configured = self._options = options
        self.which = tuple(which)
        self._sign = -1 if options.toward == "low" else 1
        self._own_plane = np.array([angles.PLANES[name] == "own" for name in which])
        self._session = Session()
        o = options
        comp = np.array([o.max_lean_deg, o.max_hike_deg, o.max_shrug_h])
        self._comp_limits = np.where(comp > 0, comp, np.inf)
        self._compensation = bool((comp > 0).any())
        self.people = self._nobody()
        self._teller = Teller(options, self.which)

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        told = self._obey(camera, t_ns)
        people, seen = self.people, with_ids(poses)
        rows = people.rows_of(seen, t_ns)
        people["ours"][rows] |= self._session.chooses(seen, people["ours"][rows])
        new = rows[people["begun_ns"][rows] < 0]
        people["begun_ns"][new] = t_ns
        people["score"][rows] = seen.person_scores
        dt_s = np.maximum(t_ns - people.seen_ns[rows], 0) * 1e-9
        state = people.taken(rows)
        turned = self._look(state, seen, dt_s, t_ns)
        over, starts, ends, comp = self._judge(state, turned, t_ns)
        people.put(rows, state)
        away_s = people.note_seen(rows, t_ns)
        at = self._teller.at(people, camera, t_ns, self._session)
        told += at.outside(rows, starts, ends) + at.compensations(rows, comp)
        told += self._repetitions(at, rows, over, turned, t_ns)
        gone = away_s > self._options.leave_s
        told += [e for row in np.flatnonzero(gone) for e in at.session(int(row))]
        people.forget(gone)
        return told

    def summary(self) -> RuleSummary:
        """Counts and progress of each person."""
        return self._teller.summary(self.people, self._session)

    def names(self) -> Sequence[str]:
        """The name of the rule."""
        return (self._options.name,)

    def mark(self, mark: Mark) -> None:
        """Note the start or the end of a session; it holds from the next frame on."""
        self._session.put(mark)

    def looks_for(self) -> str:
        """It has no templates."""
        return ""

    def _obey(self, camera: str, t_ns: int) -> List[PoseEvent]:
        told: List[PoseEvent] = []
        for mark in self._session.take():
            if mark.action in ("start", "stop"):
                at = self._teller.at(self.people, camera, t_ns, self._session)
                told += [e for row in range(len(self.people)) for e in at.session(row)]
            self._session.obey(mark)
            if mark.action not in ("pause", "resume"):
                self._plan()
                self.people = self._nobody()
        return told

    def _plan(self) -> None:
        """Judge by the plan of the session, or by the configured one."""
        plan, self._options = self._session.plan, self._configured
        if plan is not None:
            hold_s = plan.hold_s or self._configured.hold_s
            self._options = dataclasses.replace(
                self._configured, sets=plan.sets, reps=plan.reps, hold_s=hold_s
            )
        self._teller.options = self._options

    def _nobody(self) -> PersonMemory:
        n = len(self.which)
        return PersonMemory(
            self._options.leave_s,
            ours=False,
            begun_ns=-1,
            score=0.0,
            tall=0.0,
            **filtered.fields(n),
            **repetitions.fields(n),
            **bounds.fields("out", n),
            **bounds.fields("comp", len(compensation.NAMES)),
            **compensation.fields(),
            faults=np.zeros((n, len(compensation.NAMES)), bool),
            **tally.fields(n),
        )

    def _look(
        self, state: Dict[str, np.ndarray], seen: Poses, dt_s: np.ndarray, t_ns: int
    ) -> np.ndarray:
        """Measure; angles [N,A] whose movement goes up."""
        tall = straight_body_of(seen)[2]
        gain = 1 - np.exp(-dt_s / _TALL_S)
        state["tall"] = np.where(
            state["tall"] > 0, state["tall"] + gain * (tall - state["tall"]), tall
        )
        body = Body(limbs_of(seen), state["tall"])
        found = angles.of_body(body, self.which)
        o, space = self._options, angles.of_world(seen, self.which)
        before = state["in_space"]
        state["dt_s"] = filtered.follow(
            state, found, t_ns, self._own_plane, o.max_off_plane_deg, o.max_error_deg, space
        )
        if space is not None:  # both differ by their errors: no movement goes over
            repetitions.void(state, state["in_space"] != before)
        judged = state["ours"] & (not self._session.paused)
        state["known"] &= judged[:, None]
        if self._compensation:
            compensation.follow(state, seen, body.trunk(), state["tall"], dt_s)
        counted = np.where(judged, np.minimum(dt_s, filtered.GAP_S), 0)
        state["watched_s"] += counted
        state["unsure_s"] += np.where(state["known"].any(1), 0, counted)
        return self._sign * state["angle"]

    def _judge(
        self, state: Dict[str, np.ndarray], turned: np.ndarray, t_ns: int
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Repetitions that are over, alarms that start and end, compensations that start."""
        o, known, dt_s = self._options, state["known"], state.pop("dt_s")
        lost = ~known & (t_ns - state["known_ns"] > filtered.GAP_S * 1e9)
        state["known_ns"] = np.where(known, t_ns, state["known_ns"])
        repetitions.void(state, lost)
        over = repetitions.step(state, turned, known, dt_s, t_ns, o.prominence_deg)
        n = len(self.which)
        times_s = o.dwell_s, o.refractory_s
        starts = ends = np.zeros((len(known), n), bool)
        if o.low_deg > NO_LOW_DEG or o.high_deg < NO_HIGH_DEG:
            limits = np.full(n, o.low_deg), np.full(n, o.high_deg), np.full(n, o.hysteresis_deg)
            limits[0][limits[0] <= NO_LOW_DEG], limits[1][limits[1] >= NO_HIGH_DEG] = (
                -np.inf,
                np.inf,
            )
            starts, ends = bounds.step(
                state, "out", state["angle"], known, lost, t_ns, limits, times_s
            )
        if not self._compensation:
            return over, starts, ends, np.zeros((len(known), len(compensation.NAMES)), bool)
        comp = self._compensates(state, t_ns, times_s)
        moving = state["risen"] | over
        state["faults"] |= (moving[..., None]) & (state["comp_told"] > 0)[:, None]
        return over, starts, ends, comp

    def _compensates(
        self, state: Dict[str, np.ndarray], t_ns: int, times_s: Tuple[float, float]
    ) -> np.ndarray:
        value, high = state["comp"], self._comp_limits
        seen = ~np.isnan(value) & state["ours"][:, None] & (not self._session.paused)
        low, slack = np.full(len(high), -np.inf), np.where(np.isinf(high), 0.0, 0.15 * high)
        starts, _ = bounds.step(
            state, "comp", value, seen, ~seen, t_ns, (low, high, slack), times_s
        )
        state["compensated"] += starts
        return starts

    def _repetitions(
        self, at: At, rows: np.ndarray, over: np.ndarray, turned: np.ndarray, t_ns: int
    ) -> List[PoseEvent]:
        """Tell the repetitions that are over, and begin the next ones."""
        if not over.any():
            return []
        people, told = self.people, []
        state = {name: people[name][rows] for name in (*repetitions.fields(0), "faults")}
        for person, side in np.argwhere(over):
            row = int(rows[person])
            found = repetitions.read(
                state, int(person), int(side), t_ns, self._options.hold_band_deg, self._sign
            )
            told += at.repetition(row, int(side), found)
        repetitions.restart(state, turned, over, t_ns)
        state["faults"][over] = False
        for name, values in state.items():
            people[name][rows] = values
        return told
