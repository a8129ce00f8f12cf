"""The CPU's cores, shared by networks that run at once: each gets few, and batches are shared out.

One sample on all cores leaves them waiting for each other at the end of each of a hundred layers:
two cores executed the body network for one person 1.4 times as fast as one. A sample on each core
has nothing to wait for, and what the loop itself computes is done meanwhile.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Callable, List, Sequence, Tuple

# Of a single person no more can be executed at once: two hands, the face, the next frame's body.
_ENOUGH_LANES = 4


class Crew:
    """Threads that execute networks: `lanes` at once, with `threads` cores each."""

    def __init__(self, cores: int) -> None:
        self.threads = max(1, cores // _ENOUGH_LANES)
        self.lanes = cores // self.threads
        self._pool = ThreadPoolExecutor(self.lanes, "network")

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
