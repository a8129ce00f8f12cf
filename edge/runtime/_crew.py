"""The CPU's cores, shared by networks that run at once: each sample has one to itself.

One sample on all cores leaves them waiting for each other at the end of each of a hundred layers:
two cores executed the body network for one person 1.4 times as fast as one. A sample on each core
has nothing to wait for, and what the loop itself computes is done meanwhile.
"""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future, wait
from queue import PriorityQueue
from typing import Any, Callable, List, Sequence, Tuple

Work = Callable[[int, int], Any]
_URGENT, _USUAL, _END = range(3)


class Crew:
    """Threads that execute networks, one for each core; a session of these has one thread.

    They start when there is work.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._lock = threading.Lock()
        self._threads: List[threading.Thread] = []
        # What it holds, after its rank and its turn: nothing else is ever compared.
        self._waiting: PriorityQueue[Tuple[int, int, Future[Any], Work, Tuple[int, int]]]
        self._waiting = PriorityQueue()
        self._turns = itertools.count()

    def begin(
        self, work: Work, pieces: Sequence[Tuple[int, int]], urgent: bool = False
    ) -> List[Future[Any]]:
        """Have `work` done for each piece; from any thread. `finish` waits for it.

        Args:
            work: called with a piece.
            pieces: in this order.
            urgent: before whatever waits that is not.
        """
        if not self._threads:
            self._start()
        return [self._put(_URGENT if urgent else _USUAL, work, piece) for piece in pieces]

    def close(self) -> None:
        """End the threads when all is done; may be called twice."""
        for _ in self._threads:
            self._put(_END, _nothing, (0, 0))
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _start(self) -> None:
        with self._lock:
            while len(self._threads) < self._cores:
                name = f"network {len(self._threads)}"
                self._threads.append(threading.Thread(target=self._loop, name=name, daemon=True))
                self._threads[-1].start()

    def _put(self, rank: int, work: Work, piece: Tuple[int, int]) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.put((rank, next(self._turns), future, work, piece))
        return future

    def _loop(self) -> None:
        while True:
            rank, _, future, work, piece = self._waiting.get()
            if rank == _END:
                return
            try:
                future.set_result(work(*piece))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                future.set_exception(error)
            del future, work  # they hold frames


def _nothing(start: int, count: int) -> None:
    """No work."""


def finish(begun: Sequence[Future[Any]]) -> List[Any]:
    """What the work gives for each piece, in their order, when all are done.

    Raises:
        Whatever it raises, for the first piece for which it does.
    """
    wait(begun)
    return [future.result() for future in begun]
