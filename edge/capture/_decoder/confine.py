"""Limits that a decoder process puts on itself before it reads a byte of its stream."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
# Killed before the program itself when the machine runs out of memory.
_OOM_SCORE = "500"
MB = 1 << 20


def ignore_signals() -> None:
    """Ignore what systemd and a terminal send to the whole group: the program ends its decoders."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def confine(max_mb: int, parent: int) -> None:
    """Confine this process.

    Args:
        max_mb: memory that it may allocate beyond what it has now. Shared memory, which the
            program allocates, does not count (RLIMIT_DATA, since Linux 4.7).
        parent: the process with which it dies.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)
    prctl(_PR_SET_NAME, b"edge-decoder", 0, 0, 0)
    limit = data_bytes() + max_mb * MB
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # pictures stay in memory
    with contextlib.suppress(OSError):  # a container may forbid it
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="utf-8")


def data_bytes() -> int:
    """Private writable memory of this process, as RLIMIT_DATA counts it (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[5])
    return pages * resource.getpagesize()
