"""What the CPU's runner needs of a runtime."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Protocol, Sequence, Tuple

import numpy as np

BATCH, OPEN = -1, -2  # in a shape: the batch; another size that is known only at run time


class Port(NamedTuple):
    """An input or output as the file gives it."""

    name: str
    dims: Tuple[int, ...]
    dtype: np.dtype
    told: str  # its shape, for messages


class Session(Protocol):
    """One network, loaded by a runtime; `execute` may be called by several threads at once."""

    inputs: Sequence[Port]
    outputs: Sequence[Port]
    sizes: Sequence[int]  # batches that it executes, largest first, 1 last; empty = any

    def bind(
        self,
        feeds: Mapping[str, np.ndarray],
        results: Mapping[str, np.ndarray],
        others: Sequence[str],
    ) -> Any:
        """Prepare executions from and into these buffers.

        Args:
            feeds: input name -> buffer.
            results: output name -> buffer.
            others: names of wanted outputs without a buffer.
        """

    def execute(self, binding: Any) -> Dict[str, np.ndarray]:
        """Execute once, and give the wanted outputs that have no buffer.

        Raises:
            DataError: the network failed.
        """

    def unbind(self) -> None:
        """Let go of all buffers: the bindings made so far are executed no more."""
