"""A frame's way stage by stage for 1, 5, 20 and 100 people, and the loop beside its bare engines.

Every stage of the table ends with an idle GPU, so a row adds up; the loop itself overlaps them.
"Bare" is the engines alone with the batches the loop gave them, queued one after the other without
waiting between executions: no loop can be faster. Its share is the figure that counts.

Without TensorRT networks and decoding are left out, and the table says so; the rest is measured
with the same batches: two hands and a face for everybody.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import time
from functools import partial
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from edge.errors import EdgeError
from edge.loop.assemble import Finish, Models, build_stages
from edge.publish import Publisher
from edge.settings import config
from edge.structures import Detections, Frame, Poses
from tests.device import stages
from tests.device.engine_checks import opened
from tests.device.place import Place
from tests.device.stages import DETECTOR, PARTS, STAGES, Clock, Drawn, TimedRunner
from tools.benches.memory import Loop

NEEDS = ("pycuda", "kernels")
PEOPLE, QUICK = (1, 5, 20, 100), (1, 3)
ROUNDS, QUICK_ROUNDS = 60, 4
OFTEN, QUICK_OFTEN = 200, 2  # executions of a bare engine
FRAME_NS = 33_333_333


def bench_stages(place: Place) -> None:
    """The table: ms of each stage, FP16 engines; then the loop's share of the bare engines."""
    without = why_no_engines()
    heads = " ".join(f"{stage:>12}" for stage in STAGES)
    place.say(f"          people {heads} {'sum':>8}")
    ran: Dict[int, Dict[str, int]] = {}
    for people in QUICK if place.quick else PEOPLE:
        times, ran[people] = measured(place, people, not without)
        cells = {stage: cell(stage, times, without) for stage in STAGES}
        whole = sum(times[stage] for stage, text in cells.items() if text != "-")
        row = " ".join(f"{text:>12}" for text in cells.values())
        place.say(f"          {people:>6} {row} {whole:>8.3f}")
        counts = ", ".join(f"{name} {ran[people].get(name, 0)}" for name in ("detector", *PARTS))
        place.say(f"                 batches: {counts}")
    if without:
        place.say(f"          left out: networks, decoding, the loop's share: {without}")
    else:
        shares(place, ran)


def shares(place: Place, ran: Dict[int, Dict[str, int]]) -> None:
    """Frame times of the whole loop and of its engines alone, and the one over the other.

    Args:
        place: where engines are.
        ran: batch of every network for each number of people.
    """
    place.say("          people    loop ms    bare ms   share")
    for people, batches in ran.items():
        image, found = stages.crowd(place, people)
        with models_of(place) as models, frames_of(image) as (pictured, pointer):
            loop = loop_ms(place, models, pictured, pointer, found)
        bare = bare_ms(place, batches)
        share = 100 * bare / loop
        place.say(f"          {people:>6}  {loop:>9.3f}  {bare:>9.3f}  {share:>6.1f} %")


def why_no_engines() -> str:
    """Empty = TensorRT is here."""
    try:
        importlib.import_module("edge.runtime.trt")
    except EdgeError as error:
        return str(error)
    return ""


def cell(stage: str, times: Dict[str, float], without: str) -> str:
    """What the table shows of a stage."""
    left_out = without and stage in ("detector", *PARTS, stages.DECODE)
    return "-" if left_out else f"{times[stage]:.3f}"


@contextlib.contextmanager
def models_of(place: Place, clock: Any = None) -> Iterator[Models]:
    """The daemon's own, on engines that are built now if need be."""
    for model, part in [("blazepose", p) for p in PARTS] + [(DETECTOR, "main")]:
        opened(place, model, part, "fp16").close()
    wrap = partial(timed, clock) if clock else lambda name, runner: runner
    models = Models(settings(place), wrap)
    try:
        yield models
    finally:
        models.close()


def timed(clock: Clock, name: str, runner: Any) -> Any:
    """A runner that tells the clock; its stage is the part's name."""
    stage = "detector" if name.startswith(DETECTOR) else name.split("/")[1]
    return TimedRunner(runner, stage, clock)


def settings(place: Place) -> config.Config:
    """Of one camera; results are encoded and written to nowhere."""
    table: Dict[str, Any] = {
        "models": {"dir": str(place.models)},
        "runtime": {"prefer": "engine", "precision": "fp16", "preprocess": "kernel"},
        "detect": {"model": DETECTOR, "max_people": 100},
        "cameras": [{"name": "cam0", "source": "memory://"}],
        "publish": {"sinks": ["jsonl:/dev/null"]},
    }
    return config.complete(config.build(config.Config, table))


@contextlib.contextmanager
def frames_of(image: np.ndarray) -> Iterator[Tuple[np.ndarray, int]]:
    """A picture in the memory that a camera's ring has on this machine, and where the GPU sees it:
    0 = it does not, so each frame is copied."""
    from edge.runtime._frames import frame_memory

    memory = frame_memory("engine") or page_locked()
    if memory is None:
        yield image, 0
        return
    room = memory.allocate(image.shape)
    room[:] = image
    yield room, memory.device_ptr(room)
    memory.close()


def page_locked() -> Any:
    """The same without TensorRT."""
    from edge.runtime._cuda.frames import PageLocked
    from edge.runtime._cuda.memory import open_device

    device = open_device()
    return PageLocked(device) if device.can_map else None


def measured(place: Place, people: int, engines: bool) -> Tuple[Dict[str, float], Dict[str, int]]:
    """Medians of every stage in ms, and the batch of every network."""
    from edge.runtime._cuda.memory import open_device

    clock, (image, found) = Clock(), stages.crowd(place, people)
    with frames_of(image) as (pictured, pointer), contextlib.ExitStack() as stack:
        if engines:
            models: Any = stack.enter_context(models_of(place, clock))
            detect, pose = models.detect, models.pose
        else:
            drawn = Drawn(place, open_device(), people, clock)
            stack.callback(drawn.close)
            detect, pose = partial(drawn.detect, found=found), drawn.pose
        turns = Turns(settings(place), clock, detect, pose, found)
        stack.callback(turns.close)
        for i in range(QUICK_ROUNDS if place.quick else ROUNDS):
            turns.turn(Frame(pictured, i, i * FRAME_NS, "cam0", pointer))
    return clock.medians_ms(), clock.batches


class Turns:
    """One camera's loop, its stages one after the other.

    Args:
        settings: of the camera and its sink.
        clock: that is told.
        detect: frames -> boxes; what it finds is not used, so that all rows have their crowd.
        pose: frames and candidates -> people.
        found: who is there.
    """

    def __init__(
        self, settings: config.Config, clock: Clock, detect: Any, pose: Any, found: Detections
    ) -> None:
        from edge.runtime._cuda.memory import open_device
        from edge.runtime.kernels.staging import staging_of

        self._clock, self._detect, self._pose, self._found = clock, detect, pose, found
        self._device = open_device()
        self._stage, self._stream = staging_of(self._device), self._device.stream()
        self._camera = build_stages(settings, "wholebody133")["cam0"]
        self._finish = Finish(settings, "wholebody133")
        self._publisher = Publisher(settings, lossless=True)

    def turn(self, frame: Frame) -> None:
        """A frame from the camera's ring to the sink."""
        clock, camera, t_ns = self._clock, self._camera, frame.t_ns
        clock.begin()
        clock.timed(stages.HAND_OVER, partial(self._hand_over, frame))
        clock.timed("models", partial(self._detect, [frame]))
        candidates = partial(camera.tracker.candidates, self._found, t_ns)
        people = clock.timed(stages.TRACK, candidates)
        poses = clock.timed("models", partial(self._pose, [frame], [people]))[0]
        smooth = clock.timed(stages.TRACK, partial(self._smoothed, poses, t_ns))
        clock.timed(stages.PUBLISH, partial(self._publisher.frame, frame, smooth))

    def _hand_over(self, frame: Frame) -> None:
        self._stage.pointers([frame], self._stream)
        self._stream.synchronize()

    def _smoothed(self, poses: Poses, t_ns: int) -> Poses:
        tracked = self._camera.tracker.update(poses, t_ns)
        return self._finish(self._camera.smooth(tracked, t_ns))

    def close(self) -> None:
        """Give everything back."""
        self._publisher.close()
        self._stream.close()


def loop_ms(
    place: Place, models: Models, image: np.ndarray, pointer: int, found: Detections
) -> float:
    """ms per frame of the daemon's loop; the detector runs, the crowd is what it finds."""
    real = models.detect
    vars(models)["detect"] = lambda frames: real(frames) and [found] * len(frames)
    table = {"detect": {"model": DETECTOR, "max_people": 100}}
    loop = Loop([[image] * (QUICK_ROUNDS if place.quick else ROUNDS)], table, models)
    take = loop.cameras.take

    def seen(timeout_s: float) -> List[Frame]:
        return [dataclasses.replace(f, device_ptr=pointer) for f in take(timeout_s)]

    vars(loop.cameras)["take"] = seen
    times = [loop.round_ms() for _ in range(2 if place.quick else 4)]
    loop.publisher.close()
    return min(times[1:])


def bare_ms(place: Place, batches: Dict[str, int]) -> float:
    """The engines alone, each with its batch: queued many times, waited for once."""
    times, whole = QUICK_OFTEN if place.quick else OFTEN, 0.0
    for stage, batch in batches.items():
        model, part = (DETECTOR, "main") if stage == "detector" else ("blazepose", stage)
        runner = opened(place, model, part, "fp16")
        for _ in range(2 if batch else 0):  # the first warms up
            start = time.perf_counter()
            _often(runner, batch, times)
            spent_ms = (time.perf_counter() - start) * 1e3 / times
        whole += spent_ms if batch else 0.0
        runner.close()
    return whole


def _often(runner: Any, batch: int, times: int) -> None:
    runner.feed_on_device(batch)
    for _ in range(times):
        runner.queue()
    runner.wait()
