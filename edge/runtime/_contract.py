"""What every runner of a network gives and takes: the contract of this room's plugs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np

from edge.errors import NoInputError
from edge.recipe import Network
from edge.runtime._crew import Crew
from edge.runtime.kernels.decode import Chosen, Rows
from edge.structures import Frame, Veils


@dataclass(frozen=True)
class TensorSpec:
    """Shape and type of one input or output."""

    shape: Tuple[int, ...]  # -1 = known only at run time; the first is the batch
    dtype: np.dtype


@dataclass(frozen=True)
class RunnerOptions:
    """What a runner may use."""

    threads: int = 0  # 0 = the runtime's choice
    max_batch: int = 32  # larger batches run in chunks of this size
    cuda_graphs: bool = True  # engines: repeat whole executions by one call
    dla_core: Optional[int] = None  # engines: where it was built for; None = the GPU
    preprocess: str = "auto"  # engines: crops by `kernel` or `opencv`; auto = the kernel if it fits
    crew: Optional[Crew] = None  # on the CPU: shares the cores among networks that run at once


@dataclass(frozen=True)
class DeviceArray:
    """An array as the GPU sees it; borrowed like the host's view of it."""

    pointer: int
    shape: Tuple[int, ...]
    dtype: np.dtype


Fill = Callable[[int, int], None]  # the first of some samples, and how many


class Runner(Protocol):
    """One loaded network.

    Use: `x = runner.feed(n)`, fill `x["input"]` in place, `y = runner.run()`. Both dicts hold views
    into buffers of the runner: borrowed until the next `feed`. A batch of 0 runs nothing and gives
    empty outputs. A batch above `max_batch` is executed in chunks, invisibly.

    Every runner derives from this class. What it cannot do keeps the default given here.
    """

    inputs: Dict[str, TensorSpec]
    outputs: Dict[str, TensorSpec]
    sha256: str  # of the very bytes that were loaded
    crops: Optional[Crops] = None  # fills the image input on the GPU; None = the host fills it

    @property
    def runs(self) -> int:
        """Executions of the network so far."""

    @property
    def concurrent(self) -> bool:
        """Whether another network may run meanwhile: this one leaves it cores, or needs none."""
        return False

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        """Input buffers for `batch` samples, [batch, ...] each, to be filled in place."""

    def run(self) -> Dict[str, np.ndarray]:
        """Execute what was fed; outputs are [batch, ...] each, borrowed until the next feed."""

    def close(self) -> None:
        """Give everything back; may be called twice."""

    def want(self, output: str) -> None:
        """Note that somebody reads an output; the others need not be brought to the host.

        Until the first call all outputs are read.
        """
        return

    def begin(self, fill: Fill) -> bool:
        """Fill the input that `feed` gave and execute, while the caller goes on; `run` waits.

        Args:
            fill: writes some samples of the input, in the threads that execute them; the last call
                may ask for more samples than were fed.

        Returns:
            False = the runner cannot: the caller fills the input, and `run` does the rest.
        """
        return False

    def use_kernels(self, preprocess: str) -> None:
        """Have CUDA kernels fill the image input (`crops`), where there is a GPU that runs them.

        Args:
            preprocess: auto, kernel or opencv (`runtime.preprocess` of the configuration).

        Raises:
            EdgeError: `kernel` is asked for and there is none for this GPU.
        """
        return


class Crops(Protocol):
    """Fills a runner's image input from frames where the engine reads it, without the host."""

    def sample(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        matrices: np.ndarray,
        network: Network,
        border: int = 0,
        veils: Optional[Veils] = None,
    ) -> None:
        """What `edge.models._preprocess.crops.sample` does."""

    def letterbox(self, frames: Sequence[Frame], network: Network, border: int) -> np.ndarray:
        """What `edge.models._preprocess.crops.letterbox` does."""

    def peaks(self, x: str, y: str, reach: int = 0) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Execute what was fed; of two outputs [B,K,bins] where the maxima are, and the maxima.

        Returns:
            Bins [B,K,2] i32, maxima [B,K,2] f32, and with a reach the logits [B,K,2,2*reach+1] f32
            around them, 0 outside the axis; borrowed until the next call.
        """

    def choose(self, wanted: Mapping[str, Rows], floor: float) -> Dict[str, Chosen]:
        """Execute what was fed; the rows whose score is at least `floor`, by the same names."""

    def close(self) -> None:
        """Give everything back; may be called twice."""


Read = Callable[[Path], bytes]


def read_plain(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        NoInputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoInputError(
            f"{path}: {error.strerror or error}; `edge-tools get {path.parent.name}` fetches it"
        ) from error
