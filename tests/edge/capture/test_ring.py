from __future__ import annotations

import threading
from typing import List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture import PlainMemory, Ring, Slot
from edge.errors import UnavailableError
from tests.waiting import GIVE_UP_S


def fill(ring: Ring, index: int) -> Slot:
    slot = ring.acquire(0)
    assert slot is not None
    slot.shape_to((4, 6, 3), ring.memory)
    slot.index = index
    ring.publish(slot)
    return slot


def test_memory_begins_on_a_page() -> None:
    array = PlainMemory().allocate((7, 5, 3))
    assert array.shape == (7, 5, 3)
    assert array.dtype == np.uint8
    assert array.ctypes.data % 4096 == 0


def test_plain_memory_is_for_the_cpu_alone() -> None:
    memory = PlainMemory()
    array = memory.allocate((4, 4, 3))
    assert not memory.gpu_reads
    assert memory.device_ptr(array) == 0
    memory.free(array)
    with pytest.raises(UnavailableError, match="no GPU reads the frames"):
        memory.import_dmabuf(3, 12, 4)
    with pytest.raises(UnavailableError, match="no GPU reads the frames"):
        memory.import_image(1, 12)


def test_same_shape_keeps_the_memory() -> None:
    slot = Slot()
    memory = PlainMemory()
    first = slot.shape_to((4, 6, 3), memory)
    assert slot.shape_to((4, 6, 3), memory) is first
    assert slot.shape_to((4, 6), memory) is not first


def test_live_ring_keeps_the_newest_and_counts_the_rest() -> None:
    ring = Ring(3, live=True)
    for index in range(5):
        fill(ring, index)
    slot = ring.take()
    assert slot is not None
    assert slot.index == 4
    assert ring.dropped == 4
    assert ring.take() is None


def test_live_ring_gives_up_the_ready_frame_when_all_others_are_held() -> None:
    ring = Ring(3, live=True)
    held = []
    for index in range(2):
        fill(ring, index)
        held.append(ring.take())
    ready = fill(ring, 2)
    assert ring.acquire(0) is ready
    assert not ring.has_frame
    assert ring.dropped == 1


def test_ring_gives_nothing_while_the_loop_holds_every_slot() -> None:
    ring = Ring(2, live=True)
    for index in range(2):
        fill(ring, index)
        ring.take()
    assert ring.acquire(0.01) is None
    assert ring.rested_ns > 0, "the wait is the loop's fault, not the source's"


def test_recording_waits_until_its_frame_is_taken() -> None:
    ring = Ring(3, live=False)
    fill(ring, 0)
    assert ring.acquire(0.01) is None
    got: List[Slot] = []
    waiting = threading.Thread(target=lambda: got.append(ring.acquire(20)))
    waiting.start()
    taken = ring.take()
    waiting.join(GIVE_UP_S)
    assert got[0] is not None
    assert got[0] is not taken
    assert ring.dropped == 0


def test_close_wakes_a_thread_that_waits() -> None:
    ring = Ring(2, live=False)
    fill(ring, 0)
    got: List[object] = []
    waiting = threading.Thread(target=lambda: got.append(ring.acquire(60)))
    waiting.start()
    ring.close()
    waiting.join(GIVE_UP_S)
    assert got == [None]
    assert ring.acquire(0) is None
    assert ring.acquire_free() is None


def test_driver_is_handed_free_slots_but_never_the_ready_one() -> None:
    ring = Ring(3, live=True)
    ready = fill(ring, 0)
    ahead = [ring.acquire_free() for _ in range(3)]
    assert ready not in ahead
    assert ahead[2] is None


def test_hook_is_called_for_each_frame_and_may_take_it() -> None:
    seen: List[int] = []
    ring = Ring(3, live=True, on_frame=lambda: seen.append(ring.take().index))  # type: ignore[union-attr]
    fill(ring, 7)
    assert seen == [7]


def test_renewed_ring_forgets_the_slots_of_a_hung_thread() -> None:
    ring = Ring(4, live=True)
    lost = ring.acquire(0)
    ring.renew()
    fresh = [ring.acquire(0) for _ in range(3)]
    assert None not in fresh
    assert lost not in fresh
    assert ring.acquire(0) is None, "no more than before, the lost one included"


@given(st.booleans(), st.lists(st.sampled_from("apctr"), max_size=60))
def test_no_slot_ever_has_two_owners(live: bool, steps: List[str]) -> None:
    ring = Ring(4, live)
    filling: List[Slot] = []
    held: List[Slot] = []
    count = 0
    for step in steps:
        if step == "a":
            slot = ring.acquire(0)
            if slot is not None:
                filling.append(slot)
        elif step == "p" and filling:
            slot = filling.pop(0)
            slot.index, count = count, count + 1
            ring.publish(slot)
        elif step == "c" and filling:
            ring.cancel(filling.pop(0))
        elif step == "t":
            slot = ring.take()
            if slot is not None:
                assert slot.index == count - 1, "the newest"
                held.append(slot)
        elif step == "r" and held:
            ring.release(held.pop(0))
        owned = [*filling, *held, *ring._free, *([ring._ready] if ring._ready else [])]
        assert len({id(s) for s in owned}) == len(owned) == 4


@pytest.mark.parametrize("live", [True, False])
def test_threads_share_it(live: bool) -> None:
    """A writer that stamps its slot and a reader that checks the stamp: no frame is torn."""
    ring = Ring(4, live)
    total = 400
    done = threading.Event()

    def write() -> None:
        for index in range(total):
            slot = None
            while slot is None:
                slot = ring.acquire(5)
            slot.shape_to((8, 8, 3), ring.memory)[:] = index % 251
            slot.index = index
            ring.publish(slot)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: List[int] = []
    while not (done.is_set() and not ring.has_frame):
        slot = ring.take()
        if slot is not None:
            assert (slot.image == slot.index % 251).all()
            seen.append(slot.index)
            ring.release(slot)
        else:
            done.wait(0.001)
    writer.join()
    assert seen == sorted(set(seen))
    assert len(seen) + ring.dropped == total
    assert live or ring.dropped == 0
