"""Memory, streams and errors through PyCUDA on a real driver."""

from __future__ import annotations

import threading
from typing import List

import numpy as np
import pytest

from edge.errors import TempError
from tests.device.place import Place

NEEDS = ("pycuda",)
MB = 1 << 20


def check_a_buffer_has_two_sides(place: Place) -> None:
    """What the host wrote comes back after a round through the GPU's memory."""
    from edge.runtime._cuda.memory import DEVICE, MAPPED, PAIR, open_device

    device = open_device()
    stream, far = device.stream(), device.buffer(MB, DEVICE)
    for kind in [PAIR] + ([MAPPED] if device.can_map else []):
        near = device.buffer(MB, kind)
        assert near.host is not None
        sent = np.random.default_rng(0).integers(0, 255, MB, np.uint8)
        near.host[:] = sent
        near.upload(stream)
        stream.copy_on_device(far.pointer, near.pointer, MB)
        stream.synchronize()
        near.host[:] = 0
        near.upload(stream)
        stream.copy_on_device(near.pointer, far.pointer, MB)
        near.download(stream)
        stream.synchronize()
        assert (near.host == sent).all(), kind
        near.close()
    far.close()
    stream.close()
    place.say(f"          zero copy: {device.zero_copy}; {device.host_copies} copies so far")


def check_too_much_memory_is_one_line(place: Place) -> None:
    """The driver's refusal, and that the device can be used on."""
    from edge.runtime._cuda.memory import DEVICE, open_device

    device = open_device()
    with pytest.raises(TempError, match=r"^far too much: .*out of GPU memory.*$"):
        device.buffer(1 << 50, DEVICE, "far too much").close()
    device.buffer(MB).close()


def check_other_threads_may_work_and_free(place: Place) -> None:
    """PyCUDA ends the process when a thread dies with a context on its stack."""
    from edge.runtime._cuda.memory import open_device

    device = open_device()
    stream, buffer = device.stream(), device.buffer(MB)
    failed: List[BaseException] = []

    def work() -> None:
        try:
            buffer.upload(stream)
            stream.synchronize()
            buffer.close()
            stream.close()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failed, failed


def check_a_thousand_rounds_leak_nothing(place: Place) -> None:
    """Free memory of the GPU before and after."""
    from edge.runtime._cuda.context import drv
    from edge.runtime._cuda.memory import open_device

    device = open_device()
    free = []
    for rounds in (10, 20 if place.quick else 1000):
        for _ in range(rounds):
            stream, buffer = device.stream(), device.buffer(MB)
            buffer.upload(stream)
            stream.close()
            buffer.close()
        with device.active("asking"):
            free.append(drv.mem_get_info()[0])
    assert abs(free[0] - free[1]) < 8 * MB, free
