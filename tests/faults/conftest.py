"""Real servers for the fault tests."""

from __future__ import annotations

import time
from typing import Callable, Iterator, List

import pytest

from tests import rtsp_process
from tests.rtsp_process import RtspServer
from tests.waiting import GIVE_UP_S


@pytest.fixture(scope="session")
def _gstreamer() -> None:
    rtsp_process.install()


@pytest.fixture
def rtsp_server(_gstreamer: None) -> Iterator[Callable[..., RtspServer]]:
    """Starts RTSP servers and ends them with the test."""
    started: List[RtspServer] = []

    def start(locked: bool = False) -> RtspServer:
        started.append(RtspServer(locked))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def until() -> Callable[..., bool]:
    """Waits for something to come true; False after a generous limit."""

    def wait(true: Callable[[], bool], limit_s: float = GIVE_UP_S) -> bool:
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            if true():
                return True
            time.sleep(0.02)
        return False

    return wait
