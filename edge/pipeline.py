"""The whole program on one page: cameras -> detect -> pose -> track -> smooth -> rules -> publish.

The unit of work is a list of frames, the newest of each camera that has one. Detection and person
crops of all cameras go to each network as one batch. `look` finds and tracks bodies, `fill_in` adds
what tracking does not need (hands and faces, if the model has such a half), `tell` smooths, judges
and publishes in a thread of its own, a step behind. Where networks may run at once, `fill_in` has
its own thread, too, and may be a step behind `look`.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import Callable, List, Mapping, Optional, Protocol, Sequence

import numpy as np

from edge.health import Health
from edge.people.stillness import Stillness
from edge.structures import CameraState, Detections, Frame, PoseEvent, Poses


class Cameras(Protocol):
    """Where frames come from (edge.capture.Cameras)."""

    def take(self, timeout_s: float) -> List[Frame]:
        """The newest frame of each camera that has one; [] at time-out."""

    def release(self, frames: Sequence[Frame]) -> None:
        """Give their buffers back."""

    def states(self) -> List[CameraState]:
        """How each camera is."""

    @property
    def ended(self) -> bool:
        """Nothing more will come."""


class Tracker(Protocol):
    """Who is who in one camera (edge.people.tracker)."""

    @property
    def calm(self) -> bool:
        """Everybody is followed surely: the detector may rest."""

    @property
    def confirmed(self) -> bool:
        """The detector found everybody when it looked last."""

    @property
    def boxes(self) -> np.ndarray:
        """[N,4] f32 px, where everybody known is."""

    def candidates(self, detections: Optional[Detections], t_ns: int) -> Poses:
        """Who to look for in this frame."""

    def update(self, poses: Poses, t_ns: int) -> Poses:
        """The same people with their numbers; arrays of its own, valid for ever."""


class Publisher(Protocol):
    """Where results go (edge.publish)."""

    def frame(self, frame: Frame, poses: Poses) -> None:
        """Publish a frame's people."""

    def event(self, event: PoseEvent) -> None:
        """Publish an event."""

    def camera(self, state: CameraState, people: int) -> None:
        """Publish how a camera is, if that changed."""


@dataclass
class Camera:
    """What belongs to one camera alone."""

    tracker: Tracker
    smooth: Callable[[Poses, int], Poses]
    rules: List[Callable[[Poses, str, int], List[PoseEvent]]]
    phase: int = 0  # shifts its detector frames against those of other cameras
    seen: int = 0  # frames the loop took
    looked_ns: int = 0  # time of the last frame the detector saw
    judged_ns: int = 0  # the same, or of the last at which it was found to miss nothing
    stillness: Stillness = field(default_factory=Stillness)  # of what it saw there


@dataclass
class Step:
    """One turn of the loop on its way through the threads."""

    frames: List[Frame]
    poses: List[Poses]


@dataclass
class Pipeline:
    """The loop. Everything it uses is handed in."""

    cameras: Cameras
    detect: Callable[[Sequence[Frame]], List[Detections]]
    pose: Callable[[Sequence[Frame], Sequence[Poses]], List[Poses]]
    people: Mapping[str, Camera]
    publisher: Publisher
    detect_every: int = 1
    calm_ns: int = 0  # a detector rests so long while everybody is followed
    still_ns: int = 0  # and up to this while nothing stirs elsewhere; 0 = never longer
    parts: Optional[Callable[[Sequence[Frame], Sequence[Poses]], List[Poses]]] = None
    at_once: Callable[[], bool] = lambda: False  # whether both halves may run at once
    finish: Callable[[Poses], Poses] = lambda poses: poses  # skeleton, threshold
    watch: Callable[[Sequence[Frame], Sequence[Poses]], None] = lambda frames, poses: None
    tick: Callable[[], None] = lambda: None  # after each step, in the thread that publishes
    health: Health = field(default_factory=Health)
    _changes: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)

    def between_steps(self, change: Callable[[], None]) -> None:
        """Have the loop's thread make a change where one step is told and the next not begun.

        Nothing else touches the loop meanwhile. From any thread; the change must not raise, and not
        take long: cameras keep only their newest frame.
        """
        self._changes.put(change)

    def run(self, stop: Callable[[], bool], max_steps: int = 0) -> int:
        """Turn until the sources end, `stop` says so, or after `max_steps` (0 = no limit).

        Returns:
            The number of steps.
        """
        told = _Behind("tell", self.tell)
        filled = _Behind("fill in", lambda step: told.put_alone(self.fill_in(step)))
        with told, filled:
            while not stop() and not (max_steps and self.health.steps >= max_steps):
                self._change(filled, told)
                frames = self.cameras.take(0.2)
                step = self.look(frames) if frames else Step([], [])  # so that a stall is told of
                if not frames and self.cameras.ended:
                    filled.wait()
                    told.put(step)  # how they ended
                    break
                # Looked at, waiting, being filled in, being told: no camera lends more than four.
                if self.parts is not None and self.at_once():
                    filled.put(step)
                else:
                    filled.wait()
                    told.put(self.fill_in(step))
                self.health.steps += bool(frames)
        return self.health.steps

    def _change(self, *behind: _Behind) -> None:
        if not self._changes.empty():
            for stage in behind:
                stage.wait()
            while not self._changes.empty():
                self._changes.get()()

    def look(self, frames: List[Frame]) -> Step:
        """The networks: each is executed once for all frames and all people."""
        found = self._detect_due(frames)
        here = [self.people[f.camera].tracker for f in frames]
        candidates = [t.candidates(d, f.t_ns) for t, d, f in zip(here, found, frames)]
        poses = self.pose(frames, candidates)
        return Step(frames, [t.update(p, f.t_ns) for t, p, f in zip(here, poses, frames)])

    def fill_in(self, step: Step) -> Step:
        """The second half of a model that has two."""
        if self.parts is None or not step.frames:
            return step
        return Step(step.frames, self.parts(step.frames, step.poses))

    def tell(self, step: Step) -> None:
        """Smooth, judge, publish."""
        told: List[Poses] = []
        for frame, poses in zip(step.frames, step.poses):
            camera = self.people[frame.camera]
            smooth = self.finish(camera.smooth(poses, frame.t_ns))
            told.append(smooth)
            self.publisher.frame(frame, smooth)
            for rule in camera.rules:
                for event in rule(smooth, frame.camera, frame.t_ns):
                    self.health.events += 1
                    self.publisher.event(event)
            self.health.published(frame.camera, len(smooth), frame.arrival_ns)
        self.watch(step.frames, told)
        self.cameras.release(step.frames)
        for state in self.cameras.states():
            self.publisher.camera(state, self.health.people.get(state.camera, 0))
        self.tick()

    def _detect_due(self, frames: List[Frame]) -> List[Optional[Detections]]:
        """Cameras take turns, so that a step never has all their detector frames at once."""
        due = [self._is_due(f, self.people[f.camera]) for f in frames]
        chosen = [f for f, d in zip(frames, due) if d]
        found = iter(self.detect(chosen) if chosen else [])
        return [next(found) if d else None for d in due]

    def _is_due(self, frame: Frame, camera: Camera) -> bool:
        turn = (camera.seen + camera.phase) % self.detect_every == 0
        due = camera.seen == 0 or (turn and not self._rests(frame, camera))
        camera.seen += 1
        if due:
            camera.looked_ns = camera.judged_ns = frame.t_ns
            if self.still_ns:
                camera.stillness.remember(frame, camera.tracker.boxes)
        return due

    def _rests(self, frame: Frame, camera: Camera) -> bool:
        """A look that would tell nothing is left out, and the next comes when it would have.

        So whoever stirs the picture is seen no later. The more of it known people hide, the less
        does it tell that nothing stirs, and the sooner must the next look come; soonest where the
        last one missed somebody who is followed. An empty place is looked at in every turn, unless
        it is still.
        """
        rested_ns = frame.t_ns - camera.looked_ns
        if rested_ns >= max(self.calm_ns, self.still_ns):
            return False
        boxes = camera.tracker.boxes
        if not camera.tracker.calm:
            empty = rested_ns < self.still_ns and not len(boxes)
            return empty and camera.stillness.share(frame, boxes) > 0
        if frame.t_ns - camera.judged_ns < self.calm_ns:
            return True
        if not camera.tracker.confirmed:
            return False
        still = camera.stillness.share(frame, boxes)
        if rested_ns > still * (self.still_ns - self.calm_ns):
            return False
        camera.judged_ns = frame.t_ns
        return True


class _Behind:
    """Does its part of each step in a thread of its own, in their order."""

    def __init__(self, name: str, work: Callable[[Step], None]) -> None:
        self._work = work
        self._queue: queue.Queue[Optional[Step]] = queue.Queue(maxsize=1)
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def __enter__(self) -> _Behind:
        self._thread.start()
        return self

    def put(self, step: Step) -> None:
        """Hand over a step; waits while the one before it is still queued."""
        self._raise()
        self._queue.put(step)

    def put_alone(self, step: Step) -> None:
        """Hand over a step when every one before it is done."""
        self.wait()
        self.put(step)

    def wait(self) -> None:
        """Until every step handed over is done."""
        self._queue.join()
        self._raise()

    def __exit__(self, *error: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if error[0] is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _loop(self) -> None:
        while True:
            step = self._queue.get()
            if step is None:
                return
            if self._error is None:
                try:
                    self._work(step)
                except BaseException as error:  # noqa: BLE001 - raised again in the loop's thread
                    self._error = error
            self._queue.task_done()
