"""A camera from open to close against a driver in memory: frames, faults, leaks."""

import errno
import logging
import threading
import time

import cv2
import numpy as np
import pytest

from edge.capture._memory import PlainMemory
from edge.capture._ring import Ring
from edge.capture._source import CaptureOptions
from edge.capture._v4l2 import calls
from edge.capture._v4l2.request import V4l2Request
from edge.capture.v4l2 import V4l2
from edge.errors import NoInputError, TempError
from tests.edge.capture.fake_kernel import (
    CAP_MPLANE,
    CAP_STREAMING,
    DAMAGED,
    MONOTONIC,
    STALL,
    FakeKernel,
    frame,
)
from tests.waiting import GIVE_UP_S

SIZE = (64, 48)
BGR = {"BGR3": {SIZE: [30]}}
YUYV = {"YUYV": {SIZE: [30]}}
MJPG = {"MJPG": {SIZE: [30]}}
OPTIONS, SHORT = CaptureOptions(), CaptureOptions(timeout_s=0.05)


class CountedMemory(PlainMemory):
    """Notes every allocation."""

    def __init__(self):
        self.made = []

    def allocate(self, shape):
        self.made.append(shape)
        return super().allocate(shape)


class CountedRing(Ring):
    def __init__(self, count=6):
        super().__init__(count, live=True, memory=CountedMemory())

    @property
    def made(self):
        return self.memory.made  # type: ignore[attr-defined]

    def all_free(self):
        return len({id(s) for s in self._free}) == len(self._free) == self.count


def camera(kernel, options=OPTIONS, **request):
    return V4l2(V4l2Request("/dev/video0", *SIZE, **request), options, kernel)


def pictures(count, channels=3, seed=0):
    shape = (count, SIZE[1], SIZE[0], channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def jpeg(seed=0, size=SIZE):
    smooth = cv2.resize(pictures(1, seed=seed)[0, :6, :8], size, interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", smooth)[1].tobytes()


def run(source, ring, count):
    """Read, copy, publish, take and release like a supervisor and a loop."""
    seen = []
    for _ in range(count):
        slot = source.read(ring)
        assert slot is not None
        ring.publish(slot)
        held = ring.take()
        seen.append((held.image.copy(), held.index, held.t_ns, held.arrival_ns, held.layout))
        ring.release(held)
    return seen


@pytest.mark.parametrize("memory", ["mmap", "userptr"])
def test_frames_arrive_byte_for_byte(memory):
    sent = pictures(20)
    kernel, ring = FakeKernel(BGR, [frame(p.tobytes()) for p in sent]), CountedRing()
    source = camera(kernel, memory=memory)
    seen = run(source, ring, 20)
    source.close()
    for picture, (image, index, t_ns, arrival_ns, layout), i in zip(sent, seen, range(20)):
        np.testing.assert_array_equal(image, picture)
        assert (index, layout) == (i, "bgr")
        assert arrival_ns - t_ns > 1_900_000
    kernel.assert_clean()
    assert ring.all_free()
    assert kernel.rate == 30


def test_userptr_is_zero_copy():
    """The camera writes into the memory the loop reads; nothing is allocated after the start."""
    sent = pictures(40)
    kernel, ring = FakeKernel(BGR, [frame(p.tobytes()) for p in sent]), CountedRing()
    source = camera(kernel)
    for i in range(40):
        slot = source.read(ring)
        assert slot.image.ctypes.data in kernel.addresses
        assert slot.image.ctypes.data % 4096 == 0
        np.testing.assert_array_equal(slot.image, sent[i])
        ring.publish(slot)
    assert len(ring.made) == ring.count
    assert "mmap" not in kernel.calls
    assert len(set(kernel.addresses)) == ring.count
    source.close()
    assert ring.all_free() is False  # the last one is still ready
    ring.release(ring.take())
    assert ring.all_free()
    kernel.assert_clean()


def test_a_loop_that_holds_frames_starves_nobody():
    """Held slots stay out of the driver; with none left read gives None and recovers."""
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in pictures(12)])
    ring = CountedRing(4)
    ring.acquire = lambda timeout_s=0.5: Ring.acquire(ring, 0.01)  # type: ignore[method-assign]
    source = camera(kernel)
    held = []
    for _ in range(4):
        slot = source.read(ring)
        ring.publish(slot)
        held.append(ring.take())
    before = [h.image.copy() for h in held]
    assert source.read(ring) is None
    for slot, image in zip(held, before):
        np.testing.assert_array_equal(slot.image, image)
    ring.release(held.pop())
    assert source.read(ring) is not None
    source.close()
    kernel.assert_clean()


def test_untaken_ready_frame_is_given_up_when_nothing_else_is_left():
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in pictures(12)])
    ring = CountedRing(4)
    source = camera(kernel)
    for _ in range(3):
        ring.publish(source.read(ring))
        ring.take()
    ring.publish(source.read(ring))
    assert source.read(ring) is not None
    assert ring.dropped == 1
    source.close()
    kernel.assert_clean()


def test_padded_rows_and_larger_buffers():
    """A stride wider than the row: the frame is a view that skips the padding, still no copy."""
    kernel = FakeKernel(BGR, row_padding=13, size_padding=512)
    sent = pictures(8)
    padded = np.zeros((8, SIZE[1], SIZE[0] * 3 + 13), np.uint8)
    padded[:, :, : SIZE[0] * 3] = sent.reshape(8, SIZE[1], -1)
    kernel.script = [frame(p.tobytes() + bytes(512)) for p in padded]
    for memory in ("userptr", "mmap"):
        ring, source = CountedRing(), camera(kernel, memory=memory)
        kernel.script, again = kernel.script[4:], kernel.script[:4]
        kernel.script = again + kernel.script
        for (image, *_), picture in zip(
            run(source, ring, 4), sent[:4] if memory == "userptr" else sent[4:]
        ):
            np.testing.assert_array_equal(image, picture)
        source.close()
        kernel.assert_clean()
        assert ring.all_free()


def test_reopened_on_the_same_ring():
    ring = CountedRing()
    for memory in ("userptr", "mmap", "userptr"):
        kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in pictures(3)])
        source = camera(kernel, memory=memory)
        run(source, ring, 3)
        source.close()
        kernel.assert_clean()
        assert ring.all_free()
    assert len(ring.made) == ring.count  # the same memory all the time


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EFAULT, errno.ENOMEM])
@pytest.mark.parametrize("request_name", ["REQBUFS", "QBUF"])
def test_userptr_refused_falls_back(number, request_name, caplog):
    caplog.set_level(logging.INFO)
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in pictures(3)])
    kernel.errors[request_name] = [number]
    ring, source = CountedRing(), camera(kernel)
    for (image, *_), picture in zip(run(source, ring, 3), pictures(3)):
        np.testing.assert_array_equal(image, picture)
    source.close()
    kernel.assert_clean()
    assert ring.all_free()
    assert "userptr refused" in caplog.text
    assert "memory mmap" in caplog.text


def test_userptr_refused_but_demanded():
    kernel = FakeKernel(BGR, userptr=False)
    ring, source = CountedRing(), camera(kernel, memory="userptr")
    with pytest.raises(TempError, match=r"/dev/video0: .*refuses memory=userptr.*memory=auto"):
        source.read(ring)
    source.close()
    kernel.assert_clean()
    assert ring.all_free()


def test_which_memory_is_logged(caplog):
    caplog.set_level(logging.INFO)
    kernel, ring = FakeKernel(BGR, [frame(pictures(1).tobytes())]), CountedRing()
    source = camera(kernel)
    run(source, ring, 1)
    source.close()
    assert "64x48 BGR3 30 fps, memory userptr, zero copy" in caplog.text


def test_driver_grants_fewer_buffers_than_slots():
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in pictures(30)])
    kernel.granted = 3
    ring, source = CountedRing(), camera(kernel)
    assert len(run(source, ring, 30)) == 30
    source.close()
    kernel.assert_clean()
    assert ring.all_free()


# -- faults


def test_stall_times_out():
    kernel, ring = FakeKernel(BGR, [frame(pictures(1).tobytes()), STALL]), CountedRing()
    source = camera(kernel, SHORT)
    run(source, ring, 1)
    with pytest.raises(TempError, match=r"/dev/video0: no frame for 0\.05 s"):
        source.read(ring)
    source.close()
    kernel.assert_clean()
    assert ring.all_free()


@pytest.mark.parametrize("memory", ["mmap", "userptr"])
def test_unplugged(memory):
    kernel = FakeKernel(BGR, [frame(pictures(1).tobytes()), errno.ENODEV])
    ring, source = CountedRing(), camera(kernel, memory=memory)
    run(source, ring, 1)
    with pytest.raises(TempError, match="/dev/video0: the camera was unplugged"):
        source.read(ring)
    source.close()
    kernel.assert_clean()
    assert ring.all_free()


@pytest.mark.parametrize("name", ["QBUF", "DQBUF", "STREAMON", "QUERYBUF", "REQBUFS"])
@pytest.mark.parametrize("memory", ["mmap", "userptr"])
def test_any_request_may_fail_and_nothing_leaks(name, memory):
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in pictures(9)])
    ring, source = CountedRing(), camera(kernel, memory=memory)
    if name in ("QBUF", "DQBUF"):
        run(source, ring, 3)
    kernel.errors[name] = [errno.EIO]
    if (name, memory) == ("QUERYBUF", "userptr"):
        run(source, ring, 1)  # never asked for
    else:
        with pytest.raises(TempError, match="/dev/video0: the camera reports an input/output"):
            source.read(ring)
    source.close()
    kernel.assert_clean()
    assert ring.all_free()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "USB bandwidth"), (errno.EBUSY, "another program"), (errno.EIO, "cable")],
)
def test_stream_on_refused_can_be_tried_again(number, words):
    kernel = FakeKernel(BGR, [frame(p.tobytes()) for p in pictures(2)])
    kernel.errors["STREAMON"] = [number]
    ring, source = CountedRing(), camera(kernel)
    with pytest.raises(TempError, match=words):
        source.read(ring)
    assert ring.all_free()
    assert len(run(source, ring, 2)) == 2
    source.close()
    kernel.assert_clean()


@pytest.mark.parametrize("memory", ["mmap", "userptr"])
def test_damaged_frames_are_skipped_and_counted(memory, caplog):
    good = pictures(3)
    data = good[0].tobytes()
    script = [
        frame(good[0].tobytes()),
        frame(data, flags=MONOTONIC | DAMAGED),
        frame(data[:-1]),
        frame(b"", used=0),
        frame(data, used=1 << 30),
        frame(good[1].tobytes()),
        frame(good[2].tobytes(), flags=DAMAGED),
        frame(good[2].tobytes()),
    ]
    kernel, ring = FakeKernel(BGR, script), CountedRing()
    source = camera(kernel, memory=memory)
    seen = run(source, ring, 3)
    assert [s[1] for s in seen] == [0, 5, 7]
    for picture, (image, *_) in zip(good, seen):
        np.testing.assert_array_equal(image, picture)
    assert source.damaged == 5
    assert len([r for r in caplog.records if "damaged" in r.message]) == 1  # rate-limited
    source.close()
    kernel.assert_clean()
    assert ring.all_free()


def test_only_garbage_ends_in_a_time_out():
    kernel = FakeKernel(BGR, [frame(b"x"), STALL] * 50)
    ring, source = CountedRing(), camera(kernel, SHORT)
    with pytest.raises(TempError, match="no frame"):
        source.read(ring)
    assert source.damaged >= 1
    source.close()
    kernel.assert_clean()


def test_corrupt_jpegs_are_skipped():
    good = jpeg(1)
    flipped = bytearray(good)
    flipped[: len(flipped) // 4] = bytes(len(flipped) // 4)
    bomb = bytearray(good)
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    script = [
        frame(good),
        frame(good[: len(good) // 2]),  # cut short
        frame(bytes(flipped)),
        frame(bytes(bomb)),  # a header of 65535 x 65535
        frame(jpeg(2, (32, 32))),  # another size
        frame(b"\xff\xd8\xff\xd9"),
        frame(bytes(5000)),
        frame(good + bytes(100)),  # padded: fine
    ]
    kernel, ring = FakeKernel(MJPG, script), CountedRing()
    source = camera(kernel)
    seen = run(source, ring, 2)
    assert [s[1] for s in seen] == [0, 7]
    assert source.damaged == 6
    want = cv2.imdecode(np.frombuffer(good, np.uint8), cv2.IMREAD_COLOR)
    for image, *_ in seen:
        np.testing.assert_array_equal(image, want)
    source.close()
    kernel.assert_clean()
    assert ring.all_free()


def test_a_camera_that_never_ends_its_jpegs_is_believed():
    good = jpeg(1)
    assert good.endswith(b"\xff\xd9")
    kernel, ring = FakeKernel(MJPG, [frame(good[:-2])] * 3), CountedRing()
    source = camera(kernel)
    assert len(run(source, ring, 3)) == 3
    source.close()


def test_newest_of_several_waiting_frames():
    sent = pictures(6)
    script = [[frame(p.tobytes()) for p in sent[:3]], [frame(p.tobytes()) for p in sent[3:]]]
    for memory in ("mmap", "userptr"):
        kernel, ring = FakeKernel(BGR, list(script)), CountedRing()
        source = camera(kernel, memory=memory)
        seen = run(source, ring, 2)
        assert [s[1] for s in seen] == [2, 5]
        np.testing.assert_array_equal(seen[1][0], sent[5])
        source.close()
        kernel.assert_clean()
        assert ring.all_free()


def test_sequence_gaps_show_in_the_index():
    data = pictures(1).tobytes()
    numbers = [7, 8, 12, 12, 12, 0xFFFFFFFF, 1, 4]
    kernel = FakeKernel(BGR, [frame(data, sequence=n) for n in numbers])
    ring, source = CountedRing(), camera(kernel)
    # A counter that stands still or jumps backwards counts as one; it may wrap, with a gap or not.
    assert [s[1] for s in run(source, ring, 8)] == [0, 1, 5, 6, 7, 8, 10, 13]
    source.close()


@pytest.mark.parametrize(
    ("flags", "age_ns", "ours"),
    [
        (MONOTONIC, 5_000_000, True),
        (0, 5_000_000, False),  # unknown clock
        (0x4000, 5_000_000, False),  # copied
        (MONOTONIC, -60_000_000_000, False),  # of the future
        (MONOTONIC, 3_600_000_000_000, False),  # of another clock
    ],
)
def test_time_stamps(flags, age_ns, ours):
    kernel = FakeKernel(BGR, [frame(pictures(1).tobytes(), flags=flags, age_ns=age_ns)])
    ring, source = CountedRing(), camera(kernel)
    before = time.monotonic_ns()
    slot = source.read(ring)
    assert before <= slot.arrival_ns <= time.monotonic_ns()
    if ours:
        assert before - age_ns - 1000 <= slot.t_ns < slot.arrival_ns - age_ns + 1000
    else:
        assert slot.t_ns == slot.arrival_ns
    source.close()


# -- opening


@pytest.mark.parametrize(
    ("name", "number", "kind", "words"),
    [
        ("open", errno.ENOENT, NoInputError, "no such camera"),
        ("open", errno.EACCES, NoInputError, "group video"),
        ("open", errno.EBUSY, TempError, "another program"),
        ("open", errno.ENODEV, TempError, "unplugged"),
        ("open", errno.ENXIO, TempError, "no camera behind"),
        ("open", errno.EISDIR, NoInputError, "folder"),
        ("open", errno.EMFILE, TempError, "cannot open it: Too many open files"),
        ("QUERYCAP", errno.ENOTTY, NoInputError, "is not a camera"),
        ("S_FMT", errno.EBUSY, TempError, "fuser -v /dev/video0"),
        ("S_FMT", errno.EINVAL, TempError, "cannot set its picture format: Invalid argument"),
        ("ENUM_FMT", errno.ENODEV, TempError, "unplugged"),
        ("S_PARM", errno.EIO, TempError, "input/output"),
    ],
)
def test_cannot_be_opened(name, number, kind, words):
    kernel = FakeKernel(BGR)
    kernel.errors[name] = number
    with pytest.raises(kind, match=words) as caught:
        camera(kernel)
    assert str(caught.value).startswith("/dev/video0: ")
    kernel.assert_clean()


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        (CAP_MPLANE | CAP_STREAMING, "multi-planar"),
        (0x00800000 | CAP_STREAMING, "gives no pictures"),
        (1, "no streaming"),
    ],
)
def test_not_a_usable_node(caps, words):
    kernel = FakeKernel(BGR, caps=caps)
    with pytest.raises(NoInputError, match=words):
        camera(kernel)
    kernel.assert_clean()


def test_the_kernel_itself():
    """The real system calls, on real files that are no cameras."""
    for path, words in [
        ("/dev/null", "is not a camera"),
        ("/dev/no-such-camera", "no such"),
        ("/dev", "is a folder"),
    ]:
        with pytest.raises(NoInputError, match=words):
            V4l2(V4l2Request(path), OPTIONS, calls.Io())


# -- closing


def test_close_before_the_first_read_and_twice():
    kernel = FakeKernel(BGR)
    source = camera(kernel)
    source.close()
    source.close()
    assert source.read(CountedRing()) is None
    kernel.assert_clean()


def test_close_wakes_a_read_in_another_thread():
    kernel, ring = FakeKernel(BGR), CountedRing()
    source = V4l2(V4l2Request("/dev/video0", *SIZE), CaptureOptions(timeout_s=60), kernel)
    got = []
    thread = threading.Thread(target=lambda: got.append(source.read(ring)))
    thread.start()
    while "STREAMON" not in kernel.calls:
        time.sleep(0.001)
    source.close()
    thread.join(GIVE_UP_S)
    assert got == [None]
    kernel.assert_clean()
    assert ring.all_free()


def test_an_error_that_is_kept_does_not_stop_closing():
    """Its traceback holds views of the driver's memory; the camera is let go all the same."""

    class Broken(Exception):
        pass

    def convert(slot, memory, data):
        raise Broken

    kernel, ring = FakeKernel(BGR, [frame(pictures(1).tobytes())]), CountedRing()
    source = camera(kernel, memory="mmap")
    source._convert.convert = convert
    with pytest.raises(Broken) as kept:
        source.read(ring)
    source.close()
    assert kept.traceback
    assert not kernel.open_fds
    assert not kernel.streaming
    assert ring.all_free()


def test_export_buffer():
    kernel, ring = FakeKernel(BGR, [frame(pictures(1).tobytes())]), CountedRing()
    source = camera(kernel, memory="mmap")
    run(source, ring, 1)
    assert calls.export_buffer(kernel, 7, 2) == 52
    source.close()
