"""What a command answers on standard output, where perhaps nobody listens."""

from __future__ import annotations

import os
import sys

from edge.errors import TempError


def answer(text: str) -> None:
    """Write it, at once; with standard output closed (a shell's `>&-`) nobody wants it.

    Raises:
        BrokenPipeError: the reader is gone. TempError: a full disk, or what the system says.
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


def drop() -> None:
    """What is left in the buffer goes nowhere: the interpreter would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
