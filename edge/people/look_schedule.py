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


@dataclass(frozen=True)
class Pacing:
    """How often the detector looks at each camera."""

    every: int = 1  # frames of a camera from one turn to the next
    calm_ns: int = 0  # minimum pause while everybody is tracked and nobody new was found
    still_ns: int = 0  # longest pause while nothing moves outside the known people; 0 = off

    @staticmethod
    def of(detect: Detect, times: int = 1) -> Pacing:
        """The pacing of a configuration, `times` as slow."""
        return Pacing(
            detect.every * times,
            int(detect.calm_s * 1e9) * times,
            int(detect.still_s * 1e9) * times,
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
    stillness: Stillness = field(default_factory=Stillness)  # the picture that the detector saw

    def note(self, turn: Turn, frame: Frame, boxes: np.ndarray, pacing: Pacing) -> None:
        """Remember what `turn_of` decided about a frame.

        Args:
            turn: the decision.
            frame: borrowed; nothing of its image is kept.
            boxes: [N,4] f32 px, where known people are.
            pacing: the pacing in force.
        """
        self.seen += 1
        if turn is Turn.LOOK:
            self.looked_ns = self.judged_ns = frame.t_ns
            if pacing.still_ns:
                self.stillness.remember(frame, boxes)
        elif turn is Turn.REST_STILL:
            self.judged_ns = frame.t_ns


def turn_of(frame: Frame, looks: Looks, people: Following, pacing: Pacing, phase: int) -> Turn:
    """Whether the detector looks at a frame.

    Args:
        frame: the next one of the camera; borrowed.
        looks: at this camera so far.
        people: what its tracker knows.
        pacing: the pacing in force.
        phase: frames by which the turns of this camera are shifted against those of others.
    """
    if looks.seen == 0:
        return Turn.LOOK
    if (looks.seen + phase) % pacing.every:
        return Turn.REST
    return _pause(frame, looks, people, pacing)


def _pause(frame: Frame, looks: Looks, people: Following, pacing: Pacing) -> Turn:
    """Whether a look may be left out, although it is the camera's turn.

    The pause ends as soon as anything moves outside the known people, so a newcomer is found no
    later. The more of the picture known people cover, the less can be seen of that, and the shorter
    is the longest pause. It is shortest where the last look missed somebody who is tracked. An
    empty place is looked at in every turn unless it is still.
    """
    paused_ns = frame.t_ns - looks.looked_ns
    if paused_ns >= max(pacing.calm_ns, pacing.still_ns):
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
