from __future__ import annotations

import time
from typing import Callable

import pytest
from fake_opencv import capture
from fake_plug import fake

__all__ = ["capture", "eventually", "fake"]


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until something is true; fails after a generous while."""

    def wait(true: Callable[[], object]) -> None:
        end = time.monotonic() + 20
        while not true():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.005)

    return wait
