"""Accuracy of the wall clock as the kernel estimates it."""

from __future__ import annotations

import ctypes
from typing import Any, Dict

UNSYNCHRONISED = 0x0040  # STA_UNSYNC of linux/timex.h


class _Timex(ctypes.Structure):
    """The beginning of struct timex of adjtimex(2); the rest is room for what the kernel writes."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_long * 32),
    ]


def clock_quality() -> Dict[str, Any]:
    """Return the quality of the wall clock.

    Returns:
        source: "kernel" if NTP or PTP disciplines the kernel's clock, else "none";
        error_ms: the kernel's upper bound of the error in ms, None without a bound.
    """
    now = _Timex(modes=0)  # 0 = read only, which needs no privilege
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    if adjtimex is None or adjtimex(ctypes.byref(now)) < 0 or now.status & UNSYNCHRONISED:
        return {"source": "none", "error_ms": None}
    return {"source": "kernel", "error_ms": round(now.maxerror / 1000, 3)}
