"""Time of the kernels on a real GPU, from call to idle, for 1 to 100 people."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Callable, List

import numpy as np

from edge import geometry
from edge.models._preprocess import crops
from edge.recipe import Network
from edge.runtime import DeviceArray
from edge.structures import Frame
from tests.device.place import Place

NEEDS = ("pycuda", "kernels")
PEOPLE = (1, 5, 20, 100)
QUICK = (1, 2)
NET = Network(file="x.engine", width=192, height=256, std=[57.0] * 3)
DETECTOR = Network(file="x.engine", width=640, height=640)
ROUNDS = 50


class Input:
    """Memory for a batch, and a stream."""

    def __init__(self, device: Any, network: Network, batch: int, dtype: Any) -> None:
        self.device, self.stream = device, device.stream()
        self.shape, self.dtype = (batch, *network.sample_shape), np.dtype(dtype)
        self.buffer = device.buffer(int(np.prod(self.shape)) * self.dtype.itemsize)

    def feed_on_device(self, batch: int) -> Any:
        return {"input": DeviceArray(self.buffer.pointer, self.shape, self.dtype)}


def median_ms(place: Place, work: Callable[[], object], wait: Callable[[], object]) -> float:
    """Of rounds that begin and end with an idle GPU; the host's share is in it."""
    times: List[float] = []
    for _ in range(1 if place.quick else ROUNDS):
        wait()
        start = time.perf_counter_ns()
        work()
        wait()
        times.append((time.perf_counter_ns() - start) * 1e-6)
    return float(np.median(times))


def bench_crops_of_a_1080p_camera(place: Place) -> None:
    """Crops 192x256 of people in NV12 and BGR frames, against OpenCV on this machine's CPU."""
    from edge.runtime._cuda.frames import PageLocked
    from edge.runtime._cuda.memory import open_device
    from edge.runtime.kernels.cropper import Cropper
    from edge.runtime.kernels.staging import StagingMemory

    device = open_device()
    memory = PageLocked(device)
    place.say("          layout  people  kernel ms  OpenCV ms (CPU)")
    for layout, shape in (("nv12", (1620, 1920)), ("bgr", (1080, 1920, 3))):
        image = memory.allocate(shape)
        image[:] = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        frame = Frame(image, 0, 0, "a", 0, memory.device_ptr(image), layout)
        for people in QUICK if place.quick else PEOPLE:
            rng = np.random.default_rng(people)
            low = rng.uniform(0, 800, (people, 2))
            boxes = np.concatenate((low, low + (150, 250)), -1).astype(np.float32)
            matrices, which = geometry.crop_affine(boxes, (192, 256)), np.zeros(people, int)
            engine = Input(device, NET, people, np.float16)
            cropper = Cropper(engine, StagingMemory(device))
            cut = partial(cropper.sample, [frame], which, matrices, NET)
            ours = median_ms(place, cut, engine.stream.synchronize)
            out = np.empty(engine.shape, np.float32)
            cut = partial(crops.sample, [frame], which, matrices, NET, out)
            opencv = median_ms(place, cut, lambda: None)
            place.say(f"          {layout:6}  {people:6}  {ours:9.3f}  {opencv:9.3f}")
            cropper.close()
            engine.stream.close()
            engine.buffer.close()
    memory.close()


def bench_letterbox_of_four_cameras(place: Place) -> None:
    """Four 1080p frames into one detector batch of 640x640."""
    from edge.runtime._cuda.frames import PageLocked
    from edge.runtime._cuda.memory import open_device
    from edge.runtime.kernels.cropper import Cropper
    from edge.runtime.kernels.staging import StagingMemory

    device = open_device()
    memory, engine = PageLocked(device), Input(device, DETECTOR, 4, np.float16)
    images = [memory.allocate((1620, 1920)) for _ in range(4)]
    frames = [
        Frame(image, 0, 0, f"cam{i}", 0, memory.device_ptr(image), "nv12")
        for i, image in enumerate(images)
    ]
    cropper = Cropper(engine, StagingMemory(device))
    fit = partial(cropper.letterbox, frames, DETECTOR, 114)
    ours = median_ms(place, fit, engine.stream.synchronize)
    place.say(f"          4 frames in one launch: {ours:.3f} ms")
    cropper.close()
    engine.stream.close()
    engine.buffer.close()
    memory.close()


def bench_simcc_peaks(place: Place) -> None:
    """133 keypoints of each person, axes of 576 and 768 bins."""
    from edge.runtime._cuda.kernel import Module
    from edge.runtime._cuda.memory import DEVICE, open_device
    from edge.runtime.kernels import cubins, decode

    device = open_device()
    stream = device.stream()
    module = Module(device, cubins.fitting(device.compute_capability))
    function = module.function("simcc_peaks")
    for people in QUICK if place.quick else PEOPLE:
        rows = people * 133
        buffers = [device.buffer(rows * n, DEVICE) for n in (576 * 2, 768 * 2, 8, 8)]
        task = decode.peaks_of(
            (buffers[0].pointer, buffers[1].pointer), (576, 768), rows, np.dtype(np.float16)
        )
        task.at, task.best = buffers[2].pointer, buffers[3].pointer
        find = partial(function.launch, *decode.peaks_shape(rows), [task], stream)
        ours = median_ms(place, find, stream.synchronize)
        less = f"{rows * 16 / 1024:.0f} KiB come back instead of {rows * 2688 / 1024:.0f}"
        place.say(f"          {people:4} people: {ours:.3f} ms; {less}")
        for buffer in buffers:
            buffer.close()
    stream.close()
    module.close()
