from __future__ import annotations

from typing import Callable

import pytest

from tests.edge.capture.fake_opencv import capture
from tests.edge.capture.fake_plug import fake
from tests.waiting import until

__all__ = ["capture", "eventually", "fake"]


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until something is true; fails after a generous while."""

    def wait(true: Callable[[], object]) -> None:
        until(true, every_s=0.005)

    return wait
