"""jsonl:PATH (- = standard output): one line for each message, {"topic": ..., "payload": ...}.

The payload is the one that MQTT carries. A CBOR message is written as the same record in JSON, and
its line has "content_type": "application/cbor".
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import queue
import select
import stat
import sys
import threading
import time
from typing import Callable, Optional

from edge import codec
from edge.errors import ConfigError, UnavailableError
from edge.messages import Message
from edge.publish import SinkOptions
from edge.publish._counters import Counters

log = logging.getLogger(__name__)

ROOM = 600  # messages that may wait for the writer
LIVE_ROOM = 200  # if more wait, live frames are dropped: the rest of the room is for events
POLL_S = 0.2
# Errors of a wrong path; other errors may pass.
OPERATOR = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS)


def open_sink(uri: str, options: SinkOptions) -> JsonlSink:
    """Open or create the file; lines are appended.

    Raises:
        ConfigError: the path cannot be written. UnavailableError: the disk or the system refuses.
    """
    path = check(uri, options)
    if path == "-":
        if sys.stdout is None:  # a shell's `>&-`
            raise ConfigError("sink jsonl:-: standard output is closed")
        sys.stdout.flush()
        return JsonlSink(os.dup(sys.stdout.fileno()), "standard output", options)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    except OSError as error:
        kind = ConfigError if error.errno in OPERATOR else UnavailableError
        raise kind(f"sink jsonl:{path}: {error.strerror}") from error
    return JsonlSink(fd, path, options)


def check(uri: str, options: SinkOptions) -> str:
    """Return the path of an address; "-" = standard output.

    Raises:
        ConfigError: the address has no path.
    """
    path = uri.partition(":")[2]
    path = path[2:] if path.startswith("//") else path
    if not path or "\0" in path:
        raise ConfigError(f"sink {uri!r}: expected jsonl:PATH, or jsonl:- for standard output")
    return path


def line(message: Message) -> bytes:
    """Return a message as one line with its line end."""
    head = {"topic": message.topic}
    if message.content_type != codec.JSON:
        head["content_type"] = message.content_type
    return json.dumps(head)[:-1].encode() + b', "payload": ' + message.json + b"}\n"


class JsonlSink:
    """Writes lines in its own thread.

    Args:
        fd: an open file or pipe; the sink closes it.
        name: of the file, for people.
        options: `lossless` and `stop` are used.
    """

    def __init__(self, fd: int, name: str, options: SinkOptions) -> None:
        self.name = f"jsonl:{name}"
        self.counters = Counters()
        self.ok = True
        self.reader_left = False
        self._fd = fd
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self._wait: Optional[Callable[[], bool]] = options.stop if options.lossless else None
        self._queue: queue.Queue[Optional[Message]] = queue.Queue(ROOM)
        self._taken = self._done = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="jsonl", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of messages taken and not written yet."""
        return self._queue.qsize()

    def __call__(self, message: Message) -> None:
        """Take a message; waits for room only if lossless."""
        if self._closed or message.kind == "discovery":  # means something to brokers only
            return
        if self._wait is not None:
            taken = self._put_and_wait(message, self._wait)
        elif message.qos == 0 and self._queue.qsize() >= LIVE_ROOM:
            taken = False
        else:
            taken = self._put(message, 0.0)
        self._taken += taken
        if not taken:
            self.counters.add("dropped")

    def close(self, timeout_s: float) -> None:
        """Write waiting messages for at most this long, then close; may be called twice."""
        if self._closed:
            return
        self._closed = True
        deadline_s = time.monotonic() + timeout_s
        if self._put(None, timeout_s):
            self._thread.join(max(0.0, deadline_s - time.monotonic()))
        left = self._taken - self._done
        if left:
            self.counters.add("dropped", left)
            log.warning("%s: nobody reads it; %d messages were not written", self.name, left)

    def _put(self, message: Optional[Message], timeout_s: float) -> bool:
        try:
            self._queue.put(message, timeout_s > 0, timeout_s)
        except queue.Full:
            return False
        return True

    def _put_and_wait(self, message: Message, stop: Callable[[], bool]) -> bool:
        while not self._put(message, 0.0 if stop() else POLL_S):
            if stop():
                return False
        return True

    def _run(self) -> None:
        self._end_torn_line()
        while True:
            message = self._queue.get()
            if message is None:
                break
            self._write(line(message))
            self._done += 1
        os.close(self._fd)

    def _end_torn_line(self) -> None:
        """Begin on a new line: a run that was killed may have left half a line."""
        size = os.fstat(self._fd).st_size if self._is_file else 0
        readable = fcntl.fcntl(self._fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
        # A shell's `>> FILE` cannot be read; its last line is then left as it is.
        if size and readable and os.pread(self._fd, 1, size - 1) != b"\n":
            self._write_all(b"\n")

    def _write(self, data: bytes) -> None:
        problem = self._write_all(data)
        self.counters.add("dropped" if problem else "sent")
        if problem and self.ok:
            log.error("%s: %s; its messages are dropped", self.name, problem)
        elif not problem and not self.ok:
            log.warning("%s: can be written again", self.name)
        self.ok = not problem

    def _write_all(self, data: bytes) -> str:
        """Write all or nothing; returns the problem, or "" on success."""
        done = 0
        try:
            while done < len(data):
                done += self._write_some(data[done:])
        except BrokenPipeError:
            self.reader_left = True
            return "its reader is gone"
        except OSError as error:
            if self._is_file and done:
                self._take_back(done)
            return error.strerror or str(error)
        return ""

    def _write_some(self, data: bytes) -> int:
        """Write once; another user of the same pipe may have made it non-blocking."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            room = select.poll()
            room.register(self._fd, select.POLLOUT)
            room.poll()
            return 0

    def _take_back(self, size: int) -> None:
        with contextlib.suppress(OSError):  # an append-only file keeps its torn line
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - size)
            # A shell's `> FILE` does not append: without this the next line would follow a hole.
            os.lseek(self._fd, 0, os.SEEK_END)
