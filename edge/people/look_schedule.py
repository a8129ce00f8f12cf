"""When the detector looks at a camera: in turns, and not while it would find nothing new.

Pure: reads no clock and starts no thread.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from edge.people.stillness import Stillness
from edge.settings.config import Detect
from edge.structures import Frame

# Between frames that are further apart than this, people move too far to be followed without a box.
_APART_NS = 250_000_000


@dataclass(frozen=True)
class Pacing:
    """How often the detector looks at each camera."""

    every: int = 1  # frames of a camera from one turn to the next; 0 = `every_ns` counts
    calm_ns: int = 0  # minimum pause while everybody is tracked and nobody new was found
    still_ns: int = 0  # longest pause while nothing moves outside the known people; 0 = off
    every_ns: int = 0  # from one turn of a camera to the next
    apart_ns: int = 1 << 62  # a frame that is this much later than the one before is looked at

    @staticmethod
    def of(detect: Detect, times: int = 1) -> Pacing:
        """The pacing of a configuration, `times` as slow."""
        return Pacing(
            detect.every * times,
            int(detect.calm_s * 1e9) * times,
            int(detect.still_s * 1e9) * times,
            int(detect.every_s * 1e9) * times,
            _APART_NS * times,
        )


class Following(Protocol):
    """What a tracker knows about the people of one camera (edge.people.tracker)."""

    @property
    def calm(self) -> bool:
        """Whether everybody is tracked reliably, so that the detector may pause."""

    @property
    def confirmed(self) -> bool:
        """Whether the detector found every track when it looked last."""

    @property
    def boxes(self) -> np.ndarray:
        """Last boxes [N,4] f32 px of all tracks; borrowed."""


class Turn(enum.Enum):
    """The decision about one frame."""

    LOOK = enum.auto()  # the detector sees it
    REST = enum.auto()  # it does not
    REST_STILL = enum.auto()  # it does not: nothing moves, so a new calm pause begins


@dataclass
class Looks:
    """The detector's looks at one camera so far."""

    seen: int = 0  # frames so far, looked at or not
    looked_ns: int = 0  # time of the last frame that the detector saw
    judged_ns: int = 0  # the same, or time of the last REST_STILL if that is later
    last_ns: int = 0  # time of the last frame
    carried: bool = False  # whether somebody's keypoints are predicted, until the next look
    turn_ns: int = 0  # when the next turn is, if turns are counted by time
    stillness: Stillness = field(default_factory=Stillness)  # the picture that the detector saw

    def is_turn(self, frame: Frame, pacing: Pacing, phase: float) -> bool:
        """Whether it is the camera's turn; by time, the frame nearest to the turn's time counts."""
        if pacing.every:
            return (self.seen + int(phase * pacing.every + 1e-9)) % pacing.every == 0
        return self._nearest_ns(frame, pacing) >= self.turn_ns

    def _nearest_ns(self, frame: Frame, pacing: Pacing) -> int:
        """The end of the time to which this frame is the nearest."""
        return frame.t_ns + min((frame.t_ns - self.last_ns) // 2, pacing.every_ns // 4)

    def note(
        self, turn: Turn, frame: Frame, boxes: np.ndarray, pacing: Pacing, phase: float = 0.0
    ) -> None:
        """Remember what `turn_of` decided about a frame.

        Args:
            turn: the decision.
            frame: borrowed; nothing of its image is kept.
            boxes: [N,4] f32 px, where known people are.
            pacing: the pacing in force.
            phase: as for `turn_of`.
        """
        self._next_turn(frame, pacing, phase)
        self.seen += 1
        self.last_ns = frame.t_ns
        if turn is Turn.LOOK:
            self.looked_ns = self.judged_ns = frame.t_ns
            if pacing.still_ns:
                self.stillness.remember(frame, boxes)
        elif turn is Turn.REST_STILL:
            self.judged_ns = frame.t_ns

    def _next_turn(self, frame: Frame, pacing: Pacing, phase: float) -> None:
        """Turns keep their distance, so that the turns of cameras stay apart."""
        if pacing.every or not pacing.every_ns:
            return
        if self.seen == 0:
            self.turn_ns = frame.t_ns + pacing.every_ns - int(phase * pacing.every_ns)
        elif self.is_turn(frame, pacing, phase):
            late_ns = self._nearest_ns(frame, pacing) - self.turn_ns
            self.turn_ns += (late_ns // pacing.every_ns + 1) * pacing.every_ns


def turn_of(frame: Frame, looks: Looks, people: Following, pacing: Pacing, phase: float) -> Turn:
    """Whether the detector looks at a frame.

    Args:
        frame: the next one of the camera; borrowed.
        looks: at this camera so far.
        people: what its tracker knows.
        pacing: the pacing in force.
        phase: share 0..1 of the pause by which this camera's turns are shifted against those of
            other cameras.
    """
    if looks.seen == 0 or frame.still or frame.t_ns - looks.last_ns > pacing.apart_ns:
        return Turn.LOOK
    if not looks.is_turn(frame, pacing, phase):
        return Turn.REST
    return _pause(frame, looks, people, pacing)


def _pause(frame: Frame, looks: Looks, people: Following, pacing: Pacing) -> Turn:
    """Whether a look may be left out, although it is the camera's turn.

    The pause ends as soon as anything moves outside the known people, so a newcomer is found no
    later. The more of the picture known people cover, the less can be seen of that, and the shorter
    is the longest pause. It is shortest where the last look missed somebody who is tracked. An
    empty place is looked at in every turn unless it is still. No look is left out while somebody is
    carried: only a look can tell whether the person is still there.
    """
    paused_ns = frame.t_ns - looks.looked_ns
    if looks.carried or paused_ns >= max(pacing.calm_ns, pacing.still_ns):
        return Turn.LOOK
    boxes = people.boxes
    if not people.calm:
        empty = paused_ns < pacing.still_ns and not len(boxes)
        return Turn.REST if empty and looks.stillness.share(frame, boxes) > 0 else Turn.LOOK
    if frame.t_ns - looks.judged_ns < pacing.calm_ns:
        return Turn.REST
    if not people.confirmed:
        return Turn.LOOK
    share = looks.stillness.share(frame, boxes)
    longest_ns = share * (pacing.still_ns - pacing.calm_ns)
    return Turn.LOOK if paused_ns > longest_ns else Turn.REST_STILL
