"""Camera memory that the GPU reads in place: allocation, drivers' buffers, and the whole way."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import sys
from typing import Any, Iterator, Tuple
from unittest import mock

import numpy as np
import pytest

from edge.capture._ring import Ring
from edge.errors import UnavailableError
from edge.runtime._frames import frame_memory
from tests.fakes.cuda_fake import FakeCuda
from tests.fakes.egl_fake import BASE, FIRST_IMAGE, FakeEgl


@contextlib.contextmanager
def locked(**gpu: Any) -> Iterator[Tuple[Any, FakeCuda, FakeEgl]]:
    cuda, egl = FakeCuda(**gpu), FakeEgl()
    with cuda.installed():
        from edge.runtime._cuda import egl as cuda_egl
        from edge.runtime._cuda.frames import PageLocked
        from edge.runtime._cuda.memory import open_device

        found, true_library = egl.libraries(), cuda_egl._library
        with mock.patch.object(cuda_egl, "_library", found.__getitem__):
            memory = PageLocked(open_device())
            memory.true_library = true_library  # type: ignore[attr-defined]
            yield memory, cuda, egl
            memory.close()
            memory.close()
        gc.collect()
        open_device().close()
    cuda.check()
    egl.check()


@pytest.mark.parametrize("integrated", [True, False])
def test_rings_live_in_memory_that_both_sides_see(integrated: bool) -> None:
    with locked(integrated=integrated) as (memory, cuda, _):
        ring = Ring(5, True, memory)
        for _ in range(8):
            slot = ring.acquire(0)
            assert slot is not None
            image = slot.shape_to((48, 64, 3), ring.memory)
            image[:] = 7
            assert slot.device_ptr == image.ctypes.data  # as this driver maps it
            assert (cuda.memory(slot.device_ptr, image.nbytes) == 7).all()
            assert slot.device_ptr % 4096 == 0
            ring.publish(slot)
            taken = ring.take()
            assert taken is slot
            ring.release(slot)
        assert cuda.calls["cuMemHostAlloc"] == 1, "the same slot went round"
        assert memory.device.host_copies == 0


def test_memory_of_another_size_is_given_back() -> None:
    with locked() as (memory, cuda, _):
        first = memory.allocate((48, 64, 3))
        inner = first[1:]
        assert memory.device_ptr(inner) == 0, "only what begins where it was given"
        memory.free(np.zeros(9, np.uint8))
        assert cuda.live_bytes() == first.nbytes
        memory.free(first)
        assert cuda.live_bytes() == 0


def test_buffers_of_drivers_come_to_the_gpu_as_bytes() -> None:
    with locked() as (memory, _, egl):
        imports = [memory.import_dmabuf(50 + i, 1280, 1080) for i in range(3)]
        assert [i.pointer for i in imports] == [BASE + FIRST_IMAGE + n for n in (1, 2, 3)]
        for fd, attributes in zip((50, 51, 52), egl.images.values()):
            assert attributes == {
                0x3057: 1280,
                0x3056: 1080,
                0x3271: 0x20203852,
                0x3272: fd,
                0x3273: 0,
                0x3274: 1280,
            }
        for one in imports:
            one.close()
            one.close()
            assert one.pointer == 0
        egl.check()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"display": None}, "gives no display: EGL error 0x3004"),
        ({"extensions": []}, "has no eglCreateImageKHR"),
        ({"takes": False}, "EGL refuses the camera's buffer: EGL error 0x3004"),
        ({"codes": {"register": 801}}, "cuGraphicsEGLRegisterImage failed with CUDA error 801"),
        ({"codes": {"frame": 1}}, "GetMappedEglFrame failed with CUDA error 1"),
        ({"frame_type": 0}, "CUDA sees the camera's buffer with rows of 1280 bytes"),
        ({"pitch": 2048}, "with rows of 2048 bytes, not 1280"),
    ],
)
def test_refusals_are_one_line_and_leak_nothing(setting: Any, words: str) -> None:
    with locked() as (memory, _, egl):
        for name, value in setting.items():
            setattr(egl, name, value)
        for _ in range(2):
            with pytest.raises(UnavailableError, match=words) as caught:
                memory.import_dmabuf(50, 1280, 1080)
            assert "\n" not in str(caught.value)
        egl.check()


def test_a_machine_without_egl() -> None:
    with locked() as (memory, _, _):
        from edge.runtime._cuda import egl as cuda_egl

        loads = mock.patch.object(ctypes, "CDLL", side_effect=OSError("no file"))
        with mock.patch.object(cuda_egl, "_library", memory.true_library), loads, pytest.raises(
            UnavailableError, match=r"no libEGL\.so\.1 here"
        ):
            memory.import_dmabuf(50, 1280, 1080)


def test_a_card_that_cannot_read_the_hosts_memory() -> None:
    cuda = FakeCuda(can_map=False, integrated=False)
    with cuda.installed(tensorrt=mock.Mock(__spec__=mock.Mock())):
        assert frame_memory("auto") is None
        from edge.runtime._cuda.memory import open_device

        open_device().close()
    cuda.check()


def test_which_memory_a_machine_has(caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    with mock.patch.dict(sys.modules, {"tensorrt": None}):
        assert frame_memory("auto") is None, "ONNX Runtime alone"
    cuda = FakeCuda()
    with cuda.installed(tensorrt=mock.Mock(__spec__=mock.Mock())):
        assert frame_memory("onnx") is None
        memory = frame_memory("auto")
        assert memory is not None
        assert "page-locked memory that the GPU reads in place (Orin)" in caplog.text
        memory.close()
        memory.device.close()
    cuda.check()
    broken = FakeCuda(driver=False)
    with broken.installed(tensorrt=mock.Mock(__spec__=mock.Mock())):
        assert frame_memory("engine") is None
    assert "camera frames in plain memory: the NVIDIA driver gives no GPU" in caplog.text
