"""The CPU's cores, shared by networks that run at once: each sample has one to itself.

One sample on all cores leaves them waiting for each other at the end of each of a hundred layers:
two cores executed the body network for one person 1.4 times as fast as one. A sample on each core
has nothing to wait for, and what the loop itself computes is done meanwhile.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, Callable, List, Optional, Sequence, Tuple

Piece = Tuple[int, int]
Work = Callable[[int, int], Any]


class Crew:
    """Threads that execute networks, one for each core; a session of these has one thread.

    They start when there is work.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._lock = threading.Lock()
        self._threads: List[threading.Thread] = []
        self._waiting: SimpleQueue[Optional[Tuple[Future[Any], Work, Piece]]] = SimpleQueue()

    def begin(self, work: Work, pieces: Sequence[Piece]) -> List[Future[Any]]:
        """Have `work` done for each piece, in this order; from any thread. `finish` waits for it.

        All in the order in which it is begun. Bodies before hands that wait would not end a step
        sooner: both stages of the loop would then want their next batch at the same time, and
        meanwhile the cores have nothing to do (1 % of a step, two cores).
        """
        if not self._threads:
            self._start()
        return [self._put(work, piece) for piece in pieces]

    def close(self) -> None:
        """End the threads when all is done; may be called twice."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _start(self) -> None:
        with self._lock:
            while len(self._threads) < self._cores:
                name = f"network {len(self._threads)}"
                self._threads.append(threading.Thread(target=self._loop, name=name, daemon=True))
                self._threads[-1].start()

    def _put(self, work: Work, piece: Piece) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.put((future, work, piece))
        return future

    def _loop(self) -> None:
        while True:
            waiting = self._waiting.get()
            if waiting is None:
                return
            future, work, piece = waiting
            del waiting
            try:
                future.set_result(work(*piece))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                future.set_exception(error)
            del future, work  # they hold frames


def finish(begun: Sequence[Future[Any]]) -> List[Any]:
    """What the work gives for each piece, in their order, when all are done.

    Raises:
        Whatever it raises, for the first piece for which it does.
    """
    wait(begun)
    return [future.result() for future in begun]
