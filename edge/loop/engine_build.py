"""Builds an engine in another process, so that a crash of the builder does not end the daemon."""

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
Build = Callable[[Path, str, str, threading.Event], None]  # see `build`


def command() -> str:
    """The path of the program `edge-tools`, preferably of this installation.

    Raises:
        UnavailableError: it is not installed.
    """
    beside = Path(sys.executable).with_name(COMMAND)
    found = str(beside) if beside.is_file() else shutil.which(COMMAND)
    if found is None:
        raise UnavailableError(f"{COMMAND} is not installed: pip install 'edge-pose[tools]'")
    return found


def build(folder: Path, network: str, precision: str, stop: threading.Event) -> None:
    """Build one engine at a lower priority than the loop.

    Args:
        folder: of the model.
        network: its name in the recipe.
        precision: fp32, fp16 or int8.
        stop: ends the build when it is set.

    Raises:
        UnavailableError: the engine could not be built; the message says why.
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
        code, errors = _run(line, stop)
    except OSError as error:
        raise UnavailableError(f"{line[0]}: cannot be started: {error.strerror}") from error
    if code != 0:
        last = (errors.strip().split("\n") or [""])[-1][:300]
        raise UnavailableError(last or f"{COMMAND} build ended with {code}")


def _run(line: List[str], stop: threading.Event) -> Tuple[int, str]:
    """Run a program; gives its exit code and its standard error."""
    with subprocess.Popen(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        errors: List[bytes] = []
        reader = threading.Thread(
            target=lambda: errors.append(process.stderr.read() if process.stderr else b""),
            name="build log",
        )
        reader.start()
        _yield_to_loop(process.pid)
        code = _wait(process, stop)
        reader.join()
    return code, b"".join(errors).decode(errors="replace")


def _yield_to_loop(pid: int) -> None:
    """Lower the priority of a process, if that is allowed.

    The service's system call filter forbids it; then the kernel shares the processor fairly.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    except PermissionError as error:
        log.info("the engine is built at the loop's priority: %s", error.strerror)


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
