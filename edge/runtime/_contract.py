"""The contract between this room's plugs and those who execute networks with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np

from edge.errors import NoInputError
from edge.recipe import Network, tool_line
from edge.runtime._core_pool import CorePool
from edge.runtime.kernels.decode import Chosen, Rows
from edge.structures import Frame, Veils


@dataclass(frozen=True)
class TensorSpec:
    """Shape and type of one input or output."""

    shape: Tuple[int, ...]  # -1 = known only at run time; the first is the batch
    dtype: np.dtype


@dataclass(frozen=True)
class RunnerOptions:
    """How a network is executed; the last six are for some runtimes only."""

    threads: int = 0  # of one execution on the CPU; 0 = the runtime's choice
    max_batch: int = 32  # larger batches are executed in chunks of this size
    cuda_graphs: bool = True  # engines: repeat a whole execution by one call
    dla_core: Optional[int] = None  # engines: the DLA core it was built for; None = the GPU
    preprocess: str = "auto"  # engines: crops by `kernel` or `opencv`; auto = the kernel if it fits
    pool: Optional[CorePool] = None  # CPU: executes samples in threads that networks share
    onnx: str = "ort"  # plug that executes ONNX files: ort or openvino
    bf16: bool = False  # openvino: compute float layers in BF16


@dataclass(frozen=True)
class DeviceArray:
    """An array as the GPU sees it; borrowed like the host's view of it."""

    pointer: int  # address for the GPU
    shape: Tuple[int, ...]
    dtype: np.dtype


Fill = Callable[[int, int], None]  # first sample, number of samples


class Runner(Protocol):
    """One loaded network.

    Use: `x = runner.feed(n)`, fill `x["input"]` in place, `y = runner.run()`. Both dicts hold views
    of the runner's buffers, borrowed until the next `feed`. A batch of 0 executes nothing and gives
    empty outputs. A batch above `max_batch` is executed in chunks, and the caller sees no chunks.

    Every runner derives from this class. A method that a runner cannot do keeps the default here.
    """

    inputs: Dict[str, TensorSpec]
    outputs: Dict[str, TensorSpec]
    sha256: str  # of the bytes that were loaded
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
        """Free the network and its buffers; may be called twice."""

    def trial_s(self) -> float:
        """Execute one sample of noise, which is not counted; gives the time, inf = it cannot.

        Raises:
            DataError: the network failed.
        """
        return float("inf")

    def want(self, output: str) -> None:
        """Note that this output is read; outputs without a note need not be brought to the host.

        Until the first call all outputs are brought.
        """
        return

    def begin(self, fill: Fill) -> bool:
        """Fill the input that `feed` gave and execute, while the caller goes on; `run` waits.

        Args:
            fill: writes some samples of the input, called in the threads that execute them; the
                last call may ask for more samples than were fed.

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
    """Fills the image input of an engine on the GPU, and reads its outputs there."""

    def sample(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        matrices: np.ndarray,
        network: Network,
        border: int = 0,
        veils: Optional[Veils] = None,
    ) -> None:
        """Fill the input with crops as `edge.models._preprocess.crops.sample` does."""

    def letterbox(self, frames: Sequence[Frame], network: Network, border: int) -> np.ndarray:
        """Fill the input with whole frames as `edge.models._preprocess.crops.letterbox` does."""

    def peaks(self, x: str, y: str, reach: int = 0) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Execute what was fed, and find the maxima along the bins of two outputs [B,K,bins].

        Args:
            x: name of an output.
            y: name of the output of the other axis.
            reach: bins on each side of a maximum whose values are wanted, too.

        Returns:
            Bins [B,K,2] i32 of the maxima; maxima [B,K,2] f32; with a reach the values
            [B,K,2,2*reach+1] f32 around them, 0 outside the axis. Borrowed until the next call.
        """

    def choose(self, wanted: Mapping[str, Rows], floor: float) -> Dict[str, Chosen]:
        """Execute what was fed, and choose rows of outputs by their scores.

        Args:
            wanted: where rows lie, by any names.
            floor: lowest score.

        Returns:
            The chosen rows, by the same names.
        """

    def close(self) -> None:
        """Free what it uses on the GPU; may be called twice."""


Read = Callable[[Path], bytes]


def read_plain(path: Path) -> bytes:
    """Give the bytes of a file.

    Raises:
        NoInputError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoInputError(
            f"{path}: {error.strerror or error}; `{tool_line('get', path.parent)}` fetches it"
        ) from error
