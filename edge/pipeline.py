"""The whole program on one page: cameras -> detect -> pose -> track -> smooth -> rules -> publish.

The unit of work is a list of frames, the newest of each camera that has one: a step. Detection and
person crops of all cameras go to each network as one batch. A step goes through three stages:

- `look` finds and tracks bodies, in the loop's own thread;
- `fill_in` adds hands and faces, if the pose model has such a second half. Where networks may run
  at the same time, it has its own thread and may be a step behind `look`;
- `tell` smooths, applies the rules and publishes, in its own thread and a step behind.
"""

from __future__ import annotations

import queue
from dataclasses import dataclass, field
from typing import Any, Callable, List, Mapping, Optional, Sequence

from edge.health import Health
from edge.people.look_schedule import Pacing, Turn, turn_of
from edge.stage_thread import StageThread
from edge.stages import Cameras, CameraStages, Carry, Detect, Pose, Publisher, Scene, Watcher
from edge.structures import Detections, Frame, Poses, RuleSummary


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
