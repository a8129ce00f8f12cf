"""Runs one stage of the loop in a thread of its own."""

from __future__ import annotations

import queue
import threading
from typing import Callable, Generic, Optional, TypeVar

T = TypeVar("T")


class StageThread(Generic[T]):
    """Runs one stage in a thread of its own, step by step in their order."""

    def __init__(self, name: str, work: Callable[[T], None]) -> None:
        self._work = work
        self._queue: queue.Queue[Optional[T]] = queue.Queue(maxsize=1)
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def __enter__(self) -> StageThread[T]:
        self._thread.start()
        return self

    def put(self, step: T) -> None:
        """Hand over a step; waits while the one before it is still queued."""
        self._raise()
        self._queue.put(step)

    def put_alone(self, step: T) -> None:
        """Hand over a step when every one before it is done."""
        self.wait()
        self.put(step)

    def wait(self) -> None:
        """Wait until every step handed over is done."""
        self._queue.join()
        self._raise()

    def __exit__(self, *error: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if error[0] is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _loop(self) -> None:
        while True:
            step = self._queue.get()
            if step is None:
                return
            if self._error is None:
                try:
                    self._work(step)
                except BaseException as error:  # noqa: BLE001 - raised again in the loop's thread
                    self._error = error
            self._queue.task_done()
