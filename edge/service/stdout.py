"""Write a command's result to standard output, which may be closed, full or a terminal."""

from __future__ import annotations

import os
import sys
from typing import IO, Optional

from edge.errors import TempError


def write(text: str) -> None:
    """Write text and flush. Does nothing if standard output is closed (a shell's `>&-`).

    Raises:
        BrokenPipeError: the reader is gone. TempError: the disk is full, or another error.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        drop()
        raise
    except OSError as error:
        drop()
        raise TempError(f"standard output: {error.strerror}; make room") from error


def is_terminal(stream: Optional[IO[str]]) -> bool:
    """Whether a person looks at this stream; False if it is closed."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False


def drop() -> None:
    """Send what is still buffered to /dev/null; else the interpreter reports an error at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
