"""The kernels on a real GPU: the same bits as their CPU build, and what NumPy says."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge import geometry
from edge.models._preprocess import crops as preprocess
from edge.models._preprocess import veil
from edge.recipe import Network
from edge.runtime import DeviceArray
from edge.structures import LAYOUTS, Frame, Veils
from tests.device.place import Place
from tests.fakes import crop_reference, kernel_cpu

NEEDS = ("pycuda", "kernels")
SIZE = (96, 128)
NET = Network(file="x.engine", width=SIZE[0], height=SIZE[1], mean=[10.0] * 3, std=[57.0] * 3)


class Input:
    """What a runner offers a kernel: memory and a stream."""

    def __init__(self, device: Any, dtype: Any, batch: int) -> None:
        self.device, self.stream = device, device.stream()
        self.dtype, self.shape = np.dtype(dtype), (batch, *NET.sample_shape)
        self.buffer = device.buffer(int(np.prod(self.shape)) * self.dtype.itemsize)

    def feed_on_device(self, batch: int) -> Any:
        return {"input": DeviceArray(self.buffer.pointer, self.shape, self.dtype)}

    def seen(self) -> np.ndarray:
        self.buffer.download(self.stream)
        self.stream.synchronize()
        return self.buffer.view(self.shape, self.dtype).copy()

    def close(self) -> None:
        self.stream.close()
        self.buffer.close()


def frames(camera: str = "") -> List[Frame]:
    """One of each format, of noise."""
    found = []
    for i, layout in enumerate(LAYOUTS):
        rng = np.random.default_rng(i)
        width, height = 640 + 2 * i, 360
        shapes: Dict[str, Tuple[int, ...]] = {
            "nv12": (height * 3 // 2, width),
            "yuyv": (height, width, 2),
            "gray": (height, width),
        }
        shape = shapes.get(layout, (height, width, 3))
        image = rng.integers(0, 256, shape, np.uint8)
        found.append(Frame(image, i, 0, f"{camera}{layout}", layout=layout))
    return found


def crops(count: int) -> Tuple[np.ndarray, np.ndarray]:
    """Which frame and which matrix: in it, half out of it, turned."""
    rng = np.random.default_rng(9)
    low = rng.uniform(-100, 500, (count, 2))
    boxes = np.concatenate((low, low + rng.uniform(20, 300, (count, 2))), -1).astype(np.float32)
    turns = rng.uniform(-3, 3, count)
    matrices = geometry.crop_affine(boxes, SIZE, rotations_rad=turns)
    return rng.integers(0, len(LAYOUTS), count), matrices


def cut(
    device: Any, count: int, dtype: Any, veils: Optional[Veils] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """A batch of crops by the GPU and by the CPU build."""
    from edge.runtime.kernels.cropper import Cropper
    from edge.runtime.kernels.staging import StagingMemory

    engine = Input(device, dtype, count)
    cropper = Cropper(engine, StagingMemory(device))
    which, matrices = crops(count)
    cropper.sample(frames(), which, matrices, NET, 114, veils)
    ours = engine.seen()
    cropper.close()
    engine.close()
    return ours, kernel_cpu.sampled(frames(), which, matrices, NET, dtype, 114, veils)


def check_crops_are_the_cpu_builds_bit_for_bit(place: Place) -> None:
    """All formats and output types; both compilers are told where to fuse."""
    from edge.runtime._cuda.memory import open_device

    for count in (1,) if place.quick else (1, 64):
        for dtype in (np.float32, np.float16, np.int8, np.uint8, np.int32):
            ours, cpu = cut(open_device(), count, dtype)
            differ = int((ours != cpu).sum())
            place.say(
                f"          {count} crops, {np.dtype(dtype).name}: "
                f"{differ} of {ours.size} numbers differ from the CPU build"
            )
            apart = np.abs(ours.astype(np.float64) - cpu).max() * 57
            assert differ <= 1e-4 * ours.size, "more than roundings"
            assert apart <= 58


def check_veils_hide_the_same_pixels_as_on_the_cpu(place: Place) -> None:
    """Half of the crops have one; where it hides, they have the border's value."""
    from edge.runtime._cuda.memory import open_device

    count, rng = 8, np.random.default_rng(4)
    of_crop = np.where(np.arange(count) % 2, np.arange(count) // 2, -1).astype(np.int32)
    cells = rng.integers(0, 2, veil.blank(count // 2, SIZE).shape, np.uint8)
    ours, cpu = cut(open_device(), count, np.uint8, Veils(of_crop, cells))
    differ = int((ours != cpu).sum())
    place.say(f"          {differ} of {ours.size} numbers differ from the CPU build")
    assert differ <= 1e-4 * ours.size, "more than roundings"


def check_crops_are_those_of_numpy(place: Place) -> None:
    """Float64 from the definitions: whole grey values, off by half a one."""
    from edge.runtime._cuda.memory import open_device

    count = 4 if place.quick else 64
    ours, _ = cut(open_device(), count, np.float32)
    which, matrices = crops(count)
    given = frames()
    worst = 0.0
    for one, frame, matrix in zip(ours, which, matrices):
        exact = crop_reference.cropped(given[frame], matrix, NET, 114)
        error = np.abs(one - crop_reference.normalised(exact, NET)) * 57
        worst = max(worst, float(error.max()))
    place.say(f"          largest error {worst:.3f} grey values of 255, rounding included")
    assert worst <= 0.6, f"off by {worst:.2f} grey values"


def check_whole_frames_are_those_of_opencv(place: Place) -> None:
    """Every number of a detector's input, in every format."""
    from edge.runtime._cuda.memory import open_device
    from edge.runtime.kernels.cropper import Cropper
    from edge.runtime.kernels.staging import StagingMemory

    given = frames("whole ")
    engine = Input(open_device(), np.float32, len(given))
    cropper = Cropper(engine, StagingMemory(engine.device))
    matrices = cropper.letterbox(given, NET, 114)
    ours, opencv = engine.seen(), np.zeros(engine.shape, np.float32)
    np.testing.assert_array_equal(matrices, preprocess.letterbox(given, NET, opencv, 114))
    np.testing.assert_array_equal(ours, opencv)
    cropper.close()
    engine.close()


def check_frames_the_gpu_sees_are_not_copied(place: Place) -> None:
    """Page-locked frames are read in place."""
    from edge.runtime._cuda.frames import PageLocked
    from edge.runtime._cuda.memory import open_device
    from edge.runtime.kernels.cropper import Cropper
    from edge.runtime.kernels.staging import StagingMemory

    device = open_device()
    memory, engine, staging = (
        PageLocked(device),
        Input(device, np.float32, 1),
        StagingMemory(device),
    )
    cropper = Cropper(engine, staging)
    image = memory.allocate((360, 640, 3))
    matrix = crops(1)[1]
    for seed in range(3):
        image[:] = np.random.default_rng(seed).integers(0, 256, image.shape, np.uint8)
        frame = Frame(image, 0, 0, "a", device_ptr=memory.device_ptr(image))
        cropper.sample([frame], np.zeros(1, int), matrix, NET)
        wanted = kernel_cpu.sampled([frame], [0], matrix, NET)
        assert (np.abs(engine.seen() - wanted) > 1e-4).mean() < 1e-4, "an old frame was read"
    assert staging.copies == 0
    cropper.close()
    engine.close()
    memory.close()


def launched(name: str, task: Any, shape: Any, arrays: List[np.ndarray]) -> None:
    """Run a kernel over results in `arrays`, which come back filled."""
    from edge.runtime._cuda.kernel import Module
    from edge.runtime._cuda.memory import open_device
    from edge.runtime.kernels import cubins

    device = open_device()
    stream, module = device.stream(), Module(device, cubins.fitting(device.compute_capability))
    module.function(name).launch(*shape, [task], stream)  # type: ignore[call-arg]
    stream.synchronize()
    stream.close()
    module.close()


def on_gpu(array: np.ndarray) -> Any:
    """A buffer with an array's bytes in it, both sides alike."""
    from edge.runtime._cuda.memory import open_device

    device = open_device()
    stream, buffer = device.stream(), device.buffer(max(array.nbytes, 1))
    buffer.view(array.shape, array.dtype)[:] = array
    buffer.upload(stream)
    stream.synchronize()
    stream.close()
    return buffer


def back(buffer: Any, like: np.ndarray) -> np.ndarray:
    """What the GPU made of it."""
    from edge.runtime._cuda.memory import open_device

    stream = open_device().stream()
    buffer.download(stream)
    stream.synchronize()
    stream.close()
    found = np.array(buffer.view(like.shape, like.dtype))
    buffer.close()
    return found


def check_peaks_against_numpy(place: Place) -> None:
    """SimCC maxima, ties and what is no number included."""
    from edge.runtime.kernels import decode

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float16):
        axes = [np.round(rng.standard_normal((64 * 133, n)), 1).astype(dtype) for n in (576, 768)]
        axes[0][5, 7:9] = np.nan
        inputs = [on_gpu(a) for a in axes]
        rows = len(axes[0])
        at, best = np.zeros((rows, 2), np.int32), np.zeros((rows, 2), np.float32)
        near = np.zeros((rows, 2, 39), np.float32)
        outs = [on_gpu(at), on_gpu(best), on_gpu(near)]
        task = decode.peaks_of(
            (inputs[0].pointer, inputs[1].pointer), (576, 768), rows, np.dtype(dtype), reach=19
        )
        task.at, task.best, task.near = (out.pointer for out in outs)
        launched("simcc_peaks", task, decode.peaks_shape(rows), [at, best])
        at, best, near = back(outs[0], at), back(outs[1], best), back(outs[2], near)
        for i, axis in enumerate(axes):
            around = axis.argmax(-1)[:, None] + np.arange(39)
            wide = np.pad(axis, ((0, 0), (19, 19)))
            np.testing.assert_array_equal(near[:, i], np.take_along_axis(wide, around, -1))
            np.testing.assert_array_equal(at[:, i], axis.argmax(-1))
            np.testing.assert_array_equal(
                best[:, i], np.take_along_axis(axis, at[:, i, None].astype(np.int64), -1)[:, 0]
            )
            inputs[i].close()


def check_choice_against_its_cpu_build(place: Place) -> None:
    """Candidates of a detector: fewer than there is room for, more, and all alike."""
    from edge.runtime.kernels import decode

    rng = np.random.default_rng(1)
    for most, alike in ((4000, False), (50, False), (50, True)):
        table = rng.random((4, 8400, 6)).astype(np.float32)
        if alike:
            table[..., 4:] = 0.9
        rows = decode.Rows.of_table("x", 8400, 6, score=4, factor=5)
        shapes = [
            ((4, 2), np.int32),
            ((4, most), np.int32),
            ((4, most), np.float32),
            ((4, most, 4), np.float32),
        ]
        results = []
        for where in ("gpu", "cpu"):
            arrays: List[Any] = [np.zeros(s, d) for s, d in shapes]
            given = on_gpu(table) if where == "gpu" else None
            outs = [on_gpu(a) for a in arrays] if where == "gpu" else []
            data = given.pointer if given is not None else table.ctypes.data
            task = decode.choice_of(rows, {"x": data}, 4, table.dtype, 0.7)
            task.most = most
            places = [o.pointer for o in outs] or [a.ctypes.data for a in arrays]
            task.found, task.rows_at, task.scores, task.boxes = places
            if where == "gpu":
                launched("choose", task, decode.choice_shape(4), arrays)
                arrays = [back(o, a) for o, a in zip(outs, arrays)]
                given.close()
            else:
                kernel_cpu.launch("choose", bytes(task))
            results.append(arrays)
        for ours, cpu in zip(*results):
            np.testing.assert_array_equal(ours, cpu)
