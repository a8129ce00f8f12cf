"""A thread that dies of a mistake of ours ends the program, so that systemd starts it whole again.

Without this a box would go on and look well while, say, its outbox writes nothing.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional

from edge.errors import InternalError


class Dispensable(threading.Thread):
    """A thread that others look after, or without which the program does its job."""


class Fallen:
    """Hears of threads that die of an exception, dispensable ones left out.

    Args:
        leave: told why, when the first one dies; called from the dying thread.
    """

    def __init__(self, leave: Callable[[str], None]) -> None:
        self._leave = leave
        self._dead: List[str] = []
        self._before: Optional[Callable[..., Any]] = None

    def __enter__(self) -> Fallen:
        """Listen, after whoever tells the traceback."""
        self._before, threading.excepthook = threading.excepthook, self._heard
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            threading.excepthook = self._before

    def check(self) -> None:
        """Raises InternalError: a thread died."""
        if self._dead:
            raise InternalError(
                f"the thread {self._dead[0]!r} died of a mistake in the program (see above); "
                "leaving, to be started anew; please report it"
            )

    def _heard(self, told: Any) -> None:
        if self._before is not None:
            self._before(told)
        if told.exc_type is not SystemExit and not isinstance(told.thread, Dispensable):
            name = told.thread.name if told.thread else "?"
            self._dead.append(name)
            self._leave(f"the thread {name!r} died")
