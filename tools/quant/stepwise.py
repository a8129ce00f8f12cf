"""Run a network node by node and keep only the tensors that are still needed.

Two such runs side by side, one float and one quantized, show what a layer gets and what it should
give. Every node runs once, so the whole run costs one pass over the samples.
"""

from __future__ import annotations

from typing import Dict, List, Sequence, Set

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from tools.quant.collect import session_options

Batches = List[np.ndarray]


class StepwiseNetwork:
    """A network that has run up to some node, with all its samples.

    Constants of nodes that did not run yet may be changed: the nodes to run next are cut out of the
    model only when they run.

    Args:
        model: the network.
        inputs: graph input -> its batches.
        threads: threads of ONNX Runtime; 0 = all cores.

    Attributes:
        constants: initializers by name.
        tensors: batches of each tensor that a later node or an output needs.
    """

    def __init__(
        self, model: onnx.ModelProto, inputs: Dict[str, Batches], threads: int = 0
    ) -> None:
        self._model = model
        self._nodes = list(model.graph.node)
        self._threads = threads
        self._at = 0
        self.constants = {t.name: t for t in model.graph.initializer}
        self.tensors: Dict[str, Batches] = dict(inputs)

    @property
    def next_node(self) -> onnx.NodeProto:
        """The node that runs next."""
        return self._nodes[self._at]

    def run_to(self, name: str) -> None:
        """Run all nodes before the node `name`; its inputs are then in `tensors`."""
        end = next(i for i, node in enumerate(self._nodes) if node.name == name)
        self._run(end)

    def run_next(self) -> List[str]:
        """Run the next node and return the names of its outputs."""
        made = list(self._nodes[self._at].output)
        self._run(self._at + 1)
        return made

    def _run(self, end: int) -> None:
        nodes = self._nodes[self._at : end]
        self._at = max(self._at, end)
        if not nodes:
            return
        needed = self._needed_from(end)
        outputs = [o for node in nodes for o in node.output if o in needed]
        inputs = [n for n in _inputs(nodes) if n in self.tensors]
        if outputs:
            runner = self._runner(nodes, inputs, outputs)
            batches = len(next(iter(self.tensors.values())))
            found = [
                runner.run(outputs, {n: self.tensors[n][i] for n in inputs}) for i in range(batches)
            ]
            for place, name in enumerate(outputs):
                self.tensors[name] = [batch[place] for batch in found]
        self.tensors = {n: v for n, v in self.tensors.items() if n in needed}

    def _needed_from(self, start: int) -> Set[str]:
        later = {name for node in self._nodes[start:] for name in node.input}
        return later | {o.name for o in self._model.graph.output}

    def _runner(
        self, nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str]
    ) -> onnxruntime.InferenceSession:
        used = _inputs(nodes)
        piece = helper.make_model(
            helper.make_graph(
                list(nodes),
                "piece",
                [_float_value(name, self.tensors[name][0]) for name in inputs],
                [helper.make_empty_tensor_value_info(name) for name in outputs],
                [tensor for name, tensor in self.constants.items() if name in used],
            ),
            opset_imports=self._model.opset_import,
            ir_version=self._model.ir_version,
        )
        options = session_options(self._threads)
        # ONNX Runtime's graph rewriting would quantize float weights beside a quantized input.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(
            piece.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )


def _inputs(nodes: Sequence[onnx.NodeProto]) -> Set[str]:
    return {name for node in nodes for name in node.input if name}


def _float_value(name: str, value: np.ndarray) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    shape = [f"{name}_{i}" for i in range(value.ndim)]
    return helper.make_tensor_value_info(name, kind or TensorProto.FLOAT, shape)
