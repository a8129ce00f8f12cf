"""A thread for each CPU core, shared by networks that run at the same time: one sample a thread.

If one sample runs on all cores, these wait for each other at the end of each of a hundred layers:
two cores executed the body network for one person only 1.4 times as fast as one core. If each core
has a sample of its own, it waits for nothing, and the loop's own work is done meanwhile.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, Callable, List, Optional, Sequence, Tuple

Piece = Tuple[int, int]  # first sample, number of samples
Work = Callable[[int, int], Any]


class CorePool:
    """Threads that execute networks, one for each core; they start with the first work.

    The sessions of these networks have one thread each.

    Args:
        cores: how many threads.
    """

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._lock = threading.Lock()
        self._threads: List[threading.Thread] = []
        self._waiting: SimpleQueue[Optional[Tuple[Future[Any], Work, Piece]]] = SimpleQueue()

    def begin(self, work: Work, pieces: Sequence[Piece]) -> List[Future[Any]]:
        """Queue `work` for each piece, first in, first out; from any thread. `finish` waits for it.

        Bodies that overtake waiting hands would not end a step sooner: both halves of the pose
        model would then want their next batch at the same time, and the cores would idle in between
        (1 % of a step, two cores).
        """
        if not self._threads:
            self._start()
        return [self._put(work, piece) for piece in pieces]

    def close(self) -> None:
        """Finish what is queued and end the threads; may be called twice."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _start(self) -> None:
        with self._lock:
            while len(self._threads) < self.cores:
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
    """Wait for all pieces, and give their results in order.

    Raises:
        BaseException: what `work` raised, of the first piece for which it did.
    """
    wait(begun)
    return [future.result() for future in begun]
