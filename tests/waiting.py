"""How long tests wait, so that a slow machine fails none, and whether they run in full length."""

from __future__ import annotations

import os
import time
from typing import Any, Callable

# `make soak`: the full length of tests that `make test` runs in a short form.
SOAK = os.environ.get("EDGE_SOAK", "") not in ("", "0")
# Guards against hanging only: a test that passes never waits so long. The trial of mutants waits
# less, because a mutant may make a test wait for what never comes.
GIVE_UP_S = float(os.environ.get("EDGE_GIVE_UP_S", "600"))


def until(true: Callable[[], Any], what: str = "it", every_s: float = 0.01) -> float:
    """Waits until `true()` holds.

    Args:
        true: the question.
        what: named when it never holds.
        every_s: pause between two questions; longer for a question that takes time.

    Returns:
        For how long it waited, in seconds.
    """
    start_s = time.monotonic()
    while not true():
        assert time.monotonic() < start_s + GIVE_UP_S, f"{what} never happened"
        time.sleep(every_s)
    return time.monotonic() - start_s
