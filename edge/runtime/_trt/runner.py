"""One engine on the GPU, with its memory and its stream.

Inputs and outputs are memory that the host and the GPU share where the board shares memory;
elsewhere they are copied once in each direction. A CUDA kernel may write the inputs in place
(`feed_on_device`). Every runner queues its work on a stream of its own, and waits for that stream
alone, once for each `run`.
"""

from __future__ import annotations

import logging
from typing import Dict, List, Mapping, Optional, Set, Tuple

import numpy as np

from edge.errors import DataError, EdgeError, InternalError
from edge.runtime._contract import DeviceArray, Runner, RunnerOptions, TensorSpec
from edge.runtime._cuda.memory import Device, Stream
from edge.runtime._trt.contexts import Contexts
from edge.runtime._trt.engine import Engine, Shape, batches, check_inputs
from edge.runtime._trt.tensors import Chunk, Tensor
from edge.runtime.kernels.cropper import Cropper
from edge.runtime.kernels.staging import staging_of

log = logging.getLogger(__name__)


class TrtRunner(Runner):
    """One engine on the GPU; the contract is `edge.runtime.Runner`.

    Args:
        loaded: the engine; closed here.
        device: the GPU.
        shapes: of one sample of each input, by the recipe.
        options: batch limit, CUDA graphs.
        sha256: of the bytes that the engine was loaded from.

    Raises:
        DataError, ConfigError: the engine does not fit the recipe. TempError: no GPU memory.
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
        self._wanted: Set[str] = set()  # outputs that are read; empty = all
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
        """Inputs and outputs; sizes that the engine leaves open are those of the largest batch."""
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
        """Executions of the network so far, without that of `warm_up`."""
        return self._runs

    @property
    def concurrent(self) -> bool:
        """Always: an engine needs no CPU core."""
        return True

    @property
    def zero_copy(self) -> bool:
        """Whether the host and the engine read and write the same memory."""
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

        What the host writes into the views of `feed` is not used then.
        """
        self._prepare(batch)
        self._filled_on_device = True
        return {t.name: t.array(batch) for t in self._in}

    def queue(self) -> Dict[str, DeviceArray]:
        """Queue an execution; gives the outputs as the GPU sees them, for work queued after it.

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
        """Outputs that are brought to the host; an unread one can be most of the bytes."""
        return [t for t in self._out if t.name in self._wanted] if self._wanted else self._out

    def want(self, output: str) -> None:
        """Note that this output is read; outputs without a note stay on the GPU."""
        self._wanted.add(output)

    def use_kernels(self, preprocess: str) -> None:
        """Have CUDA kernels fill the image input; see `edge.runtime.Runner`."""
        if preprocess == "opencv":
            return
        try:
            self.crops = Cropper(self, staging_of(self.device))
        except EdgeError as error:
            if preprocess == "kernel":
                self.close()
                raise
            log.warning("%s: crops by OpenCV on the CPU: %s", self._name, error)

    def warm_up(self) -> None:
        """Execute once, which loads the kernels; closes the runner if that fails.

        Raises:
            TempError: no GPU memory, or the engine fails.
        """
        try:
            self.feed(1)
            self.run()
        except BaseException:
            self.close()
            raise
        self._runs = 0

    def wait(self) -> None:
        """Wait until all work on the stream is done.

        Raises:
            TempError: some of it failed.
        """
        self.stream.synchronize()
        if self._contexts is not None:
            self._contexts.waited()

    def close(self) -> None:
        """Free everything, in order; may be called twice."""
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
        """Allocate for the next power of two, and above a chunk for whole chunks."""
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
        """Chunks of a batch; the last one is filled up to the smallest batch of the engine."""
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
            tensor.into_bounce(chunk, self.stream)
        contexts.queue(chunk, self._tensors)
        self._runs += 1
        for tensor in self._out:
            tensor.out_of_bounce(chunk, self.stream)

    def _check_chunked(self) -> None:
        for tensor in self._read():
            if not tensor.follows:
                raise DataError(
                    f"{self._name}: output {tensor.name!r} does not follow the batch, so "
                    f"{self._batch} samples cannot run in chunks; raise runtime.max_batch above "
                    f"{self.max_batch}, or build with a larger --batch"
                )
