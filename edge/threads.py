"""End the program if one of its threads dies of a bug, so that systemd restarts it.

Without this the program would go on and look healthy while, for example, its outbox stores nothing.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional

from edge.errors import InternalError


class NonCriticalThread(threading.Thread):
    """A thread whose death does not end the program: it is replaced, or not needed."""


class ThreadFailures:
    """Watches for threads that die of an exception; those of NonCriticalThread are ignored.

    Use it as a context manager: `threading.excepthook` is replaced in the `with` block.

    Args:
        leave: called with the reason when a thread dies, in the dying thread.
    """

    def __init__(self, leave: Callable[[str], None]) -> None:
        self._leave = leave
        self._dead: List[str] = []
        self._before: Optional[Callable[..., Any]] = None

    def __enter__(self) -> ThreadFailures:
        """Install the hook; the hook before it is still called, and prints the traceback."""
        self._before, threading.excepthook = threading.excepthook, self._on_exception
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            threading.excepthook = self._before

    def check(self) -> None:
        """Raise InternalError if a thread has died."""
        if self._dead:
            raise InternalError(
                f"the thread {self._dead[0]!r} died of a bug in this program (see above); "
                "the program ends, to be restarted; please report it"
            )

    def _on_exception(self, failure: Any) -> None:
        if self._before is not None:
            self._before(failure)
        critical = not isinstance(failure.thread, NonCriticalThread)
        if failure.exc_type is not SystemExit and critical:
            name = failure.thread.name if failure.thread else "?"
            self._dead.append(name)
            self._leave(f"the thread {name!r} died")
