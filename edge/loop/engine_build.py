"""Builds an engine in a process of its own: a builder that crashes takes nothing with it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, List, Optional, Tuple

from edge.errors import UnavailableError

log = logging.getLogger(__name__)

COMMAND = "edge-tools"
LIMIT_S = 3600.0  # a first build of a large network on a Jetson takes ten minutes
LEAVE_S = 2.0
NICE = 10
Build = Callable[[Path, str, str, threading.Event], None]  # models' folder, network, precision


def command() -> str:
    """The tools' program, of this very installation if it has one.

    Raises:
        UnavailableError: it is not installed.
    """
    beside = Path(sys.executable).with_name(COMMAND)
    found = str(beside) if beside.is_file() else shutil.which(COMMAND)
    if found is None:
        raise UnavailableError(f"{COMMAND} is not installed: pip install 'edge-pose[tools]'")
    return found


def build(folder: Path, network: str, precision: str, stop: threading.Event) -> None:
    """Build one engine; the loop keeps the processor while it wants it.

    Args:
        folder: the model's.
        network: its name in the recipe.
        precision: fp32, fp16 or int8.
        stop: ends the build.

    Raises:
        UnavailableError: it could not be built; the line says why.
    """
    line = [
        command(),
        "build",
        folder.name,
        "--network",
        network,
        "--precision",
        precision,
        "--models",
        str(folder.parent),
        "--json",
    ]
    try:
        code, said = _run(line, stop)
    except OSError as error:
        raise UnavailableError(f"{line[0]}: cannot be started: {error.strerror}") from error
    if code != 0:
        last = (said.strip().split("\n") or [""])[-1][:300]
        raise UnavailableError(last or f"{COMMAND} build ended with {code}")


def _run(line: List[str], stop: threading.Event) -> Tuple[int, str]:
    """Exit code and what it said of errors."""
    with subprocess.Popen(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        said: List[bytes] = []
        reader = threading.Thread(
            target=lambda: said.append(process.stderr.read() if process.stderr else b""),
            name="build log",
        )
        reader.start()
        _yield_to_loop(process.pid)
        code = _wait(process, stop)
        reader.join()
    return code, b"".join(said).decode(errors="replace")


def _yield_to_loop(pid: int) -> None:
    """The loop has the processor first, where that may be asked for.

    The service's system call filter forbids it; the kernel's fair share has to do then.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    except PermissionError as error:
        log.info("the build runs at the loop's priority: %s", error.strerror)


def _wait(process: subprocess.Popen[bytes], stop: threading.Event) -> int:
    end = time.monotonic() + LIMIT_S
    code: Optional[int] = None
    while code is None and not stop.is_set() and time.monotonic() < end:
        stop.wait(0.2)
        code = process.poll()
    if code is None:
        process.terminate()
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
        code = process.wait()
    return code
