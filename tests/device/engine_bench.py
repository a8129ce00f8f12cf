"""How long each stage takes for 1, 5, 20 and 100 people, and how near the loop is to its engines.

Medians of rounds in which all stages take their turns; GPU work is waited for where a row ends, so
the rows add up. "Bare" is the engines alone, queued one after the other without waiting between
executions: no loop can be faster. The share of it that the loop reaches is the figure that counts.
"""

from __future__ import annotations

import statistics
import time
from functools import partial
from typing import Any, Callable, Dict

import numpy as np

from edge.assemble import Models
from edge.config import Config, build, complete
from edge.errors import EdgeError
from edge.structures import Detections, Frame, Poses
from tests.device.engine_checks import opened
from tests.device.place import Place
from tools.benches.memory import read_video
from tools.get import ensure_set

NEEDS = ("pycuda", "tensorrt")
PEOPLE = (1, 5, 20, 100)
DETECTOR = "yolov4-tiny"
PARTS = ("body", "hand", "face")  # of blazepose


def picture(place: Place) -> np.ndarray:
    """A street with people in it; noise where the recording cannot be had, in which nobody is."""
    try:
        return read_video(ensure_set("multiperson", quiet=True) / "cam01.mp4", 1)[0]
    except EdgeError as error:
        place.say(f"          noise instead of people, so hands and faces rest: {error}")
        return np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)


def crowd(found: Detections, people: int) -> Poses:
    """So many candidates: who was found, again and again."""
    boxes = found.boxes if len(found) else np.array([[100, 100, 500, 1000]], np.float32)
    again = np.arange(people) % len(boxes)
    many = Detections(boxes[again], np.full(people, 0.9, np.float32))
    return Poses.of_boxes(many, 133, "wholebody133")


def median_ms(work: Callable[[], Any], rounds: int) -> float:
    """Of so many rounds after two that warm up."""
    times = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[2:])


def models_of(place: Place, precision: str) -> Models:
    """The daemon's own, on engines that are built now if need be."""
    for part in PARTS:
        opened(place, "blazepose", part, precision).close()
    opened(place, DETECTOR, "main", precision).close()
    table: Dict[str, Any] = {
        "models": {"dir": str(place.models)},
        "runtime": {"prefer": "engine", "precision": precision},
        "detect": {"model": DETECTOR, "max_people": 100},
    }
    return Models(complete(build(Config, table)))


def bare_ms(place: Place, precision: str, batches: Dict[str, int]) -> float:
    """The engines alone, each with its batch: queued many times, waited for once."""
    times, rounds = 1 if place.quick else 20, 1 if place.quick else 10
    whole = 0.0
    for part, batch in batches.items():
        runner = opened(place, "blazepose", part, precision)
        whole += median_ms(partial(_often, runner, batch, times), rounds) / times if batch else 0
        runner.close()
    return whole


def _often(runner: Any, batch: int, times: int) -> None:
    runner.feed_on_device(batch)
    for _ in range(times):
        runner.queue()
    runner.wait()


def executed(models: Models, work: Callable[[], Any]) -> Dict[str, int]:
    """Batch of each part in one call: what the loop really asked for."""
    runners: Dict[str, Any] = {part: models.runners[f"blazepose/{part}"] for part in PARTS}
    for runner in runners.values():
        runner.feed(0)
    work()
    return {part: int(runner._batch) for part, runner in runners.items()}


def bench_stages(place: Place) -> None:
    """The table, for FP16."""
    models = models_of(place, "fp16")
    frame = Frame(picture(place), 0, 0, "bench")
    rounds = 1 if place.quick else 30
    detect = median_ms(lambda: models.detect([frame]), rounds)
    place.say(f"          detector {detect:.2f} ms a frame")
    place.say("          people  body/hand/face    loop ms    bare ms   share")
    for people in (1, 3) if place.quick else PEOPLE:
        look = partial(models.pose, [frame], [crowd(models.detect([frame])[0], people)])
        batches = executed(models, look)
        loop, bare = median_ms(look, rounds), bare_ms(place, "fp16", batches)
        counts = "/".join(str(batches[part]) for part in PARTS)
        share = 100 * bare / loop
        place.say(
            f"          {people:>6}  {counts:>14}  {loop:>9.2f}  {bare:>9.2f}  {share:>6.1f} %"
        )
    runner: Any = next(iter(models.runners.values()))
    place.say(f"          {runner.device.host_copies} copies host <-> GPU in all")
    models.close()
