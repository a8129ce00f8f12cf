"""Freed weights go back to the system, on every C library."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from edge.service import heap

# A block of 24 MB that is freed raises glibc's threshold. Then blocks of 4 MB lie between small
# ones that stay.
WEIGHTS = """
import sys, ctypes
from edge.service import heap
if sys.argv[1] == "fixed":
    assert heap.give_back_large_blocks()
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c.free.argtypes = [ctypes.c_void_p]
def block(size):
    place = c.malloc(size)
    ctypes.memset(place, 1, size)
    return place
c.free(block(24 << 20))
blocks = []
for _ in range(25):
    blocks.append(block(4 << 20))
    block(100_000)
for place in blocks:
    c.free(place)
def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20
kept = resident_mb()
heap.trim()
print(kept, resident_mb())
"""


def resident_mb(how: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", WEIGHTS, how],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    return tuple(int(word) for word in done.stdout.split())


def test_freed_weights_are_given_back_at_once_or_by_a_trim() -> None:
    as_it_was, trimmed = resident_mb("as it was")
    fixed, _ = resident_mb("fixed")
    assert as_it_was - fixed > 80
    assert as_it_was - trimmed > 80


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert not heap.give_back_large_blocks()
    assert not heap.trim()
