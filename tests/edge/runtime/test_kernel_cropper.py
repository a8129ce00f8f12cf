"""Crops on a GPU that is not there: a driver that checks lifetimes, kernels that really run."""

from __future__ import annotations

import contextlib
import gc
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import cv2
import numpy as np
import pytest

from edge import geometry
from edge.errors import InternalError, TempError, UnavailableError
from edge.models._preprocess import crops
from edge.recipe import Network
from edge.structures import Frame, Veils
from tests.fakes import kernel_cpu
from tests.fakes.cuda_fake import FakeCuda

pytestmark = pytest.mark.one_python

CUBIN = b"\x7fELF kernels"
NET = Network(file="x.onnx", width=24, height=32, std=[255.0] * 3)


class Bench(NamedTuple):
    """A fake GPU with one engine's input on it."""

    cuda: FakeCuda
    device: Any
    staging: Any
    engine: Any
    cropper: Any
    launches: List[Any]


class Input:
    """What a runner offers: memory of its own, a stream, and nothing else."""

    def __init__(self, device: Any, network: Network, dtype: Any = np.float32) -> None:
        self.device, self.stream = device, device.stream()
        self.network, self.dtype = network, np.dtype(dtype)
        self.buffer = device.buffer(64 * int(np.prod(network.sample_shape)) * self.dtype.itemsize)

    def feed_on_device(self, batch: int) -> Dict[str, Any]:
        from edge.runtime import DeviceArray

        shape = (batch, *self.network.sample_shape)
        return {"input": DeviceArray(self.buffer.pointer, shape, self.dtype)}

    def seen(self, batch: int) -> np.ndarray:
        """What the engine would read."""
        self.buffer.download(self.stream)
        self.stream.synchronize()
        return self.buffer.view((batch, *self.network.sample_shape), self.dtype)

    def close(self) -> None:
        self.stream.close()
        self.buffer.close()


@contextlib.contextmanager
def bench(network: Network = NET, dtype: Any = np.float32, **gpu: Any) -> Iterator[Bench]:
    cuda = FakeCuda(**gpu)
    cuda.kernels, launches = kernel_cpu.kernels()
    with cuda.installed():
        from edge.runtime._cuda.memory import open_device
        from edge.runtime.kernels.cropper import Cropper
        from edge.runtime.kernels.staging import StagingMemory

        device = open_device()
        staging, engine = StagingMemory(device), Input(device, network, dtype)
        cropper = Cropper(engine, staging, CUBIN)
        yield Bench(cuda, device, staging, engine, cropper, launches)
        cropper.close()
        cropper.close()
        engine.close()
        gc.collect()
        device.close()
    cuda.check()


def picture(seed: int = 0, camera: str = "a", pointer: bool = False, layout: str = "bgr") -> Frame:
    shape = {"bgr": (48, 64, 3), "nv12": (72, 64)}[layout]
    noise = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 3)
    address = image.ctypes.data if pointer else 0
    return Frame(image, 0, 0, camera, device_ptr=address, layout=layout)


def matrices(count: int) -> np.ndarray:
    low = np.random.default_rng(9).uniform(-10, 30, (count, 2))
    boxes = np.concatenate((low, low + 25), -1).astype(np.float32)
    return geometry.crop_affine(boxes, (24, 32), rotations_rad=np.linspace(-2, 2, count))


def by_opencv(frames: Any, which: Any, maps: np.ndarray, network: Network = NET) -> np.ndarray:
    out = np.zeros((len(which), *network.sample_shape), np.float32)
    crops.sample(frames, which, maps, network, out, 114)
    return out


@pytest.mark.parametrize("integrated", [True, False])
def test_the_engine_reads_what_opencv_would_have_given_it(integrated: bool) -> None:
    """Two cameras, one with memory the GPU sees; a board and a card of its own."""
    frames = [picture(1), picture(2, "b", pointer=True, layout="nv12")]
    which, maps = np.array([0, 1, 1, 0, 0]), matrices(5)
    with bench(integrated=integrated) as b:
        b.cropper.sample(frames, which, maps, NET, 114)
        ours = b.engine.seen(5).copy()
        assert len(b.launches) == 1, "one launch for all crops of all frames"
        assert b.staging.copies == 1, "of the frame that the GPU cannot see"
    off = np.abs(ours - by_opencv(frames, which, maps)) * 255
    assert off.max() < 9  # older OpenCV counts in 1/32 px
    assert off.mean() < 0.5


@pytest.mark.parametrize("integrated", [True, False])
def test_veils_lie_on_the_crops_they_were_made_for_and_no_longer(integrated: bool) -> None:
    """More of them than before, then fewer, then none."""
    frames, rng = [picture(1)], np.random.default_rng(3)
    with bench(integrated=integrated) as b:
        for count, some in ((3, 1), (9, 6), (4, 2), (3, 0)):
            which, maps = np.zeros(count, int), matrices(count)
            of_crop = np.full(count, -1, np.int32)
            of_crop[rng.permutation(count)[:some]] = np.arange(some)
            cells = rng.integers(0, 2, (some, 8, 6), np.uint8)
            veils = Veils(of_crop, cells) if some else None
            b.cropper.sample(frames, which, maps, NET, 0)
            plain = b.engine.seen(count).copy()
            b.cropper.sample(frames, which, maps, NET, 0, veils)
            pixels = np.zeros((count, 1, 32, 24), bool)
            for crop in np.flatnonzero(of_crop >= 0):
                pixels[crop] = np.kron(cells[of_crop[crop]], np.ones((4, 4))) > 0
            np.testing.assert_array_equal(b.engine.seen(count), np.where(pixels, 0, plain))
            assert pixels.any() == bool(some)


@pytest.mark.parametrize("integrated", [True, False])
def test_letterbox(integrated: bool) -> None:
    frames = [picture(1), picture(2, "b")]
    out = np.zeros((2, *NET.sample_shape), np.float32)
    wanted = crops.letterbox(frames, NET, out)
    with bench(integrated=integrated) as b:
        got = b.cropper.letterbox(frames, NET, 114)
        ours = b.engine.seen(2).copy()
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(ours, out)


def test_frames_the_gpu_sees_are_read_where_they_lie() -> None:
    """The address that was filled is the one read; the address written is the engine's input."""
    frames = [picture(1, pointer=True), picture(2, "b", pointer=True)]
    with bench() as b:
        for _ in range(3):
            b.cropper.sample(frames, np.array([1, 0]), matrices(2), NET)
            table = b.cropper._table.view((2,), np.uint8)  # keeps it alive
            assert table is not None
            b.engine.stream.synchronize()
        target = b.launches[-1]
        assert target.data == b.engine.buffer.pointer == b.engine.buffer.host.ctypes.data
        rows = b.cropper._table.host[:160].view(np.uint64).reshape(2, 10)
        assert rows[:, 0].tolist() == [frames[1].image.ctypes.data, frames[0].image.ctypes.data]
        assert b.staging.copies == 0
        assert b.device.host_copies == 0, "nothing is copied on a board"
        assert b.cuda.calls.get("cuMemcpyHtoDAsync", 0) == 0


def test_nothing_is_allocated_in_the_steady_state() -> None:
    with bench() as b:
        frames = [picture(1), picture(2, "b")]
        for count in (5, 3, 7, 6):
            b.cropper.sample(frames, np.arange(count) % 2, matrices(count), NET)
            b.engine.stream.synchronize()
        before = b.cuda.calls["cuMemHostAlloc"]
        for seed in range(5):
            frames = [picture(seed), picture(seed + 10, "b")]
            b.cropper.sample(frames, np.arange(7) % 2, matrices(7), NET)
            b.engine.stream.synchronize()
        assert b.cuda.calls["cuMemHostAlloc"] == before
        assert b.staging.copies == 2 + 2 * 5, "each frame once"


def test_a_frame_is_copied_once_for_all_networks() -> None:
    with bench() as b:
        from edge.runtime.kernels.cropper import Cropper

        other = Input(b.device, NET)
        second = Cropper(other, b.staging, CUBIN)
        frame = picture(1)
        for cropper, engine in ((b.cropper, b.engine), (second, other)):
            cropper.sample([frame], np.zeros(1, int), matrices(1), NET)
            engine.stream.synchronize()
        assert b.staging.copies == 1
        second.close()
        other.close()
        b.cropper.sample([frame], np.zeros(1, int), matrices(1), NET)  # still there
        assert b.staging.copies == 1
        b.engine.stream.synchronize()


def test_frames_of_one_camera_in_one_batch_stay_apart() -> None:
    """Offline tools look at many frames of a camera at once."""
    frames = [picture(i) for i in range(4)]
    which, maps = np.arange(4), np.repeat(matrices(1), 4, 0)
    with bench() as b:
        b.cropper.sample(frames, which, maps, NET, 114)
        ours = b.engine.seen(4).copy()
    off = np.abs(ours - by_opencv(frames, which, maps)) * 255
    assert off.max() < 9


def test_the_table_is_not_written_while_it_is_read() -> None:
    """Two launches in a row without a wait: the first one's crops are its own."""
    frame, maps = picture(1), matrices(2)
    with bench() as b:
        b.cropper.sample([frame], np.zeros(2, int), maps, NET, 114)
        first = b.engine.buffer.host  # on a board the GPU writes here
        b.cropper.sample([frame], np.zeros(1, int), maps[1:], NET, 114)
        ours = b.engine.seen(1).copy()
        assert len(b.launches) == 2
        assert first is not None
    assert np.abs(ours - by_opencv([frame], np.zeros(1, int), maps[1:])).max() * 255 < 9


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.uint8])
def test_the_engines_own_type_is_written(dtype: Any) -> None:
    frame, net = picture(1), Network(file="x.onnx", width=24, height=32)
    with bench(net, dtype) as b:
        b.cropper.sample([frame], np.zeros(1, int), matrices(1), net, 114)
        ours = b.engine.seen(1).astype(np.float32)
    wanted = by_opencv([frame], np.zeros(1, int), matrices(1), net)
    assert np.abs(ours - wanted).max() < 9


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_batch_launches_nothing(count: int) -> None:
    with bench() as b:
        frames = [picture()][:count]
        b.cropper.sample(frames, np.zeros(0, int), np.zeros((0, 2, 3)), NET)
        assert b.cropper.letterbox([], NET, 114).shape == (0, 2, 3)
        assert not b.launches


def test_what_cannot_be_done_is_said() -> None:
    with bench() as b:
        flipped = Frame(picture().image[:, ::-1], 0, 0, "door")
        with pytest.raises(InternalError, match="door: an image with strides"):
            b.cropper.sample([flipped], np.zeros(1, int), matrices(1), NET)
        odd = Network(file="x.onnx", width=24, height=32, input="picture")
        with pytest.raises(InternalError, match=r"x\.onnx: the engine has no input 'picture'"):
            b.cropper.sample([picture()], np.zeros(1, int), matrices(1), odd)


@pytest.mark.parametrize("arch", [(8, 7), (3, 5)])
def test_a_gpu_without_kernels_is_told_how_to_get_them(arch: Any, tmp_path: Any) -> None:
    from unittest import mock

    cuda: Optional[FakeCuda] = FakeCuda(compute_capability=arch)
    assert cuda is not None
    with cuda.installed():
        from edge.runtime._cuda.memory import open_device
        from edge.runtime.kernels import cubins
        from edge.runtime.kernels.cropper import Cropper
        from edge.runtime.kernels.staging import StagingMemory

        device = open_device()
        engine = Input(device, NET)
        number = arch[0] * 10 + arch[1]
        with mock.patch.object(cubins.fitting, "__defaults__", (tmp_path,)), pytest.raises(
            UnavailableError, match=f"edge-tools kernels --arch {number}"
        ):
            Cropper(engine, StagingMemory(device))
        engine.close()
        device.close()
    cuda.check()


@pytest.mark.parametrize("integrated", [True, False])
def test_an_engine_that_cannot_be_fed_leaves_nothing_queued(integrated: bool) -> None:
    """The next, larger veils free the buffer of those before."""
    maps, frames = matrices(9), [picture(1)]

    def cut(count: int) -> None:
        cells = np.ones((count, 8, 6), np.uint8)
        veils = Veils(np.arange(count, dtype=np.int32), cells)
        b.cropper.sample(frames, np.zeros(count, int), maps[:count], NET, 0, veils)

    def full(batch: int) -> Any:
        raise TempError("no memory left")

    with bench(integrated=integrated) as b:
        cut(1)
        feed = b.engine.feed_on_device
        b.engine.feed_on_device = full  # type: ignore[method-assign]
        with pytest.raises(TempError):
            cut(2)
        b.engine.feed_on_device = feed  # type: ignore[method-assign]
        cut(9)
        assert not b.engine.seen(9).any(), "all is hidden"
