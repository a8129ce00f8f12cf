"""cv2.VideoCapture and the machine's GStreamer, replaced at the lowest seam."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Tuple

import cv2
import numpy as np
import pytest

from edge.capture import _gstreamer
from edge.capture._decoder import session, video, wire
from edge.capture._decoder.processes import Decoder
from tests.waiting import GIVE_UP_S


class FakeCapture:
    """cv2.VideoCapture, as far as we use it; a class, so that a test can read what was asked."""

    opened: List[Tuple[str, int, List[int]]] = []
    frames: Any = 5
    is_open = True
    size = (12, 8)
    shape: Optional[Tuple[int, ...]] = None  # of what retrieve gives; None = what it is given
    grab_hook: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, target: str, backend: int, parameters: List[int]) -> None:
        type(self).opened.append((target, backend, parameters))
        self.left = type(self).frames
        self.released = 0

    def isOpened(self) -> bool:
        return type(self).is_open

    def get(self, name: int) -> float:
        sizes = {cv2.CAP_PROP_FRAME_WIDTH: self.size[0], cv2.CAP_PROP_FRAME_HEIGHT: self.size[1]}
        return float(sizes.get(name, 0))

    def set(self, name: int, value: float) -> bool:
        return True

    def grab(self) -> bool:
        assert not self.released, "OpenCV would crash"
        type(self).grab_hook()
        self.left -= 1
        return bool(self.left >= 0)

    def retrieve(self, image: Optional[np.ndarray] = None) -> Tuple[bool, np.ndarray]:
        assert not self.released, "OpenCV would crash"
        if image is None or (self.shape is not None and image.shape != self.shape):
            image = np.empty(self.shape or (8, 12, 3), np.uint8)
        image[...] = 9
        return True, image

    def release(self) -> None:
        self.released += 1


class ThreadDecoders:
    """Decoders as threads of this process, so that they use the OpenCV that a test replaced."""

    def __init__(self) -> None:
        self.limits_mb: List[int] = []
        self.ends: List[socket.socket] = []
        self.threads: List[threading.Thread] = []

    def start(self, max_mb: int) -> Decoder:
        ours, theirs = wire.pair()
        # A second descriptor: the thread closes its own.
        self.ends.append(socket.socket(fileno=os.dup(theirs.fileno())))
        self.limits_mb.append(max_mb)
        self.threads.append(threading.Thread(target=self._run, args=(theirs,), daemon=True))
        self.threads[-1].start()
        self.ends.append(ours)
        return Decoder(wire.Link(ours), len(self.ends) - 2, self)

    def _run(self, theirs: socket.socket) -> None:
        with theirs:
            session.Session(wire.Link(theirs)).run()
            theirs.shutdown(socket.SHUT_RDWR)

    def end(self, decoder: Decoder) -> None:
        with contextlib.suppress(OSError):
            self.ends[decoder.pid].shutdown(socket.SHUT_RDWR)

    def how_ended(self, decoder: Decoder) -> int:
        return 0

    def close(self) -> None:
        for end in self.ends:
            with contextlib.suppress(OSError):  # the source closed it
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(GIVE_UP_S)  # else it would use the OpenCV of the next test
        for end in self.ends:
            end.close()


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Iterator[type]:
    """OpenCV with FFmpeg only, in decoders that are threads; tests change the class."""
    fresh = type("Capture", (FakeCapture,), {"opened": []})
    monkeypatch.setattr(cv2, "VideoCapture", fresh)
    backends(monkeypatch, cv2.CAP_FFMPEG)
    _gstreamer.has_element.cache_clear()
    threads = ThreadDecoders()
    monkeypatch.setattr(video, "decoders", threads)
    monkeypatch.setattr(session, "Redirects", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(session, "Backlog", lambda: None)  # the fake has no time stamps
    yield fresh
    threads.close()


def backends(monkeypatch: pytest.MonkeyPatch, *there: int) -> None:
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda name: name in there)


def elements(monkeypatch: pytest.MonkeyPatch, where: Path, *there: str) -> None:
    """A gst-inspect-1.0 that knows some elements."""
    tool = where / "gst-inspect-1.0"
    known = " ".join(there)
    tool.write_text(
        f'#!/bin/sh\nfor e in {known}; do [ "$2" = "$e" ] && exit 0; done\nexit 1\n',
        encoding="utf-8",
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(where), prepend=":")
    _gstreamer.has_element.cache_clear()
