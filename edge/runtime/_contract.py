"""What every runner of a network gives and takes: the contract of this room's plugs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Protocol, Sequence, Set, Tuple

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


class Runner(Protocol):
    """One loaded network.

    Use: `x = runner.feed(n)`, fill `x["input"]` in place, `y = runner.run()`. Both dicts hold views
    into buffers of the runner: borrowed until the next `feed`. A batch of 0 runs nothing and gives
    empty outputs. A batch above `max_batch` is executed in chunks, invisibly.
    """

    inputs: Dict[str, TensorSpec]
    outputs: Dict[str, TensorSpec]
    sha256: str  # of the very bytes that were loaded

    @property
    def runs(self) -> int:
        """Executions of the network so far."""

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        """Input buffers for `batch` samples, [batch, ...] each, to be filled in place."""

    def run(self) -> Dict[str, np.ndarray]:
        """Execute what was fed; outputs are [batch, ...] each, borrowed until the next feed."""

    def close(self) -> None:
        """Give everything back; may be called twice."""


class Crops(Protocol):
    """Fills a runner's image input from frames where the engine reads it, without the host.

    A runner of an engine has one as its attribute `crops`; a runner that stands for another hands
    that one's on.
    """

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


def crops_of(runner: Runner) -> Optional[Crops]:
    """What fills the runner's input on the GPU; None = the host does."""
    crops: Optional[Crops] = getattr(runner, "crops", None)
    return crops


def beside_others(runner: Runner) -> bool:
    """Whether another network may run meanwhile: this one leaves it cores, or needs none."""
    return bool(getattr(runner, "beside_others", False))


Fill = Callable[[int, int], None]  # the first of some samples, and how many


def begin(runner: Runner, fill: Fill) -> bool:
    """Have it fill the input it gave and execute while the caller goes on; `run` waits for it.

    Args:
        runner: any; most cannot.
        fill: writes some samples of what `feed` gave, called in the threads that execute them; the
            last may ask for more samples than were fed.

    Returns:
        False = it cannot: the caller fills, and `run` does the rest.
    """
    start: Optional[Callable[[Fill], bool]] = getattr(runner, "begin", None)
    return start is not None and start(fill)


def wanted_of(runner: Runner) -> Set[str]:
    """Where readers note which outputs they read; a runner may leave the others where they are."""
    wanted: Set[str] = getattr(runner, "wanted", set())
    return wanted


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
