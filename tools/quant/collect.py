"""Run a network over calibration inputs and count the values of its tensors."""

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
    """Options of a quiet session whose waiting threads sleep.

    Many short sessions run here beside other work, which spinning threads would slow down.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def session(model: onnx.ModelProto, threads: int = 0) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session that prints nothing.

    Raises:
        DataError: the network cannot be loaded.
    """
    options = session_options(threads)
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise DataError(f"the network does not load: {str(error).splitlines()[0]}") from error


def with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """A copy of the model with more tensors among its outputs, of unknown shape."""
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
    """Histogram of |x| of each tensor over all batches.

    Memory holds the tensors of one batch and the histograms.

    Args:
        model: float network.
        tensors: names of the tensors; a graph input is counted as it is fed.
        batches: graph input -> [N,...].
        progress: called with the number of samples done after each batch.

    Raises:
        DataError: there is no batch, or a value is NaN or infinite.
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
        raise DataError("there are no recorded inputs of this network to calibrate with")
    return found


def _check(found: Dict[str, Histogram]) -> None:
    for name, histogram in found.items():
        if histogram.not_finite:
            raise DataError(
                f"tensor {name!r} holds values that are not finite (NaN or infinite) in the float "
                "network; its weights or the recorded inputs are damaged"
            )
