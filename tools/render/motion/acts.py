"""What one person does over time: a motion by name, with the person's own pace and manner."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from edge.capture._synthetic.gaits import MOTIONS
from edge.capture._synthetic.load import load as load_clip
from edge.capture._synthetic.motion import Gait
from edge.errors import ConfigError
from tools.fetch.by_name import ensure_set
from tools.render.body.posing import Pose, rotation
from tools.render.motion import falls
from tools.render.motion.blows import captured_blows
from tools.render.motion.daily import ALONE, DAILY, draw_shadow_boxing, events_of
from tools.render.motion.exercises import EVERYDAY, EXERCISES
from tools.render.motion.falls import KINDS, Fall
from tools.render.motion.pairs import PAIRS, Part, Script, draw_script

Draw = np.random.Generator
TUNE, REPORT = "tune", "report"
SPLITS = (TUNE, REPORT)
CAPTURED = ("motion", "motion-bvh")  # media sets of motion capture
FIGHTERS = ("mocap_punch", "mocap_kick", "mocap_spinkick", "mocap_boxing_toes")
_ALONE_IN_PAIR_S = 8.0
_GETTING_UP = "mocap_getup"
_COUNTED = {"squat": 3.0, "reach": 4.0, "jump": 2.0, "sit": 8.0}
_SEGMENT_JITTER = 0.05  # rad of all segments, constant for a person
_ARMS = (3, 4, 6, 7)
_ON_THE_FLOOR = (
    *KINDS,
    *falls.MORE,
    "lie",
    "lie_down",
    "push_up",
    "crawl_on",
    "get_up",
)  # an arm of its own would lift the body


@dataclass(frozen=True)
class Event:
    """Something that a person does, for the truth of a clip."""

    kind: str  # walk, fall, lying, rep ...
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class Act:
    """A person's motion.

    Attributes:
        name: of the motion.
        motion: `edge.capture._synthetic.motion.Motion`.
        own: [3] random numbers of the person.
        pace: times the motion's own speed.
        start_s: time at which a fall starts, or at which a captured clip is at its first frame.
        speed: statures per second over the floor.
        manner: [15,3,3] turns of the segments that are this person's own.
        hands: [2,5] closing of the fingers, and `spread`, `wrists`, `gaze` as in `Pose`.
    """

    name: str
    motion: Any
    own: np.ndarray
    pace: float
    start_s: float
    manner: np.ndarray
    hands: np.ndarray
    spread: np.ndarray
    wrists: np.ndarray
    gaze: np.ndarray

    @property
    def speed(self) -> float:
        """Statures per second over the floor."""
        return float(self.motion.speed) * self.pace

    @property
    def planted(self) -> bool:
        """Whether the feet stay in place."""
        return bool(self.motion.planted)

    @property
    def seated(self) -> bool:
        """Whether it needs a seat."""
        return self.name in ("sit", "sit_down_fast", falls.OFF_CHAIR)

    def at(self, t_s: float) -> Tuple[Pose, float, np.ndarray]:
        """Pose at a time, lift m above the floor, and travel [2] statures to the front and left."""
        time = self._time(t_s)
        posture = self.motion.at(np.array([time]), self.own[None])
        curl = np.clip(self.hands * 0.6 + posture.curl[0][:, None] * 0.6, 0, 1)
        pose = Pose(
            posture.frames[0] @ self.manner, curl, self.spread, self.wrists, np.zeros(2), self.gaze
        )
        return pose, float(posture.lift[0]), posture.travel[0]

    def _time(self, t_s: float) -> float:
        time = (t_s - self.start_s) * self.pace
        span = float(self.motion.span_s)
        if span > 0 and self.name.startswith(_GETTING_UP):  # backwards it would be a fall
            return min(max(time, 0.0), span)
        if span > 0:  # back and forth, so that nobody jumps
            time = time % (2 * span)
            time = 2 * span - time if time > span else time
        return time

    def events(self, end_s: float) -> List[Event]:
        """What happens from 0 to `end_s`."""
        if isinstance(self.motion, Fall):
            return self._fall_events(end_s)
        if self.name == "lie_down":
            down_s = self.start_s + 5.2 / self.pace
            found = [Event("lie_down", self.start_s, down_s), Event("lying", down_s, end_s)]
            return [e for e in found if e.start_s < end_s]
        told = self._told(end_s)
        if told:
            return [Event(k, a, min(b, end_s)) for k, a, b in told if a < end_s]
        period_s = repetition_s(self.name) / self.pace
        if not period_s:
            return [Event(self.name, 0.0, end_s)]
        first = self.start_s - float(self.own[0]) * period_s
        count = int((end_s - first) / period_s) + 1
        reps = [
            Event("rep", first + i * period_s, first + (i + 1) * period_s) for i in range(count)
        ]
        return [Event(self.name, 0.0, end_s)] + [
            e for e in reps if e.start_s >= 0 and e.end_s <= end_s
        ]

    def _fall_events(self, end_s: float) -> List[Event]:
        down_s = self.start_s + self.motion.impact_s / self.pace
        rise_s = min(self.start_s + self.motion.rise_s / self.pace, end_s)
        found = [Event("fall", self.start_s, down_s), Event("lying", down_s, rise_s)]
        found += [Event("get_up", rise_s, end_s)] if rise_s < end_s else []
        return [e for e in found if e.start_s < end_s]

    def _told(self, end_s: float) -> List[Tuple[str, float, float]]:
        """Kind, start and end of what a movement of `daily` or `pairs` tells of itself."""
        if isinstance(self.motion, Part) and self.motion.clip is not None:
            blows = captured_blows(self.motion.clip, end_s)
            return [("fight", 0.0, end_s), *(("strike", a, b) for a, b in blows)]
        if isinstance(self.motion, Part):
            return self.motion.events()
        if self.name == ALONE:
            whole = [(self.name, 0.0, end_s)]
            own = [(k, a / self.pace, b / self.pace) for k, a, b in self.motion.events()]
            return whole + own
        return events_of(self.name, self.start_s, self.pace, end_s)


def repetition_s(name: str) -> float:
    """Seconds of one repetition of a counted exercise; 0 = it is not counted."""
    return _COUNTED.get(name, EXERCISES[name][1] if name in EXERCISES else 0.0)


@lru_cache(maxsize=1)
def captured(quiet: bool = True) -> Dict[str, Path]:
    """Name of each captured clip -> its file; the sets are fetched if they are missing."""
    found = {}
    for name in CAPTURED:
        folder = ensure_set(name, quiet=quiet)
        for path in sorted([*folder.glob("*.bvh"), *folder.glob("*.txt")]):
            found["mocap_" + path.stem.replace("humanoid3d_", "").lower()] = path
    return found


def split_of(name: str) -> str:
    """The split of a captured clip, by the hash of its name; scripts belong to both."""
    return SPLITS[hashlib.sha256(name.encode()).digest()[0] % 2]


def scripts() -> List[str]:
    """Names of the motions by formula."""
    gaits = [n for n in MOTIONS if n != "fall"]
    return [*gaits, *EXERCISES, *EVERYDAY, *KINDS, *falls.MORE, *DAILY, ALONE, *PAIRS]


def require_known(name: str, split: str) -> None:
    """Check a motion's name.

    Raises:
        ConfigError: there is no such motion, or it belongs to the other split.
    """
    known = [*scripts(), "captured"]
    if name in known:
        return
    if name not in captured():
        close = difflib.get_close_matches(name, [*known, *captured()], 1)
        hint = f"did you mean {close[0]}?" if close else "`edge-tools synth --list` shows them"
        raise ConfigError(f"no motion called {name}; {hint}")
    if split_of(name) != split:
        raise ConfigError(f"motion {name} belongs to --split {split_of(name)}")


def draw_act(name: str, split: str, rng: Draw) -> Act:
    """A person's act: a motion, and how far arms and hands leave it.

    Args:
        name: of a motion; "captured" = any captured clip of the split.
        split: tune | report.
        rng: source of all choices.

    Raises:
        ConfigError: no such motion, or it belongs to the other split.
    """
    require_known(name, split)
    if name == "captured":
        own = [n for n in captured() if split_of(n) == split]
        name = str(rng.choice(own))
    return _with_manner(name, _motion, rng)


def _with_manner(name: str, motion: Callable[[str, Draw], Any], rng: Draw) -> Act:
    vivid = 0.3 if name in _ON_THE_FLOOR else 1.0
    manner = np.stack([rotation(rng.normal(size=3) * _SEGMENT_JITTER * vivid) for _ in range(15)])
    for arm in _ARMS:
        if rng.random() < 0.3 * vivid:
            manner[arm] = rotation(rng.normal(size=3) * 0.3 * vivid)
    return Act(
        name,
        motion(name, rng),
        rng.random(3),
        float(np.exp(rng.normal(0, 0.12))),
        0.0,
        manner,
        np.clip(rng.normal(0.35, 0.25, (2, 5)), 0, 1),
        rng.normal(0, 0.08, 2),
        rng.normal(0, 0.18, (2, 3)) * vivid,
        rng.normal(0, 0.15, 2),
    )


def draw_pair(name: str, split: str, seconds: float, rng: Draw) -> List[Act]:
    """The acts of two people who play one script of `pairs`.

    Args:
        name: one of PAIRS.
        split: tune | report; of the captured clips of fighters.
        seconds: length of the clip.
        rng: source of all choices.
    """
    script = draw_script(name, seconds, rng)
    return [_in_pair(name, script, who, split, rng) for who in (0, 1)]


def _in_pair(name: str, script: Script, who: int, split: str, rng: Draw) -> Act:
    clip = None
    if name == "fight_captured" and (who == 0 or rng.random() < 0.5):
        own = [n for n in FIGHTERS if split_of(n) == split]
        clip = load_clip(captured()[str(rng.choice(own))])
    act = _with_manner(name, lambda _name, _rng: Part(script, who, clip), rng)
    return replace(act, pace=1.0)


def _motion(name: str, rng: Draw) -> Any:
    if name in KINDS or name in falls.MORE:
        return falls.draw(name, bool(rng.random() < 0.6 and name != "faint"))
    if name in DAILY:
        return DAILY[name]
    if name == ALONE:
        return draw_shadow_boxing(rng)
    if name in PAIRS:  # one of the two, without the other
        return Part(draw_script(name, _ALONE_IN_PAIR_S, rng), 0)
    if name in EXERCISES:
        return Gait(EXERCISES[name][0], planted=name not in ("lunge", "push_up"))
    if name in EVERYDAY:
        return Gait(EVERYDAY[name], planted=name == "pick_up", once=name != "pick_up")
    if name in MOTIONS and name != "fall":
        return MOTIONS[name]
    return load_clip(captured()[name])


def length_s(act: Act) -> float:
    """Time within which one moment of the act is drawn for a picture."""
    known: Optional[float] = getattr(act.motion, "length_s", None)
    return float(known) if known else 8.0
