"""The whole program on one page: cameras -> detect -> pose -> track -> smooth -> rules -> publish.

The unit of work is a list of frames, the newest of each camera that has one: a step. Detection and
person crops of all cameras go to each network as one batch. A step goes through three stages:

- `look` finds and tracks bodies, in the loop's own thread;
- `fill_in` adds hands and faces, if the pose model has such a second half. Where networks may run
  at the same time, it has its own thread and may be a step behind `look`;
- `tell` smooths, applies the rules and publishes, in its own thread and a step behind.
"""

from __future__ import annotations

import dataclasses
import queue
from dataclasses import dataclass, field
from functools import partial
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

import numpy as np

from edge.health import Health
from edge.people.filters.consistency import Consistent
from edge.people.importance import importance
from edge.people.look_schedule import Following, Looks, Pacing, Turn, turn_of
from edge.scene_structures import SceneFrame
from edge.stage_thread import StageThread
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


@dataclass
class Step:
    """The frames of one turn of the loop and their people, on the way through the stages."""

    frames: List[Frame]
    poses: List[Poses]


@dataclass
class Pipeline:
    """The loop. Everything it uses is handed in.

    Args:
        cameras: frames come from here.
        detect: finds boxes of people, one execution for all frames.
        pose: gives the skeletons that tracking needs.
        stages: what each camera has for itself, by its name.
        publisher: results go here.
        pacing: how often the detector looks at each camera.
        parts: the second half of the pose model, if it has one.
        concurrent: whether both halves may run at the same time.
        carry: runs the pose model on some frames only; None = it runs on all.
        finish: converts keypoints and drops weak people, before rules and publishing.
        scenes: each joins the people of several cameras (edge.loop.scenes).
        watchers: are shown every step, in the thread of `tell`; frames are borrowed.
        besides: gives summaries of a camera that are no rule's, such as of joints with sensors.
        marked: told of each mark of a session: camera, names of the rules, and its table.
        tick: called after each step, in the thread of `tell`.
        health: counts and times.
    """

    cameras: Cameras
    detect: Detect
    pose: Pose
    stages: Mapping[str, CameraStages]
    publisher: Publisher
    pacing: Pacing = field(default_factory=Pacing)
    parts: Optional[Pose] = None
    concurrent: Callable[[], bool] = lambda: False
    carry: Optional[Carry] = None
    finish: Callable[[Poses], Poses] = lambda poses: poses
    scenes: Sequence[Scene] = ()
    watchers: Sequence[Watcher] = ()
    besides: Callable[[str], Sequence[RuleSummary]] = lambda camera: ()
    marked: Callable[[str, Sequence[str], Mapping[str, Any]], None] = lambda *mark: None
    tick: Callable[[], None] = lambda: None
    health: Health = field(default_factory=Health)
    _changes: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)

    def between_steps(self, change: Callable[[], None]) -> None:
        """Have the loop's thread make a change after one step has left it and before the next.

        Nothing else touches the loop meanwhile. From any thread. The change must not raise, and
        must not take long: cameras keep only their newest frame.
        """
        self._changes.put(change)

    def run(self, stop: Callable[[], bool], max_steps: int = 0) -> int:
        """Run until the sources end, `stop` gives true, or after `max_steps` (0 = no limit).

        Returns:
            The number of steps.
        """
        look = self.health.timed("look", self.look)
        telling: StageThread[Step] = StageThread("tell", self.health.timed("tell", self.tell))
        filling_in: StageThread[Step] = StageThread(
            "fill in", lambda step: telling.put_alone(self.fill_in(step))
        )
        with telling, filling_in:
            while not stop() and not (max_steps and self.health.steps >= max_steps):
                self._change(filling_in, telling)
                frames = self.cameras.take(0.2)
                # A step without frames publishes the cameras' states: one may have stalled.
                step = look(frames) if frames else Step([], [])
                if not frames and self.cameras.ended:
                    filling_in.wait()
                    telling.put(step)  # publishes how the cameras ended
                    break
                # At most four frames of a camera are out: in look, queued, in fill_in, in tell.
                if self.parts is not None and self.concurrent():
                    filling_in.put(step)
                else:
                    filling_in.wait()
                    telling.put(self.fill_in(step))
                self.health.steps += bool(frames)
        return self.health.steps

    def _change(self, *later_stages: StageThread[Step]) -> None:
        if not self._changes.empty():
            for stage in later_stages:
                stage.wait()
            while not self._changes.empty():
                self._changes.get()()

    def look(self, frames: List[Frame]) -> Step:
        """Detect, find poses and track; each network is executed once for all frames and people."""
        lenses = [self.stages[f.camera].lens for f in frames]
        frames = [f if lens is None else lens.on(f) for f, lens in zip(frames, lenses)]
        detections = self._detect_due(frames)
        for f in frames:
            self.stages[f.camera].follow_camera(f)
        trackers = [self.stages[f.camera].tracker for f in frames]
        candidates = [
            t.candidates(d, f.t_ns, f.still) for t, d, f in zip(trackers, detections, frames)
        ]
        carry = self.carry
        poses = (
            carry.look(self.pose, frames, candidates) if carry else self.pose(frames, candidates)
        )
        for f, found in zip(frames, poses):
            self.stages[f.camera].looks.carried = found.guessed
        tracked = [self.stages[f.camera].track(p, f) for p, f in zip(poses, frames)]
        if carry:
            carry.keep(frames, tracked)
        return Step(frames, tracked)

    def fill_in(self, step: Step) -> Step:
        """Run the second half of the pose model, if it has one."""
        if self.parts is None or not step.frames:
            return step
        people = [self.stages[f.camera].weighed(p) for f, p in zip(step.frames, step.poses)]
        if self.carry is not None:
            return Step(step.frames, self.carry.fill_in(self.parts, step.frames, people))
        return Step(step.frames, self.parts(step.frames, people))

    def tell(self, step: Step) -> None:
        """Smooth, apply the rules, publish, and give the frames back."""
        published: List[Poses] = []
        for frame, poses in zip(step.frames, step.poses):
            stages = self.stages[frame.camera]
            # The keypoints of a picture for itself have nothing to do with those before.
            smooth = self.finish(poses if frame.still else stages.smooth(poses, frame.t_ns))
            smooth = stages.lens.straighten(smooth, frame.size) if stages.lens else smooth
            published.append(smooth)
            self.publisher.frame(frame, smooth)
            for rule in stages.rules:
                for event in rule(smooth, frame.camera, frame.t_ns):
                    self.health.events += 1
                    self.publisher.event(event)
            self.health.published(frame.camera, len(smooth), frame.arrival_ns)
        for scene in self.scenes:
            for found in scene(step.frames, published):
                self.publisher.scene(found)
        for watcher in self.watchers:
            watcher(step.frames, published)
        self.cameras.release(step.frames)
        for state in self.cameras.states():
            known = self.stages.get(state.camera)
            rules = [*known.summaries(), *self.besides(state.camera)] if known else []
            self.publisher.camera(state, self.health.people.get(state.camera, 0), rules)
        self.tick()

    def _detect_due(self, frames: List[Frame]) -> List[Optional[Detections]]:
        """Cameras take turns, so that the detector never sees all of them in one step."""
        due = [self._is_due(f, self.stages[f.camera]) for f in frames]
        chosen = [f for f, d in zip(frames, due) if d]
        found = iter(self.detect(chosen) if chosen else [])
        return [next(found) if d else None for d in due]

    def _is_due(self, frame: Frame, stages: CameraStages) -> bool:
        turn = turn_of(frame, stages.looks, stages.tracker, self.pacing, stages.phase)
        stages.looks.note(turn, frame, stages.tracker.boxes, self.pacing, stages.phase)
        return turn is Turn.LOOK
