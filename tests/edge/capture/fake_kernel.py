"""A camera driver in memory, behind the system calls that edge.capture.v4l2 makes.

It answers in bytes at the offsets of videodev2.h (64-bit machines), written here a second time so
that a wrong structure shows, and keeps the kernel's own rules: every request that a real driver
would refuse is refused with the same errno and noted in `misuse`.
"""

import ctypes
import errno
import mmap
import select
import struct
import time

CAPTURE, MMAP, USERPTR = 1, 1, 2
CAP_CAPTURE, CAP_STREAMING, CAP_MPLANE = 1, 0x04000000, 0x1000
CAP_DEVICE_CAPS = 0x80000000
MONOTONIC, DAMAGED = 0x2000, 0x40
BYTES_PER_PIXEL = {"BGR3": 3, "RGB3": 3, "YUYV": 2, "UYVY": 2, "NV12": 1.5, "GREY": 1}
STALL = "stall"


def frame(data, flags=MONOTONIC, used=None, sequence=None, age_ns=2_000_000):
    """A step of the script: one frame the camera takes."""
    return {
        "data": bytes(data),
        "flags": flags,
        "used": used,
        "sequence": sequence,
        "age_ns": age_ns,
    }


class Buffer:
    def __init__(self, length, offset):
        self.length, self.offset = length, offset
        self.state, self.address, self.filled = "ours", 0, None
        self.map = None


class FakeKernel:
    """One camera; `script` is what happens at each poll: a frame, STALL, or an errno."""

    def __init__(self, formats, script=(), caps=None, userptr=True, row_padding=0, size_padding=0):
        self.formats = formats  # fourcc -> {(width, height): [fps, ...]}
        self.script = list(script)
        self.caps = CAP_CAPTURE | CAP_STREAMING if caps is None else caps
        self.userptr, self.row_padding, self.size_padding = userptr, row_padding, size_padding
        self.errors = {}  # (request name) -> errno, or [errno, ...] for its next calls
        self.granted = None  # buffers given whatever is asked
        self.misuse, self.calls, self.addresses = [], [], []
        self.open_fds, self.maps = set(), []
        self.format, self.memory, self.buffers, self.streaming = None, 0, [], False
        self.queue, self.done, self.sequence = [], [], 0
        self.rate, self.gone = None, 0
        self.answer = None  # (name, size) that S_FMT gives whatever is asked, sizes left empty

    # -- the five system calls

    def open(self, path):
        self._maybe("open")
        self.open_fds.add(7)
        return 7

    def ioctl(self, fd, number, argument):
        assert fd in self.open_fds, "ioctl on a closed file"
        name = REQUESTS[number]
        self.calls.append(name)
        if self.gone:
            raise OSError(self.gone, "gone")
        self._maybe(name)
        view = memoryview(argument).cast("B")
        assert len(view) == (number >> 16) & 0x3FFF
        getattr(self, "_" + name.lower())(view)

    def mmap(self, fd, length, offset):
        found = [b for b in self.buffers if b.offset == offset and b.length == length]
        assert self.memory == MMAP, "mmap without buffers of the driver"
        assert len(found) == 1, "mmap of no buffer"
        found[0].map = mmap.mmap(-1, length)
        self.maps.append(found[0].map)
        return found[0].map

    def munmap(self, memory):
        memory.close()  # raises while a view exists
        self.maps.remove(memory)

    def poll(self, fd, timeout_ms):
        assert timeout_ms > 0, "a wait without end or a busy loop"
        if self.gone or not self.streaming:
            return select.POLLERR
        step = self.script.pop(0) if self.script else STALL
        if isinstance(step, int):
            self.gone = step
            return select.POLLERR | select.POLLHUP
        for one in step if isinstance(step, list) else [step]:
            if one != STALL:
                self._take(one)
        if not self.done:
            time.sleep(timeout_ms / 1000)
        return select.POLLIN if self.done else 0

    def close(self, fd):
        self.open_fds.remove(fd)
        if fd != 7:
            return  # an exported buffer
        if self.streaming and not self.gone:
            self.misuse.append("closed while streaming")

    # -- what tests ask

    def assert_clean(self):
        assert self.misuse == []
        assert not self.open_fds, "file left open"
        assert not self.maps, "mapping left"
        if not self.gone:
            assert not self.streaming
            assert not self.buffers, "driver still has buffers"

    # -- requests

    def _querycap(self, view):
        struct.pack_into(
            "16s32s32sIII",
            view,
            0,
            b"fake",
            b"Fake camera",
            b"usb-1",
            0x060000,
            self.caps | CAP_DEVICE_CAPS | CAP_CAPTURE,
            self.caps,
        )

    def _enum_fmt(self, view):
        index, kind = struct.unpack_from("II", view)
        names = list(self.formats)
        if kind != CAPTURE or index >= len(names):
            raise OSError(errno.EINVAL, "end")
        struct.pack_into("4s", view, 44, names[index].encode())

    def _enum_frameintervals(self, view):
        index, name, width, height = struct.unpack_from("I4sII", view)
        rates = self.formats[name.decode()].get((width, height), [])
        if index >= len(rates):
            raise OSError(errno.EINVAL, "end")
        if isinstance(rates[index], tuple):  # stepwise: shortest to longest interval
            slow, fast = rates[index]
            struct.pack_into("IIIIIII", view, 16, 3, 1, fast, 1, slow, 1, fast)
        else:
            struct.pack_into("III", view, 16, 1, 100, round(100 * rates[index]))

    def _try_fmt(self, view):
        kind, width, height, name = struct.unpack_from("I4xII4s", view)
        name = name.decode()
        if kind != CAPTURE or name not in self.formats:
            name = next(iter(self.formats))
        size = min(self.formats[name], key=lambda s: abs(s[0] - width) + abs(s[1] - height))
        stride, total = self.layout(name, *size)
        struct.pack_into("II4sIII", view, 8, *size, name.encode(), 1, stride, total)
        return name, size, total

    def _s_fmt(self, view):
        if self.buffers:
            self._refuse(errno.EBUSY, "S_FMT with buffers")
        if self.answer:
            name, size = self.answer
            struct.pack_into("II4sIII", view, 8, *size, name.encode(), 1, 0, 0)
            self.format = name, size, self.layout(name, *size)[1]
            return
        self.format = self._try_fmt(view)

    def layout(self, name, width, height):
        """Bytes per line and of the whole picture."""
        if name not in BYTES_PER_PIXEL:
            return 0, width * height * 2
        first = 1 if name == "NV12" else BYTES_PER_PIXEL[name]
        stride = width * first + self.row_padding
        rows = height * 3 // 2 if name == "NV12" else height
        return stride, stride * rows + self.size_padding

    def _s_parm(self, view):
        kind, numerator, denominator = struct.unpack_from("I8xII", view)
        assert kind == CAPTURE
        name, size, _ = self.format  # type: ignore[misc]
        rates = [r for r in self.formats[name][size] if not isinstance(r, tuple)] or [30]
        self.rate = min(rates, key=lambda r: abs(r - denominator / numerator))
        struct.pack_into("IIII", view, 4, 0x1000, 0, 100, round(100 * self.rate))

    def _reqbufs(self, view):
        count, kind, memory = struct.unpack_from("III", view)
        assert kind == CAPTURE
        if self.streaming:
            self._refuse(errno.EBUSY, "REQBUFS while streaming")
        if self.maps:
            self._refuse(errno.EBUSY, "REQBUFS with mappings")
        if memory == USERPTR and not self.userptr:
            raise OSError(errno.EINVAL, "no userptr")
        if self.format is None:
            self._refuse(errno.EINVAL, "REQBUFS without a format")
        count = self.granted if self.granted is not None and count else count
        size = (self.format[2] + 4095) // 4096 * 4096  # type: ignore[index]
        self.buffers = [Buffer(size, i * size) for i in range(count)]
        self.memory, self.queue, self.done = memory, [], []
        struct.pack_into("I", view, 0, count)
        struct.pack_into("I", view, 12, 1 | 2 * self.userptr | 4)

    def _querybuf(self, view):
        buffer = self._buffer(view, "QUERYBUF")
        struct.pack_into("I", view, 64, buffer.offset)
        struct.pack_into("I", view, 72, buffer.length)

    def _qbuf(self, view):
        buffer = self._buffer(view, "QBUF")
        if buffer.state != "ours":
            self._refuse(errno.EINVAL, "QBUF of a queued buffer")
        if self.memory == USERPTR:
            (buffer.address,) = struct.unpack_from("Q", view, 64)
            (buffer.length,) = struct.unpack_from("I", view, 72)
            if buffer.length < self.format[2] or not buffer.address:  # type: ignore[index]
                self._refuse(errno.EINVAL, "QBUF with too little memory")
            self.addresses.append(buffer.address)
        elif buffer.map is None:
            self._refuse(errno.EINVAL, "QBUF before mmap")
        buffer.state = "queued"
        self.queue.append(buffer)

    def _dqbuf(self, view):
        kind, memory = struct.unpack_from("I", view, 4) + struct.unpack_from("I", view, 60)
        if not self.streaming or (kind, memory) != (CAPTURE, self.memory):
            self._refuse(errno.EINVAL, "DQBUF out of order")
        if not self.done:
            raise OSError(errno.EAGAIN, "none yet")
        buffer = self.done.pop(0)
        buffer.state = "ours"
        used, flags, t_us, sequence = buffer.filled
        struct.pack_into("IIIII", view, 0, self.buffers.index(buffer), CAPTURE, used, flags, 1)
        struct.pack_into("qq", view, 24, t_us // 1_000_000, t_us % 1_000_000)
        struct.pack_into("II", view, 56, sequence, self.memory)
        where = buffer.address if self.memory == USERPTR else buffer.offset
        struct.pack_into("QI", view, 64, where, buffer.length)

    def _streamon(self, view):
        if not self.buffers:
            self._refuse(errno.EINVAL, "STREAMON without buffers")
        self.streaming = True

    def _streamoff(self, view):
        self.streaming, self.queue, self.done = False, [], []
        for buffer in self.buffers:
            buffer.state = "ours"

    def _expbuf(self, view):
        kind, index = struct.unpack_from("II", view)
        if kind != CAPTURE or index >= len(self.buffers) or self.memory != MMAP:
            self._refuse(errno.EINVAL, "EXPBUF of no buffer")
        self.open_fds.add(50 + index)
        struct.pack_into("i", view, 16, 50 + index)

    # -- inside

    def _buffer(self, view, name):
        (index,), (memory,) = struct.unpack_from("I", view), struct.unpack_from("I", view, 60)
        (kind,) = struct.unpack_from("I", view, 4)
        if index >= len(self.buffers) or memory != self.memory or kind != CAPTURE:
            self._refuse(errno.EINVAL, f"{name} of no buffer")
        return self.buffers[index]

    def _take(self, step):
        """The sensor: fills the oldest queued buffer; without one the frame is lost."""
        sequence = self.sequence if step["sequence"] is None else step["sequence"]
        self.sequence = (sequence + 1) & 0xFFFFFFFF
        if not self.queue:
            return
        buffer = self.queue.pop(0)
        data = step["data"]
        assert len(data) <= buffer.length
        if self.memory == USERPTR:
            ctypes.memmove(buffer.address, data, len(data))
        else:
            buffer.map[: len(data)] = data
        t_us = (time.monotonic_ns() - step["age_ns"]) // 1000
        used = len(data) if step["used"] is None else step["used"]
        buffer.filled, buffer.state = (used, step["flags"], t_us, sequence), "done"
        self.done.append(buffer)

    def _maybe(self, name):
        error = self.errors.get(name, 0)
        if isinstance(error, list):
            error = error.pop(0) if error else 0
        if error:
            raise OSError(error, "as the test wants")

    def _refuse(self, number, why):
        self.misuse.append(why)
        raise OSError(number, why)


# What a C compiler makes of the macros in linux/videodev2.h (x86-64).
REQUESTS = {
    0x80685600: "QUERYCAP",
    0xC0405602: "ENUM_FMT",
    0xC0D05605: "S_FMT",
    0xC0145608: "REQBUFS",
    0xC0585609: "QUERYBUF",
    0xC058560F: "QBUF",
    0xC0405610: "EXPBUF",
    0xC0585611: "DQBUF",
    0x40045612: "STREAMON",
    0x40045613: "STREAMOFF",
    0xC0CC5616: "S_PARM",
    0xC0D05640: "TRY_FMT",
    0xC034564B: "ENUM_FRAMEINTERVALS",
}
