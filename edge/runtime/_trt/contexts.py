"""Execution contexts of an engine: one for each chunk that is executed again and again.

A context holds shapes and addresses. A CUDA graph is bound to the context it was captured from, and
is void when these change (NVIDIA's developer guide, CUDA graphs). So each chunk has a context of
its own. All contexts share one piece of memory for activations, which is safe because their work is
queued on one stream. Before TensorRT 10 contexts cannot share an optimization profile: then there
is one context, and its graph is for the chunk that it was set to last.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import Any, Dict, List, Mapping, Optional

from edge.errors import DataError, EdgeError, TempError, UnavailableError
from edge.runtime._cuda.graph import Graph, capture
from edge.runtime._cuda.memory import DEVICE, Buffer, Device, Stream
from edge.runtime._trt.engine import Engine, Shape, errors, last_error
from edge.runtime._trt.tensors import Chunk, Tensor

log = logging.getLogger(__name__)

MAX_CONTEXTS = 8  # then the least recently used one is set to another chunk
# Executions of a chunk before it is captured: the first one prepares what a capture must not.
UNCAPTURED_RUNS = 2


class _Place:
    """One context and its graph."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.graph: Optional[Graph] = None
        self.runs = 0
        self.queued = False  # executed, and the stream was not waited for since

    def drop_graph(self) -> None:
        if self.graph is not None:
            self.graph.close()
        self.graph = None


class Contexts:
    """Queues chunks of a batch on the stream of a runner.

    Args:
        loaded: the engine.
        device: the GPU.
        stream: of the runner.
        samples: shape of one sample of each input.
        graphs: whether to capture chunks that repeat.

    Raises:
        TempError: no GPU memory.
    """

    def __init__(
        self,
        loaded: Engine,
        device: Device,
        stream: Stream,
        samples: Mapping[str, Shape],
        graphs: bool,
    ) -> None:
        self._loaded = loaded
        self._device = device
        self._stream = stream
        self._samples = samples
        self.graphs = graphs
        self.captures = 0
        self._memory: Optional[Buffer] = None
        self._places: OrderedDict[Chunk, _Place] = OrderedDict()
        self._spare: List[_Place] = []
        self._most = MAX_CONTEXTS if self._share() else 1
        try:
            self._spare.append(self._create())
        except EdgeError:
            self.close()
            raise

    def _share(self) -> bool:
        """Allocate memory for all contexts, if they can share a profile (TensorRT 10 and later)."""
        trt, engine = self._loaded.trt, self._loaded.engine
        if not hasattr(trt, "ExecutionContextAllocationStrategy"):
            return False
        size = engine.device_memory_size_v2
        self._memory = self._device.buffer(size, DEVICE, f"{self._loaded.name}: activations")
        return True

    def _create(self) -> _Place:
        trt, engine = self._loaded.trt, self._loaded.engine
        if self._memory is None:
            context = engine.create_execution_context()
        else:
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            context = engine.create_execution_context(strategy)
        if context is None:
            raise TempError(
                f"{self._loaded.name}: no execution context: {last_error('out of memory?')}"
            )
        if self._memory is not None:
            context.set_device_memory(self._memory.pointer, self._memory.nbytes)
        return _Place(context)

    def output_shapes(self, names: List[str], batch: int) -> Dict[str, Shape]:
        """The shapes of outputs for a batch.

        Raises:
            DataError: a size depends on the values of the input.
        """
        place = self._spare[-1]
        self._shape(place, batch)
        context = place.context
        shapes = {name: tuple(context.get_tensor_shape(name)) for name in names}
        for name, shape in shapes.items():
            if any(d < 0 for d in shape):
                raise DataError(
                    f"{self._loaded.name}: output {name!r} has a size that depends on the picture; "
                    "export without NMS"
                )
        return shapes

    def queue(self, chunk: Chunk, tensors: List[Tensor]) -> None:
        """Queue one execution.

        Args:
            chunk: first row and rows.
            tensors: every input and output.

        Raises:
            TempError: TensorRT failed. DataError: the engine does not take this chunk.
        """
        place = self._place(chunk, tensors)
        place.queued = True
        place.runs += 1
        if place.graph is None and self.graphs and place.runs > UNCAPTURED_RUNS:
            self._capture(place)
        if place.graph is not None:
            place.graph.launch(self._stream)
        elif not self._execute(place):
            raise TempError(f"{self._loaded.name}: TensorRT failed: {last_error()}")

    def waited(self) -> None:
        """Note that the stream was waited for: nothing is queued any more."""
        for place in self._places.values():
            place.queued = False

    def forget(self) -> None:
        """Drop all graphs and addresses, because the tensors get new memory."""
        for place in self._places.values():
            place.drop_graph()
            self._spare.append(place)
        self._places.clear()

    def close(self) -> None:
        """Free contexts and memory; may be called twice. Nothing may be queued."""
        self.forget()
        self._spare.clear()
        if self._memory is not None:
            self._memory.close()

    def _place(self, chunk: Chunk, tensors: List[Tensor]) -> _Place:
        place = self._places.get(chunk)
        if place is not None:
            self._places.move_to_end(chunk)
            return place
        if not self._spare:
            self._spare.append(self._new_or_oldest())
        place = self._spare[-1]
        place.runs = 0
        self._shape(place, chunk[1])
        self._address(place, chunk, tensors)
        self._places[chunk] = self._spare.pop()
        return place

    def _new_or_oldest(self) -> _Place:
        """A context for one more chunk: a new one, or the oldest where there is no room."""
        if len(self._places) < self._most:
            try:
                return self._create()
            except EdgeError as error:
                self._most = len(self._places)
                log.info("%s: uses only %d contexts: %s", self._loaded.name, self._most, error)
        return self._oldest()

    def _oldest(self) -> _Place:
        """Take the context of the least recently used chunk."""
        chunk, place = next(iter(self._places.items()))
        if place.queued:  # the GPU still reads what it is set to
            self._stream.synchronize()
            self.waited()
        place.drop_graph()
        del self._places[chunk]
        return place

    def _shape(self, place: _Place, batch: int) -> None:
        context = place.context
        for name, sample in self._samples.items():
            if not context.set_input_shape(name, (batch, *sample)):
                raise DataError(
                    f"{self._loaded.name}: does not take {batch} samples at once: {last_error()}; "
                    "build it again with `edge-tools build --batch`"
                )

    def _address(self, place: _Place, chunk: Chunk, tensors: List[Tensor]) -> None:
        context = place.context
        for tensor in tensors:
            if not context.set_tensor_address(tensor.name, tensor.address(chunk)):
                raise TempError(
                    f"{self._loaded.name}: {tensor.name}: refused memory: {last_error()}"
                )

    def _execute(self, place: _Place) -> bool:
        context = place.context
        errors.clear()
        return bool(context.execute_async_v3(self._stream.number))

    def _capture(self, place: _Place) -> None:
        try:
            place.graph = capture(self._device, self._stream, lambda: self._execute(place))
            self.captures += 1
        except UnavailableError as error:
            self.graphs = False
            why = last_error(str(error))
            log.info("%s: executes without CUDA graphs: %s", self._loaded.name, why)
