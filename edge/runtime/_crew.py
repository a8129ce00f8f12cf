"""The CPU's cores, shared by networks that run at once: each sample has one to itself.

One sample on all cores leaves them waiting for each other at the end of each of a hundred layers:
two cores executed the body network for one person 1.4 times as fast as one. A sample on each core
has nothing to wait for, and what the loop itself computes is done meanwhile.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Callable, List, Sequence, Tuple


class Crew:
    """Threads that execute networks, one for each core; a session of these has one thread."""

    def __init__(self, cores: int) -> None:
        self._pool = ThreadPoolExecutor(cores, "network")

    def begin(
        self, work: Callable[[int, int], Any], pieces: Sequence[Tuple[int, int]]
    ) -> List[Future[Any]]:
        """Have `work` done for each piece; from any thread. `finish` waits for it."""
        return [self._pool.submit(work, *piece) for piece in pieces]

    def close(self) -> None:
        """End the threads when they are done; may be called twice."""
        self._pool.shutdown()


def finish(begun: Sequence[Future[Any]]) -> List[Any]:
    """What the work gives for each piece, in their order, when all are done.

    Raises:
        Whatever it raises, for the first piece for which it does.
    """
    wait(begun)
    return [future.result() for future in begun]
