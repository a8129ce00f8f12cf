"""Run a network over calibration inputs and count what flows through it."""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from edge.errors import DataError
from tools.quant.ranges import Histogram

Feeds = Dict[str, np.ndarray]


def session_options(threads: int = 0) -> onnxruntime.SessionOptions:
    """Quiet, and threads that wait do sleep: many short sessions share the machine with others."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def session(model: onnx.ModelProto, threads: int = 0) -> onnxruntime.InferenceSession:
    """A model in ONNX Runtime, quietly.

    Raises:
        DataError: it cannot be run.
    """
    options = session_options(threads)
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise DataError(f"the network does not load: {str(error).splitlines()[0]}") from error


def with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """The model that also gives these tensors, of unknown shape."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    there = {o.name for o in copy.graph.output} | {i.name for i in copy.graph.input}
    copy.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in tensors
        if name not in there
    )
    return copy


def histograms(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    batches: Iterable[Feeds],
    progress: Callable[[int], None] = lambda samples: None,
) -> Dict[str, Histogram]:
    """|x| of each tensor over all batches; memory is one batch's tensors and the counts.

    Args:
        model: float network.
        tensors: whose values are counted; graph inputs are counted as fed.
        batches: inputs by name, first axis the batch.
        progress: told the number of samples done after each batch.

    Raises:
        DataError: there was no batch, or a value is NaN or infinite.
    """
    runner = session(with_outputs(model, tensors))
    made: List[str] = [t for t in tensors if t in {o.name for o in runner.get_outputs()}]
    found = {name: Histogram() for name in tensors}
    samples = 0
    for feeds in batches:
        for name, value in zip(made, runner.run(made, feeds)):
            found[name].add(value)
        for name in set(tensors) & set(feeds):
            found[name].add(feeds[name])
        _check(found)
        samples += len(next(iter(feeds.values())))
        progress(samples)
    if not samples:
        raise DataError("there is nothing to calibrate with: no inputs for this network")
    return found


def _check(found: Dict[str, Histogram]) -> None:
    for name, histogram in found.items():
        if histogram.broken:
            raise DataError(
                f"tensor {name!r} holds values that are not finite (NaN or infinite) in the float "
                "network; its weights or the recorded inputs are damaged"
            )
