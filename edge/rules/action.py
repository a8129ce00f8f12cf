"""The rule `action`: repetitions of an exercise, counted, timed and scored against a template.

Repetitions are found live, at another speed and on the other side, too. Templates of squat, lunge,
jumping_jack, push_up and basketball_shot are shipped; `edge-tools template` makes others. The
shipped ones come from joint-angle scripts, not from a coach.

What is compared is how far each limb reaches downwards (edge.rules._action.features). That hardly
depends on the side that the person is seen from; a camera looking down steeply falsifies it.

Event data: `exercise`; `repetition`, its number for this person; `score`, 0..100; `duration_s`;
`tempo`, the template's duration over it; `mirrored`, done with the other side; `faults`, each
`{limb, phase, deg}` with deg > 0 for too high or leaning too far; `ended_s`, how long ago it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

import numpy as np

from edge.errors import ConfigError
from edge.rules import Mark, Rule
from edge.rules._action import spring
from edge.rules._action.features import NAMES, reaches
from edge.rules._action.judge import Verdict, judge
from edge.rules._action.template import FARTHEST, Template, of_table
from edge.rules._person_memory import PersonMemory, with_ids
from edge.settings.schema import key
from edge.structures import JsonValue, PoseEvent, Poses, RuleSummary

_KEEP_S = 10.0  # counts of a person who is out of view are kept for this long
_SLOWEST, _FASTEST = 1.8, 0.56  # of a repetition's duration over the template's
_WAIT = 0.5  # a found repetition is reported after this share of its length at the latest
# Repetitions share the posture between them: the next may begin this share of the length before the
# last one ends.
_SHARED = 0.15
_GAP_S = 1.0  # a person who was unseen for longer begins afresh
_UNSURE_S = 5.0


@dataclass(frozen=True)
class Options:
    """Settings of an action rule."""

    template: Dict[str, Any] = key(
        help="name of a shipped template, or path of one made by `edge-tools template`"
    )
    min_score: float = key(0.0, "repetitions with a lower score are not reported", 0, 100)
    mirror: bool = key(True, "the other side counts, too")


def build(options: Options) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the template is wrong.
    """
    try:
        return Action(options, of_table(options.template))
    except ConfigError as error:
        raise ConfigError(f"template: {error}") from error


class Action:
    """Follows each person and reports each repetition once.

    Args:
        options: of the rule.
        template: of the exercise.
    """

    def __init__(self, options: Options, template: Template) -> None:
        self._options, self._template = options, template
        frames = len(template.reaches)
        self._ring = round(frames * _SLOWEST * 1.5) + 2
        self._people = self._nobody()
        self._session, self._person = "", -1
        self._marks: List[Mark] = []
        self._blind_ns = -1
        self._blind_s = 0.0

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """Events of this frame."""
        self._obey()
        people, seen = self._people, with_ids(poses)
        all_rows = rows = people.rows_of(seen, t_ns)
        people["score"][rows] = seen.person_scores
        people["ours"][rows] |= (self._person < 0) | (seen.ids == self._person)
        due = t_ns - people["taken_ns"][rows] >= 0.9e9 / self._template.rate_hz
        due |= people["taken_ns"][rows] < 0
        rows, postures = rows[due], reaches(seen)[due]
        costs = self._template.costs(postures)
        if due.any() or not len(seen):
            self._note_blindness(costs, t_ns, len(seen))
        self._take(rows, postures, costs, t_ns)
        rows = rows[people["ours"][rows]]
        events = [self._repetition(int(row), camera, t_ns) for row in self._ready(rows, t_ns)]
        people.forget(people.note_seen(all_rows, t_ns) > _KEEP_S)
        return [event for event in events if event.data["score"] >= self._options.min_score]  # type: ignore[operator]

    def summary(self) -> RuleSummary:
        """Repetitions of the people in view, with their scores."""
        people, name = self._people, self._template.name
        shown: List[JsonValue] = []
        for row in np.flatnonzero(people["count"]):
            shown.append(
                {
                    "person": int(people.ids[row]),
                    "repetitions": int(people["count"][row]),
                    "last": round(float(people["last"][row])),
                    "best": round(float(people["highest"][row])),
                    "worst": round(float(people["lowest"][row])),
                    "tempo": round(float(people["tempo"][row]), 2),
                }
            )
        labels = {
            int(people.ids[row]): f"{name} {people['count'][row]}  {people['last'][row]:.0f}"
            for row in np.flatnonzero(people["count"])
        }
        unsure = "too few limbs are in view to follow the exercise"
        data: Dict[str, JsonValue] = {
            "exercise": name,
            "session": self._session,
            "repetitions": int(people["count"].sum()),
            "people": shown,
        }
        blind = self._blind_s > _UNSURE_S
        return RuleSummary(name, "action", data, unsure=unsure if blind else "", labels=labels)

    def names(self) -> Sequence[str]:
        """The name of the template, which is that of the rule."""
        return (self._template.name,)

    def mark(self, mark: Mark) -> None:
        """Note the start or the end of a session; it holds from the next frame on."""
        self._marks.append(mark)

    def _obey(self) -> None:
        """Count from 0 after each mark."""
        for mark in self._marks:
            if mark.action != "reset":
                started = mark.action == "start"
                self._session = mark.session if started else ""
                self._person = mark.person if started else -1
            self._people = self._nobody()
        self._marks.clear()

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
            count=0,
            last=0.0,
            highest=0.0,
            lowest=0.0,
            tempo=0.0,
            score=0.0,
        )

    def _take(self, rows: np.ndarray, postures: np.ndarray, costs: np.ndarray, t_ns: int) -> None:
        """Extend the running matches of these people by one frame."""
        people = self._people
        lost = (t_ns - people["taken_ns"][rows] > _GAP_S * 1e9) | (people["taken_ns"][rows] < 0)
        self._start_afresh(rows[lost])
        people["taken_ns"][rows] = t_ns
        for name, now in (("past", postures), ("past_ns", np.full(len(rows), t_ns))):
            people[name][rows] = np.concatenate((people[name][rows][:, 1:], now[:, None]), 1)
        edge = costs[..., [0, -1]] <= self._template.edge_cost
        before, began_ns = people["far"][rows], people["began_ns"][rows]
        far, began_ns = spring.step(costs, before, began_ns, t_ns, edge[..., 0])
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

    def _repetition(self, row: int, camera: str, t_ns: int) -> PoseEvent:
        people, template = self._people, self._template
        mirrored = bool(people["best"][row].argmin())
        from_ns = int(people["best_from_ns"][row][int(mirrored)])
        to_ns = int(people["best_to_ns"][row][int(mirrored)])
        during = (people["past_ns"][row] >= from_ns) & (people["past_ns"][row] <= to_ns)
        verdict = judge(template, people["past"][row][during], mirrored)
        taken = people["began_ns"][row] <= _free_ns(np.array(from_ns), np.array(to_ns))
        people["far"][row][taken] = spring.FAR
        people["best"][row] = spring.FAR
        took_s = (to_ns - from_ns) * 1e-9
        self._count(row, verdict, template.length_s / max(took_s, 1e-3))
        data: Dict[str, JsonValue] = {
            "action": "repetition",
            "exercise": template.name,
            "repetition": int(people["count"][row]),
            "score": round(verdict.score, 1),
            "duration_s": round(took_s, 2),
            "tempo": round(float(people["tempo"][row]), 2),
            "mirrored": mirrored,
            "faults": [
                {"limb": f.limb, "phase": f.phase, "deg": round(f.degrees)} for f in verdict.faults
            ],
            "ended_s": round((t_ns - to_ns) * 1e-9, 2),
        }
        why = "; ".join(str(fault) for fault in verdict.faults) or "as in the template"
        score = float(people["score"][row])
        return PoseEvent("action", camera, int(people.ids[row]), t_ns, score, data, why=why)

    def _count(self, row: int, verdict: Verdict, tempo: float) -> None:
        people = self._people
        first = people["count"][row] == 0
        people["count"][row] += 1
        people["last"][row], people["tempo"][row] = verdict.score, tempo
        for name, choose in (("highest", max), ("lowest", min)):
            people[name][row] = verdict.score if first else choose(people[name][row], verdict.score)

    def _note_blindness(self, costs: np.ndarray, t_ns: int, in_view: int) -> None:
        judged = bool((costs < FARTHEST).any())
        if judged or not in_view or self._blind_ns < 0:
            self._blind_ns = t_ns
        self._blind_s = (t_ns - self._blind_ns) * 1e-9


def _free_ns(from_ns: np.ndarray, to_ns: np.ndarray) -> np.ndarray:
    """Time after which the next repetition may begin."""
    return np.asarray(to_ns - _SHARED * (to_ns - from_ns))
