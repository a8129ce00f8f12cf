"""Memory that host and GPU share, on a fake driver that punishes what a real one would."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Iterator
from unittest import mock

import numpy as np
import pytest

from edge.errors import InternalError, TempError, UnavailableError
from tests.fakes.cuda_fake import FRESH, FakeCuda, LogicError

CUBIN = b"\x7fELF and so on"


@pytest.fixture(params=["integrated", "discrete"])
def cuda(request: Any) -> Iterator[FakeCuda]:
    fake = FakeCuda(integrated=request.param == "integrated")
    with fake.installed():
        yield fake
        memory().open_device().close()
        fake.check()
        assert fake.retained == 0


def memory() -> Any:
    from edge.runtime._cuda import memory as cuda_memory

    return cuda_memory


def load(device: Any, cubin: bytes, what: str = "kernels") -> Any:
    from edge.runtime._cuda.kernel import Module

    return Module(device, cubin, what)


def test_a_device_is_opened_once(cuda: FakeCuda) -> None:
    device = memory().open_device()
    assert memory().open_device() is device
    assert (device.name, device.compute_capability) == ("Orin", (8, 7))
    assert device.zero_copy == cuda.integrated
    assert cuda.retained == 1


def test_a_buffer_is_the_same_memory_or_a_copy_that_is_counted(cuda: FakeCuda) -> None:
    device = memory().open_device()
    buffer, stream = device.buffer(6 * 4), device.stream()
    view = buffer.view((2, 3), np.float32)
    assert (view.ctypes.data == buffer.pointer) == cuda.integrated
    view[:] = 7
    buffer.upload(stream)
    stream.synchronize()
    seen = cuda.memory(buffer.pointer, 24).view(np.float32)
    assert (seen == 7).all()
    seen[:] = 8
    buffer.download(stream)
    if not cuda.integrated:
        assert (view == 7).all(), "nothing arrives before somebody waits"
    stream.synchronize()
    assert (view == 8).all()
    assert device.host_copies == (0 if cuda.integrated else 2)
    stream.close()
    buffer.close()


def test_parts_are_copied_to_their_place(cuda: FakeCuda) -> None:
    device = memory().open_device()
    buffer, stream = device.buffer(64, memory().PAIR), device.stream()
    buffer.host[:] = np.arange(64)
    buffer.upload(stream, 16, start=32)
    stream.synchronize()
    there = cuda.memory(buffer.pointer, 64)
    assert (there[32:48] == np.arange(32, 48)).all()
    assert (there[:32] == FRESH).all()
    with pytest.raises(InternalError, match="bytes 60 to 70 of 64"):
        buffer.download(stream, 10, start=60)
    stream.close()
    buffer.close()


def test_memory_of_the_device_alone_has_no_view(cuda: FakeCuda) -> None:
    device = memory().open_device()
    buffer = device.buffer(100, memory().DEVICE, "scratch")
    assert buffer.host is None
    with pytest.raises(InternalError, match="scratch: was closed, or the host has no view"):
        buffer.view((100,), np.uint8)
    buffer.close()


def test_close_may_be_called_twice_and_voids(cuda: FakeCuda) -> None:
    device = memory().open_device()
    buffer, stream = device.buffer(0), device.stream()
    module = load(device, CUBIN)
    for thing in (buffer, stream, module) * 2:
        thing.close()
    assert (buffer.host, buffer.pointer, stream.number) == (None, 0, 0)
    with pytest.raises(InternalError, match="was closed"):
        buffer.view((0,), np.uint8)


def test_any_thread_may_use_and_free(cuda: FakeCuda) -> None:
    device = memory().open_device()
    buffer, stream = device.buffer(8), device.stream()

    def work() -> None:
        buffer.upload(stream)
        stream.synchronize()
        buffer.close()
        stream.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(cuda.stacks) == 2
    assert not any(cuda.stacks.values())


def test_no_room_is_one_line_and_leaks_nothing(cuda: FakeCuda) -> None:
    device = memory().open_device()
    with pytest.raises(TempError, match=r"the ring: Orin: out of GPU memory .*lower runtime"):
        device.buffer(2 << 30, what="the ring")
    cuda.fail["cuMemAlloc"] = "out of memory"
    with pytest.raises(TempError, match="out of GPU memory"):
        device.buffer(8, memory().PAIR)  # the host's half was there already
    cuda.fail.clear()
    assert cuda.live_bytes() == 0


def test_what_the_driver_says_is_one_line(cuda: FakeCuda) -> None:
    stream = memory().open_device().stream()
    cuda.fail["cuStreamSynchronize"] = "an illegal memory access was encountered\nand more"
    with pytest.raises(TempError, match="illegal memory access") as caught:
        stream.synchronize()
    assert "\n" not in str(caught.value)
    del caught  # its frames keep the fake's stream
    stream.close()


def test_a_stream_waits_for_another(cuda: FakeCuda) -> None:
    device = memory().open_device()
    first, second, order = device.stream(), device.stream(), []
    cuda.kernels["a"] = lambda grid, block, args: order.append("a")
    cuda.kernels["b"] = lambda grid, block, args: order.append("b")
    module = load(device, CUBIN)
    module.function("a").launch((1,), (32,), [], first)
    second.wait_for(first)
    module.function("b").launch((1,), (32,), [], second)
    second.synchronize()
    assert order == ["a", "b"]
    for thing in (first, second, module):
        thing.close()


class Place(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint64), ("y", ctypes.c_float)]


def test_a_kernel_gets_its_arguments_by_value(cuda: FakeCuda) -> None:
    device, got = memory().open_device(), []
    cuda.kernels["k"] = lambda grid, block, args: got.extend([grid, block, args])
    module, stream, place = load(device, CUBIN), device.stream(), Place(3, 0.5)
    module.function("k").launch((4, 2), (32, 8), [place, np.uint64(5), np.float32(1.5)], stream)
    place.x = 99
    stream.synchronize()
    grid, block, args = got
    assert (grid, block) == ((4, 2, 1), (32, 8, 1))
    assert Place.from_buffer_copy(args[0].tobytes()).x == 3
    assert [a.dtype.char for a in args[1:]] == [np.dtype(np.uint64).char, "f"]
    with pytest.raises(InternalError, match="not int"):
        module.function("k").launch((1,), (1,), [5], stream)
    with pytest.raises(TempError, match=r"kernel k: Orin: CUDA failed: .*too many threads"):
        module.function("k").launch((1,), (2048,), [], stream)
    stream.close()
    module.close()


def test_kernels_of_another_machine_are_refused(cuda: FakeCuda) -> None:
    device = memory().open_device()
    with pytest.raises(TempError, match=r"crop: Orin: CUDA failed: .*image is invalid"):
        load(device, b"MZ", "crop")
    module = load(device, CUBIN, "crop")
    with pytest.raises(TempError, match=r"crop: warp: .*symbol not found"):
        module.function("warp")
    module.close()


def test_without_a_driver() -> None:
    with FakeCuda(driver=False).installed(), pytest.raises(
        UnavailableError, match=r"gives no GPU: cuInit failed.*edge doctor"
    ):
        memory().open_device()


def test_a_gpu_that_is_not_there() -> None:
    with FakeCuda(gpus=1).installed(), pytest.raises(UnavailableError, match="no GPU 3:"):
        memory().open_device(3)


@pytest.mark.parametrize(
    ("driver", "words"),
    [(None, "PyCUDA cannot be imported.*pip install"), (OSError("no file"), "no NVIDIA driver")],
)
def test_without_pycuda(driver: Any, words: str) -> None:
    """Whoever has no GPU is not told to install what would not help."""
    loads = mock.patch.object(ctypes, "CDLL", side_effect=driver)
    without = FakeCuda().installed(**{"pycuda": None, "pycuda.driver": None})
    with without, loads, pytest.raises(UnavailableError, match=words):
        memory()
    with FakeCuda().installed():
        assert memory().open_device().name == "Orin"
        memory().open_device().close()


def test_the_fake_punishes(cuda: FakeCuda) -> None:
    """What it says of a sound program is worth nothing otherwise."""
    device = memory().open_device()
    buffer, stream = device.buffer(64, memory().PAIR), device.stream()
    address = buffer.pointer
    buffer.upload(stream)
    with pytest.raises(TempError, match="freed while cuMemcpyHtoDAsync is queued"):
        buffer.close()
    assert len(cuda.faults) == 1
    stream.close()
    buffer.close()
    with pytest.raises(LogicError, match="used after free"):
        cuda.memory(address, 64)
    other = device.buffer(16)
    with pytest.raises(AssertionError):
        cuda.check()
    other.close()
    assert len(cuda.faults) == 2
    cuda.faults.clear()
