"""What `stage_bench` measures with: a clock, networks that tell it, a crowd to look at."""

from __future__ import annotations

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import cv2
import numpy as np

from edge.errors import EdgeError
from edge.recipe import Network, load_recipe
from edge.runtime import DeviceArray
from edge.structures import Detections, Frame, Poses
from tests.device.place import Place
from tools.benches.memory import read_video
from tools.fetch.by_name import ensure_set

DETECTOR = "yolov4-tiny"
PARTS = ("body", "hand", "face")  # of blazepose
EACH = {"body": 1, "hand": 2, "face": 1}  # crops of a person
SIZE = (1920, 1080)
SHAPE = 0.6  # width of a person's tile over its height
WARM_UP = 2  # rounds
HAND_OVER, PREPROCESS, DECODE = "hand-over", "preprocess", "decode"
TRACK, PUBLISH = "track+smooth", "publish"
STAGES = (HAND_OVER, PREPROCESS, "detector", *PARTS, DECODE, TRACK, PUBLISH)


class Clock:
    """Adds up how long each stage takes in each round."""

    def __init__(self) -> None:
        self.rounds: List[Dict[str, float]] = []
        self.batches: Dict[str, int] = {}  # of each network, in the last round

    def begin(self) -> None:
        """The next round."""
        self.rounds.append({})

    def timed(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do some of a stage."""
        start = time.perf_counter()
        result = work()
        spent_ms = (time.perf_counter() - start) * 1e3
        if self.rounds:
            self.rounds[-1][stage] = self.rounds[-1].get(stage, 0.0) + spent_ms
        return result

    def medians_ms(self) -> Dict[str, float]:
        """Of all rounds after those that warm up; stages inside `models` are taken off it."""
        rounds = self.rounds[min(WARM_UP, len(self.rounds) - 1) :]
        for one in rounds:
            inside = sum(one.get(stage, 0.0) for stage in (PREPROCESS, "detector", *PARTS))
            one[DECODE] = max(one.pop("models", 0.0) - inside, 0.0)
        return {s: statistics.median(r.get(s, 0.0) for r in rounds) for s in STAGES}


class TimedCrops:
    """Fills an engine's input, waits, and tells how long that took; executes likewise."""

    def __init__(self, runner: Any, stage: str, clock: Clock) -> None:
        self._runner, self._stage, self._clock = runner, stage, clock
        self._crops = runner.crops

    def _filled(self, work: Callable[[], Any]) -> Any:
        def filled() -> Any:
            result = work()
            self._runner.stream.synchronize()
            return result

        return self._clock.timed(PREPROCESS, filled)

    def sample(self, frames: Any, which: Any, *rest: Any) -> None:
        """Of `Crops`."""
        self._clock.batches[self._stage] = len(which)
        self._filled(partial(self._crops.sample, frames, which, *rest))

    def letterbox(self, frames: Any, *rest: Any) -> Any:
        """Of `Crops`."""
        self._clock.batches[self._stage] = len(frames)
        return self._filled(partial(self._crops.letterbox, frames, *rest))

    def peaks(self, *names: Any) -> Any:
        """Of `Crops`."""
        return self._clock.timed(self._stage, partial(self._crops.peaks, *names))

    def choose(self, *wanted: Any) -> Any:
        """Of `Crops`."""
        return self._clock.timed(self._stage, partial(self._crops.choose, *wanted))


class TimedRunner:
    """A runner that tells how long it takes."""

    def __init__(self, runner: Any, stage: str, clock: Clock) -> None:
        self._runner, self._stage, self._clock = runner, stage, clock
        self.crops = TimedCrops(runner, stage, clock)

    def run(self) -> Any:
        """Of `Runner`."""
        return self._clock.timed(self._stage, self._runner.run)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


class Input:
    """Memory for a network's largest batch, and a stream: an engine, as far as kernels see one."""

    def __init__(self, device: Any, network: Network, batch: int) -> None:
        self.device, self.stream = device, device.stream()
        self.network, self.dtype = network, np.dtype(np.float16)
        self.buffer = device.buffer(batch * int(np.prod(network.sample_shape)) * 2, what="input")

    def feed_on_device(self, batch: int) -> Dict[str, DeviceArray]:
        """Where the kernel writes."""
        shape = (batch, *self.network.sample_shape)
        return {self.network.input: DeviceArray(self.buffer.pointer, shape, self.dtype)}

    def close(self) -> None:
        """Give everything back."""
        self.stream.close()
        self.buffer.close()


def networks(models: Path) -> Dict[str, Network]:
    """The detector and the parts, as their recipes say."""
    found = {"detector": load_recipe(models / DETECTOR).networks["main"]}
    body = load_recipe(models / "blazepose").networks
    return {**found, **{part: body[part] for part in PARTS}}


def crowd(place: Place, people: int) -> Tuple[np.ndarray, Detections]:
    """A picture in which someone stands again and again, and where; noise if nobody can be had."""
    columns = int(np.ceil(np.sqrt(people * SIZE[0] / SIZE[1] / SHAPE)))
    high = SIZE[1] // -(-people // columns)
    wide = min(SIZE[0] // columns, int(high * SHAPE))
    person = cv2.resize(_person(place), (wide, high), interpolation=cv2.INTER_AREA)
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    at = [(i % columns * wide, i // columns * high) for i in range(people)]
    for x, y in at:
        image[y : y + high, x : x + wide] = person
    boxes = np.array(
        [(x + 0.15 * wide, y + 0.05 * high, x + 0.85 * wide, y + 0.95 * high) for x, y in at],
        np.float32,
    )
    return image, Detections(boxes, np.full(people, 0.9, np.float32))


def _person(place: Place) -> np.ndarray:
    """Someone upright, from the recording of one person."""
    try:
        picture = read_video(ensure_set("singleperson", quiet=True) / "cam01.mp4", 1)[0]
    except EdgeError as error:
        place.say(f"          noise instead of people, so hands and faces rest: {error}")
        return np.random.default_rng(0).integers(0, 255, (400, 200, 3), np.uint8)
    return picture[280:1160, 150:680]


class Drawn:
    """In the place of models where there is no TensorRT: kernels run, networks do not.

    Every person has hands and a face; keypoints lie spread in the boxes.
    """

    def __init__(self, place: Place, device: Any, people: int, clock: Clock) -> None:
        from edge.runtime.kernels.cropper import Cropper
        from edge.runtime.kernels.staging import staging_of

        self._clock, self._stage = clock, staging_of(device)
        self._inputs: Dict[str, Input] = {}
        self._croppers: Dict[str, Any] = {}
        self.skeleton = "wholebody133"
        for name, network in networks(place.models).items():
            self._inputs[name] = Input(device, network, people * EACH.get(name, 1))
            self._croppers[name] = Cropper(self._inputs[name], self._stage)
        self._spread = np.random.default_rng(0).random((133, 2)).astype(np.float32)

    def detect(self, frames: Sequence[Frame], found: Detections) -> List[Detections]:
        """The detector's input, and what it would have found."""
        room = self._inputs["detector"]
        cut = partial(self._croppers["detector"].letterbox, frames, room.network, 114)
        self._fill("detector", cut, len(frames))
        return [found]

    def pose(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The inputs of body, hands and face, and people who stand in their boxes."""
        from edge import geometry

        one = people[0]
        for part in PARTS:
            network = self._inputs[part].network
            boxes = np.repeat(one.boxes, EACH[part], axis=0)
            turns = np.linspace(-1, 1, len(boxes))
            size = (network.width, network.height)
            maps = geometry.crop_affine(boxes, size, rotations_rad=turns)
            which = np.zeros(len(boxes), np.int64)
            cut = partial(self._croppers[part].sample, frames, which, maps, network)
            self._fill(part, cut, len(boxes))
        low, high = one.boxes[:, None, :2], one.boxes[:, None, 2:]
        scores = np.full((len(one), 133), 0.9, np.float32)
        keypoints = (low + self._spread * (high - low)).astype(np.float32)
        return [Poses(keypoints, scores, one.boxes, one.ids, scores[:, 0].copy(), self.skeleton)]

    def _fill(self, name: str, cut: Callable[[], Any], batch: int) -> None:
        self._clock.batches[name] = batch

        def work() -> None:
            cut()
            self._inputs[name].stream.synchronize()

        self._clock.timed(PREPROCESS, work)

    def close(self) -> None:
        """Give everything back."""
        for name, cropper in self._croppers.items():
            self._inputs[name].stream.synchronize()
            cropper.close()
            self._inputs[name].close()
