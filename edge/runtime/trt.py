"""TensorRT: the runner of NVIDIA GPUs. One engine, its memory and its stream; 8.5 to 11.

Inputs and outputs are memory that host and GPU share where the board shares it; elsewhere they are
copied once each way. A CUDA kernel may write inputs in place: `feed_on_device`. Every runner queues
on a stream of its own and waits for that stream alone, once for each `run`.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

import numpy as np

from edge.errors import DataError, EdgeError, InternalError, UnavailableError
from edge.runtime._contract import (
    DeviceArray,
    Read,
    Runner,
    RunnerOptions,
    TensorSpec,
    read_plain,
)
from edge.runtime._cuda.memory import Device, Stream, open_device
from edge.runtime._trt.contexts import Contexts
from edge.runtime._trt.engine import Engine, Shape, batches, check_inputs
from edge.runtime._trt.tensors import Chunk, Tensor
from edge.runtime.kernels.cutter import Cutter
from edge.runtime.kernels.stage import stage_of

log = logging.getLogger(__name__)

try:
    import tensorrt as trt
except ImportError as error:
    raise UnavailableError(
        f"TensorRT cannot be imported ({error}); on a Jetson: apt install python3-libnvinfer and a "
        "venv with --system-site-packages"
    ) from error


class TrtRunner(Runner):
    """One engine on the GPU; the contract is `edge.runtime.Runner`.

    Args:
        loaded: the engine.
        device: where it runs.
        shapes: sample shapes that the recipe tells.
        options: batch limit, CUDA graphs.
        sha256: of the bytes it was loaded from.
    """

    def __init__(
        self,
        loaded: Engine,
        device: Device,
        shapes: Mapping[str, Shape],
        options: RunnerOptions,
        sha256: str,
    ) -> None:
        self.device = device
        self.sha256 = sha256
        self._runs = 0
        self._loaded: Optional[Engine] = loaded
        self._name = loaded.name
        self._least, most = batches(loaded.name, loaded.tensors)
        self.fixed_batch: Optional[int] = most if self._least == most else None
        self.max_batch = max(min(options.max_batch, most), self._least)
        samples = check_inputs(loaded.name, loaded.tensors, shapes)
        self.stream: Stream = device.stream()
        self._batch = self._capacity = 0
        self._filled_on_device = False
        self._tensors: List[Tensor] = []
        self._chunks: List[Chunk] = []
        self._wanted: Set[str] = set()  # outputs that somebody reads; empty = all
        self._feeds: Dict[int, Dict[str, np.ndarray]] = {}  # views by batch, made once
        self._results: Dict[Tuple[int, int], Dict[str, np.ndarray]] = {}
        self._contexts: Optional[Contexts] = None
        try:
            self._contexts = Contexts(loaded, device, self.stream, samples, options.cuda_graphs)
            self.inputs, self.outputs = self._specs(loaded, samples, self._contexts)
            specs = {**self.inputs, **self.outputs}
            self._tensors = [Tensor(device, n, s, self.max_batch) for n, s in specs.items()]
            self._in = [t for t in self._tensors if t.name in self.inputs]
            self._out = [t for t in self._tensors if t.name in self.outputs]
        except BaseException:
            self.close()
            raise

    def _specs(
        self, loaded: Engine, samples: Mapping[str, Shape], contexts: Contexts
    ) -> Tuple[Dict[str, TensorSpec], Dict[str, TensorSpec]]:
        """Inputs and outputs; what the engine leaves open is known for the largest batch."""
        most, kinds = self.max_batch, {t.name: t.dtype for t in loaded.tensors}
        names = [t.name for t in loaded.tensors if not t.is_input]
        inputs = {n: TensorSpec((-1, *shape), kinds[n]) for n, shape in samples.items()}
        outputs = {}
        for name, shape in contexts.output_shapes(names, most).items():
            first = next(t.shape[:1] for t in loaded.tensors if t.name == name)
            batched = first == (-1,) or first == (self.fixed_batch,)
            outputs[name] = TensorSpec((-1, *shape[1:]) if batched else shape, kinds[name])
        return inputs, outputs

    @property
    def runs(self) -> int:
        """Executions of the network so far; the first, which warms it up, is not counted."""
        return self._runs

    @property
    def concurrent(self) -> bool:
        """Always: it needs the GPU only."""
        return True

    @property
    def zero_copy(self) -> bool:
        """Whether the host sees the very memory that the engine reads and writes."""
        return self.device.zero_copy

    @property
    def graphs(self) -> int:
        """CUDA graphs captured so far."""
        return self._contexts.captures if self._contexts else 0

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        """Input buffers for `batch` samples, borrowed until the next feed.

        Raises:
            TempError: no GPU memory for so many.
        """
        self._prepare(batch)
        self._filled_on_device = False
        if batch not in self._feeds:
            self._feeds[batch] = {t.name: t.view(batch) for t in self._in}
        return self._feeds[batch]

    def feed_on_device(self, batch: int) -> Dict[str, DeviceArray]:
        """The same buffers as the GPU sees them, to be filled by work on `stream` before `run`.

        What the host writes into the views of `feed` does not count then.
        """
        self._prepare(batch)
        self._filled_on_device = True
        return {t.name: t.array(batch) for t in self._in}

    def queue(self) -> Dict[str, DeviceArray]:
        """Queue the network; its outputs as the GPU will see them, for work queued after it.

        Raises:
            TempError: CUDA or TensorRT failed. DataError: a batch that cannot run in chunks.
        """
        self._queue()
        return {t.name: t.array(self._batch) for t in self._out}

    def run(self) -> Dict[str, np.ndarray]:
        """Execute what was fed; outputs are borrowed until the next feed.

        Raises:
            TempError: CUDA or TensorRT failed. DataError: a batch that cannot run in chunks.
        """
        self._queue()
        batch = self._batch
        if batch:
            for tensor in self._read():
                tensor.download(batch, self.stream)
            self.wait()
        key = (batch, len(self._wanted))
        if key not in self._results:
            self._results[key] = {t.name: t.view(batch) for t in self._read()}
        return self._results[key]

    def _read(self) -> List[Tensor]:
        """Outputs that are brought to the host; one that nobody reads can be most of the bytes."""
        return [t for t in self._out if t.name in self._wanted] if self._wanted else self._out

    def want(self, output: str) -> None:
        """Note that somebody reads an output; the others stay on the GPU."""
        self._wanted.add(output)

    def use_kernels(self, preprocess: str) -> None:
        """Have CUDA kernels fill the image input; see `edge.runtime.Runner`."""
        if preprocess == "opencv":
            return
        try:
            self.crops = Cutter(self, stage_of(self.device))
        except EdgeError as error:
            if preprocess == "kernel":
                self.close()
                raise
            log.warning("%s: crops by OpenCV on the CPU: %s", self._name, error)

    def wait(self) -> None:
        """Until all work on the stream is done.

        Raises:
            TempError: some of it failed.
        """
        self.stream.synchronize()
        if self._contexts is not None:
            self._contexts.waited()

    def close(self) -> None:
        """Give everything back, in order; may be called twice."""
        if self._loaded is None:
            return
        loaded, self._loaded = self._loaded, None
        with self.device.active(self._name):
            try:
                self.stream.close()
            finally:
                if self.crops is not None:
                    self.crops.close()
                if self._contexts is not None:
                    self._contexts.close()
                for tensor in self._tensors:
                    tensor.close()
                self._feeds.clear()
                self._results.clear()
                self._contexts = None
                loaded.close()

    def _prepare(self, batch: int) -> None:
        if self._contexts is None:
            raise InternalError(f"{self._name}: was closed")
        self._batch = batch
        self._chunks = self._chunks_of(batch)
        rows = sum(self._chunks[-1]) if batch else 0
        if rows > self._capacity or not self._capacity:
            self._grow(max(rows, self._least), self._contexts)

    def _grow(self, rows: int, contexts: Contexts) -> None:
        """Powers of two up to a whole chunk, so that a growing crowd costs few allocations."""
        step = self.max_batch
        whole = -(-rows // step) * step if rows > step else min(1 << (rows - 1).bit_length(), step)
        with self.device.active(self._name):
            self.wait()
            contexts.forget()
            self._feeds.clear()
            self._results.clear()
            self._capacity = 0
            for tensor in self._tensors:
                tensor.grow(max(whole, rows))
        self._capacity = max(whole, rows)

    def _chunks_of(self, batch: int) -> List[Chunk]:
        """(first row, rows); the last one is filled up to the smallest batch of the engine."""
        step = self.max_batch
        return [
            (start, max(min(step, batch - start), self._least)) for start in range(0, batch, step)
        ]

    def _queue(self) -> None:
        if self._contexts is None:
            raise InternalError(f"{self._name}: was closed")
        with self.device.active(self._name):
            for tensor in self._in if self._batch and not self._filled_on_device else ():
                tensor.upload(self._batch, self.stream)
            for chunk in self._chunks:
                self._queue_chunk(chunk, self._contexts)

    def _queue_chunk(self, chunk: Chunk, contexts: Contexts) -> None:
        if chunk[0]:
            self._check_chunked()
        for tensor in self._in:
            tensor.bring(chunk, self.stream)
        contexts.queue(chunk, self._tensors)
        self._runs += 1
        for tensor in self._out:
            tensor.fetch(chunk, self.stream)

    def _check_chunked(self) -> None:
        for tensor in self._read():
            if not tensor.follows:
                raise DataError(
                    f"{self._name}: output {tensor.name!r} does not follow the batch, so "
                    f"{self._batch} samples cannot run in chunks; raise runtime.max_batch above "
                    f"{self.max_batch}, or build with a larger --batch"
                )


def open_runner(
    path: Path,
    shapes: Mapping[str, Shape],
    options: RunnerOptions,
    read: Read = read_plain,
) -> TrtRunner:
    """Load an engine; see `edge.runtime.open_runner`.

    The driver is initialised first: without one some versions of TensorRT crash. The bytes are read
    once, so what was verified is what is loaded. The engine runs once before it is given out, since
    the first execution loads its kernels, which takes far longer than any other.

    Raises:
        UnavailableError: no GPU, or no such DLA core. DataError: not an engine of this machine.
        TempError: no GPU memory.
    """
    device = open_device()
    data = read(path)
    if not data:
        raise DataError(f"{path}: is empty; build it again: `edge-tools build`")
    with device.active(str(path)):
        loaded = Engine(trt, data, str(path), options.dla_core)
        try:
            runner = TrtRunner(loaded, device, shapes, options, hashlib.sha256(data).hexdigest())
        except BaseException:
            loaded.close()
            raise
    _warm(runner)
    return runner


def _warm(runner: TrtRunner) -> None:
    try:
        runner.feed(1)
        runner.run()
    except BaseException:
        runner.close()
        raise
    runner._runs = 0


def machine() -> Dict[str, Any]:
    """What an engine must have been built for: gpu, compute_capability, tensorrt.

    Raises:
        UnavailableError: no GPU.
    """
    device = open_device()
    major, minor = device.compute_capability
    return {
        "gpu": device.name,
        "compute_capability": f"{major}.{minor}",
        "tensorrt": str(trt.__version__),
    }
