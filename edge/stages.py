"""The parts of a pipeline as protocols, and the stages that each camera has for itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import partial
from typing import Callable, Dict, FrozenSet, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from edge.people.filters.consistency import Consistent
from edge.people.importance import importance
from edge.people.look_schedule import Following, Looks
from edge.scene_structures import SceneFrame
from edge.structures import CameraState, Detections, Frame, PoseEvent, Poses, RuleSummary


class Cameras(Protocol):
    """Where frames come from (edge.capture.Cameras)."""

    def take(self, timeout_s: float) -> List[Frame]:
        """The newest frame of each camera that has one; [] at time-out."""

    def release(self, frames: Sequence[Frame]) -> None:
        """Give the buffers of these frames back."""

    def states(self) -> List[CameraState]:
        """The state of each camera."""

    @property
    def ended(self) -> bool:
        """Whether no more frames will come."""


class Tracker(Following, Protocol):
    """The identities of the people in one camera (edge.people.tracker)."""

    def candidates(self, detections: Optional[Detections], t_ns: int, still: bool = False) -> Poses:
        """The people to look for in this frame."""

    def move(self, motion: np.ndarray) -> None:
        """The camera has moved since the frame before: [2,3] px."""

    def update(self, poses: Poses, t_ns: int, wear: Optional[Wear] = None) -> Poses:
        """The same people with their ids, in new arrays that stay valid."""


class Publisher(Protocol):
    """Where results go (edge.publish)."""

    def frame(self, frame: Frame, poses: Poses) -> None:
        """Publish the people of a frame."""

    def event(self, event: PoseEvent) -> None:
        """Publish an event."""

    def scene(self, found: SceneFrame) -> None:
        """Publish the people of several cameras."""

    def camera(self, state: CameraState, people: int, rules: Sequence[RuleSummary] = ()) -> None:
        """Publish the state of a camera, if it changed."""


class Rule(Protocol):
    """Turns the people of one camera into events (edge.rules)."""

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        """The events of a frame; called for frames without people, too."""

    def summary(self) -> RuleSummary:
        """What the rule knows of its camera after the last frame."""


class Correcting(Protocol):
    """The lens of one camera (edge.loop.lenses)."""

    def on(self, frame: Frame) -> Frame:
        """The frame with its lens, for the crops of networks."""

    def straighten(self, poses: Poses, size: Tuple[int, int]) -> Poses:
        """The people with `straight`, in a frame of (width, height) px."""


class Carry(Protocol):
    """Runs the pose model on some frames, and carries keypoints on the others (edge.loop.carry)."""

    def look(self, pose: Pose, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """As `pose(frames, people)`; calls `pose` with the frames that it must see."""

    def keep(self, frames: Sequence[Frame], tracked: Sequence[Poses]) -> None:
        """Remember the tracked people of these frames."""

    def fill_in(self, parts: Pose, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """As `parts(frames, people)`, for frames that came out of `look`."""


def summaries(rules: Sequence[Rule]) -> List[RuleSummary]:
    """What each rule of a camera knows now; a second rule of the same name is called name-2."""
    found: List[RuleSummary] = []
    of_name: Dict[str, int] = {}
    for summary in [rule.summary() for rule in rules]:
        nth = of_name[summary.name] = of_name.get(summary.name, 0) + 1
        name = summary.name if nth == 1 else f"{summary.name}-{nth}"
        found.append(dataclasses.replace(summary, name=name))
    return found


Detect = Callable[[Sequence[Frame]], List[Detections]]
Pose = Callable[[Sequence[Frame], Sequence[Poses]], List[Poses]]
Wear = Callable[[Poses], np.ndarray]  # colours of the clothes of people in a frame
Watcher = Callable[[Sequence[Frame], Sequence[Poses]], None]
Scene = Callable[[Sequence[Frame], Sequence[Poses]], List[SceneFrame]]


@dataclass
class CameraStages:
    """The stages that one camera has for itself, and when the detector looked at it."""

    tracker: Tracker
    smooth: Callable[[Poses, int], Poses]
    rules: Sequence[Rule]
    phase: float = 0.0  # share of a pause, shifts the detector's turns against other cameras'
    looks: Looks = field(default_factory=Looks)
    consistency: Callable[[], Optional[Consistent]] = lambda: None  # of the filter in `smooth`
    named: FrozenSet[int] = frozenset()  # ids of the people whom a rule has something to say about
    # The camera's own motion since the frame before (edge.people.camera_motion); None = not asked.
    camera_motion: Optional[Callable[[Frame, np.ndarray], Optional[np.ndarray]]] = None
    # Gives people the keypoints without the lens, for rules (edge.loop.lenses); None = no lens.
    lens: Optional[Correcting] = None
    # Colours of people's clothes in a frame (edge.people.colours); None = not looked at.
    colours: Optional[Callable[[Frame, Poses], np.ndarray]] = None

    def track(self, poses: Poses, frame: Frame) -> Poses:
        """The people of a frame with their ids."""
        if self.colours is None:
            return self.tracker.update(poses, frame.t_ns)
        return self.tracker.update(poses, frame.t_ns, partial(self.colours, frame))

    def follow_camera(self, frame: Frame) -> None:
        """Tell the tracker how the camera moved since the frame before."""
        if self.camera_motion is None or frame.still:
            return
        motion = self.camera_motion(frame, self.tracker.boxes)
        if motion is not None:
            self.tracker.move(motion)

    def summaries(self) -> List[RuleSummary]:
        """What each rule knows now, under names that differ."""
        found = summaries(self.rules)
        self.named = frozenset(who for summary in found for who in summary.labels)
        return found

    def weighed(self, poses: Poses) -> Poses:
        """The people, with how much each of them matters to the rules; may run beside `tell`."""
        weights = importance(poses, self.named, self.rules) if self.rules else None
        return poses if weights is None else dataclasses.replace(poses, weights=weights)
