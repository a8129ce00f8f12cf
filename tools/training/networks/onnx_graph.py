"""An ONNX file as a trainable module whose weights go back into the same file.

Only the operators of our own converters' networks are known. Weights are trained where they are:
the graph, its names and its metadata stay, so whatever reads the old file reads the new one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import DataError, NoInputError

Node = Tuple[str, List[str], str, Dict[str, Any], str]  # operator, inputs, output, options, layer


class OnnxGraph(nn.Module):
    """A graph of convolutions and simple operators.

    Args:
        path: of the ONNX file.

    Raises:
        NoInputError: it cannot be read. DataError: it has an operator that is not known here.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            self.model = onnx.load_from_string(path.read_bytes())
        except OSError as error:
            raise NoInputError(f"{path}: {error.strerror or error}") from error
        except Exception as error:
            raise DataError(f"{path}: is no ONNX file ({type(error).__name__})") from error
        graph = self.model.graph
        self.input = graph.input[0].name
        self.output_names = [o.name for o in graph.output]
        self._fixed = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
        self.layers = nn.ModuleDict()
        self.extra = nn.ParameterDict()
        self._weight_names: Dict[str, Tuple[str, ...]] = {}
        self._extra_names: Dict[str, str] = {}
        self._frozen = 0  # nodes that are not trained
        self._nodes = [self._node(n, path) for n in graph.node if n.op_type != "Constant"]

    def _node(self, node: Any, path: Path) -> Node:
        options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type not in _OPERATORS or len(node.output) != 1:
            raise DataError(f"{path}: operator {node.op_type} cannot be trained here")
        layer = ""
        if node.op_type in ("Conv", "Gemm"):
            layer = f"n{len(self.layers)}"
            self._weight_names[layer] = tuple(node.input[1:])
            weights = [self._array(n) for n in node.input[1:]]
            self.layers[layer] = _layer(node.op_type, options, weights, path)
        else:
            self._learn(node)
        return node.op_type, list(node.input), node.output[0], options, layer

    def _learn(self, node: Any) -> None:
        """Make parameters of floating-point weights that Add, Mul and PRelu use."""
        if node.op_type not in ("Add", "Mul", "PRelu"):
            return
        for name in node.input:
            array = self._fixed.get(name)
            if array is not None and array.dtype == np.float32 and name not in self._extra_names:
                self._extra_names[name] = f"e{len(self._extra_names)}"
                self.extra[self._extra_names[name]] = nn.Parameter(torch.from_numpy(array.copy()))

    def _array(self, name: str) -> np.ndarray:
        return self._fixed[name].astype(np.float32)

    def forward(self, images: Tensor) -> Dict[str, Tensor]:
        """All outputs by name of images [B,3,H,W]."""
        return self.tail(self.stem(images))

    def keep(self, outputs: Sequence[str], path: Path) -> None:
        """Give these values, outputs or not, and compute nothing else.

        Args:
            outputs: names of values of the graph.
            path: of the file, for the error.

        Raises:
            DataError: the graph has no such value.
        """
        made = {node[2] for node in self._nodes}
        for name in outputs:
            if name not in made:
                raise DataError(f"{path}: computes no {name}; it is another network")
        needed, some = set(outputs), []
        for node in reversed(self._nodes):
            if node[2] in needed:
                needed.update(node[1])
                some.append(node)
        self.output_names, self._nodes = list(outputs), some[::-1]
        layers = {node[4] for node in some}
        for name in [n for n in self.layers if n not in layers]:
            del self.layers[name]
            del self._weight_names[name]

    def freeze(self, layers: int) -> None:
        """Keep the first layers as they are; `stem` then computes without gradients."""
        self._frozen = 0
        for number, node in enumerate(self._nodes):
            layers -= bool(node[4])
            if layers < 0:
                break
            self._frozen = number + 1
            if node[4]:
                self.layers[node[4]].requires_grad_(False)
            for name in node[1]:
                if name in self._extra_names:
                    self.extra[self._extra_names[name]].requires_grad_(False)

    def freeze_shared(self) -> None:
        """Keep every layer that all outputs need as it is; the rest is the head."""
        shared = set.intersection(*(self._before(name) for name in self.output_names))
        # Nodes of the head follow those that all outputs need, whatever their order in the file.
        self._nodes.sort(key=lambda node: node[2] not in shared)
        self.freeze(sum(bool(node[4]) for node in self._nodes if node[2] in shared))

    def learned(self) -> List[str]:
        """Names of the weights that are trained."""
        names = [
            name
            for layer, parts in self._weight_names.items()
            for name, weight in zip(parts, self.layers[layer].parameters())
            if weight.requires_grad
        ]
        return names + [n for n, key in self._extra_names.items() if self.extra[key].requires_grad]

    def _before(self, output: str) -> Set[str]:
        """Outputs of all nodes that an output of the graph needs."""
        needed = {output}
        for _, inputs, name, _, _ in reversed(self._nodes):
            if name in needed:
                needed.update(inputs)
        return needed & {node[2] for node in self._nodes}

    def stem(self, images: Tensor) -> Dict[str, Tensor]:
        """What the rest of the graph needs of the frozen part; the rest of a copy takes it, too."""
        with torch.no_grad():
            return self.advance({self.input: images}, 0, self._frozen)

    def tail(self, stem: Mapping[str, Tensor]) -> Dict[str, Tensor]:
        """All outputs by name, after `stem`."""
        values = dict(stem)
        self._compute(values, self._nodes[self._frozen :])
        return {name: values[name] for name in self.output_names}

    def place(self, name: str) -> int:
        """The number of the node that makes a value; -1 for the input."""
        return next((i for i, node in enumerate(self._nodes) if node[2] == name), -1)

    def advance(
        self, values: Mapping[str, Tensor], first: int, last: int, wanted: Sequence[str] = ()
    ) -> Dict[str, Tensor]:
        """Compute some nodes.

        Args:
            values: what they need.
            first: the number of the first node.
            last: the number behind the last node.
            wanted: names of values to give; empty: all that later nodes need.
        """
        now = dict(values)
        self._compute(now, self._nodes[first:last])
        later = {n for node in self._nodes[last:] for n in node[1]} | {*self.output_names}
        kept = set(wanted) or later
        return {name: value for name, value in now.items() if name in kept}

    def sums(self) -> List[str]:
        """Names of what blocks add up: outputs of Add that a further convolution reads."""
        read = {name for node in self._nodes if node[4] for name in node[1]}
        return [node[2] for node in self._nodes if node[0] == "Add" and node[2] in read]

    def around(self, layer: str) -> Tuple[str, str, str]:
        """Names of a layer's input and output, and of what is added to the output; or ''."""
        node = next(n for n in self._nodes if n[4] == layer)
        users = [n for n in self._nodes if node[2] in n[1]]
        added = ""
        if [n[0] for n in users] == ["Add"]:
            added = next((n for n in users[0][1] if n != node[2]), "")
        return node[1][0], node[2], added

    def _compute(self, values: Dict[str, Tensor], nodes: Sequence[Node]) -> None:
        for operator, inputs, output, options, layer in nodes:
            given = [self._value(n, values) for n in inputs]
            if layer:
                values[output] = _run_layer(self.layers[layer], options, given[0])
            else:
                values[output] = _OPERATORS[operator](given, options)

    def _value(self, name: str, values: Mapping[str, Tensor]) -> Any:
        if name in values:
            return values[name]
        if name in self._extra_names:
            return self.extra[self._extra_names[name]]
        return self._fixed.get(name)

    def to_onnx(self, notes: Mapping[str, str]) -> bytes:
        """The file with the weights of now."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        arrays = {
            name: tensor.detach().cpu().numpy()
            for layer, names in self._weight_names.items()
            for name, tensor in zip(names, self.layers[layer].parameters())
        }
        arrays.update(
            (n, self.extra[k].detach().cpu().numpy()) for n, k in self._extra_names.items()
        )
        for weight in model.graph.initializer:
            if weight.name in arrays:
                kind = numpy_helper.to_array(weight).dtype
                weight.CopyFrom(
                    numpy_helper.from_array(arrays[weight.name].astype(kind), weight.name)
                )
        self._write_groups(model)
        known = {p.key: p.value for p in model.metadata_props}
        onnx.helper.set_model_props(model, {**known, **notes})
        return bytes(model.SerializeToString())

    def _write_groups(self, model: Any) -> None:
        """A convolution of each channel for itself has as many groups as channels now."""
        groups = {
            names[0]: layer.groups
            for key, names in self._weight_names.items()
            if isinstance(layer := self.layers[key], nn.Conv2d)
        }
        for node in model.graph.node:
            for option in node.attribute:
                if node.op_type == "Conv" and option.name == "group":
                    option.i = groups.get(node.input[1], option.i)


def _layer(
    operator: str, options: Mapping[str, Any], weights: Sequence[np.ndarray], path: Path
) -> nn.Module:
    """A convolution or a matrix with these weights; uneven padding is done by hand before it."""
    kernel, bias = weights[0], weights[1] if len(weights) > 1 else None
    made: nn.Module
    if operator == "Conv":
        if options.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise DataError(f"{path}: a convolution with auto_pad cannot be trained here")
        groups = int(options.get("group", 1))
        made = nn.Conv2d(
            kernel.shape[1] * groups,
            kernel.shape[0],
            tuple(kernel.shape[2:]),
            tuple(options.get("strides", (1, 1))),
            _even_pads(options) or 0,
            tuple(options.get("dilations", (1, 1))),
            groups,
            bias is not None,
        )
    else:
        if options.get("transA", 0) or not options.get("transB", 0):
            raise DataError(f"{path}: a matrix product of this form cannot be trained here")
        made = nn.Linear(kernel.shape[1], kernel.shape[0], bias is not None)
    with torch.no_grad():
        for parameter, array in zip(made.parameters(), weights):
            parameter.copy_(torch.from_numpy(array.copy()))
    return made


def _even_pads(options: Mapping[str, Any]) -> Optional[Tuple[int, int]]:
    """Rows and columns that are padded on both sides; None: not the same on both."""
    top, left, low, right = options.get("pads", (0, 0, 0, 0))
    return (top, left) if (top, left) == (low, right) else None


def _run_layer(layer: nn.Module, options: Mapping[str, Any], value: Tensor) -> Tensor:
    if _even_pads(options) is None:
        top, left, low, right = options["pads"]
        value = functional.pad(value, (left, right, top, low))
    made: Tensor = layer(value)
    return made


def _clip(given: List[Any], _: Mapping[str, Any]) -> Tensor:
    ends = [None if g is None else float(np.asarray(g).reshape(-1)[0]) for g in given[1:3]]
    return torch.clamp(given[0], *ends)


def _resize(given: List[Any], options: Mapping[str, Any]) -> Tensor:
    scales = next(g for g in given[2:] if g is not None and len(np.asarray(g)))
    last = [float(s) for s in np.asarray(scales)[-2:]]
    if options.get("mode") != b"linear" or np.asarray(scales).dtype.kind != "f":
        raise DataError("a Resize other than bilinear by a factor cannot be trained here")
    made: Tensor = functional.interpolate(
        given[0], scale_factor=last, mode="bilinear", align_corners=False
    )
    return made


def _reshape(given: List[Any], _: Mapping[str, Any]) -> Tensor:
    shape = [int(d) for d in np.asarray(given[1])]
    whole = [int(given[0].shape[i]) if d == 0 and i else d for i, d in enumerate(shape)]
    # The batch is open: its size would be arithmetic in a graph that is exported again.
    return given[0].reshape([-1, *whole[1:]])


def _max_pool(given: List[Any], options: Mapping[str, Any]) -> Tensor:
    value, (top, left, low, right) = given[0], options.get("pads", (0, 0, 0, 0))
    if any((top, left, low, right)):
        value = functional.pad(value, (left, right, top, low), value=-3e38)
    made: Tensor = functional.max_pool2d(
        value, tuple(options["kernel_shape"]), tuple(options["strides"])
    )
    return made


def _pad(given: List[Any], options: Mapping[str, Any]) -> Tensor:
    pads = [int(p) for p in np.asarray(given[1] if len(given) > 1 else options["pads"])]
    half = len(pads) // 2
    order = [p for i in reversed(range(half)) for p in (pads[i], pads[i + half])]
    return functional.pad(given[0], order)


def _tensor(value: Any) -> Any:
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value


_OPERATORS: Dict[str, Callable[[List[Any], Mapping[str, Any]], Tensor]] = {
    "Conv": lambda g, o: g[0],
    "Gemm": lambda g, o: g[0],
    "Clip": _clip,
    "Add": lambda g, o: _tensor(g[0]) + _tensor(g[1]),
    "Mul": lambda g, o: _tensor(g[0]) * _tensor(g[1]),
    "Resize": _resize,
    "Reshape": _reshape,
    "MaxPool": _max_pool,
    "Sigmoid": lambda g, o: torch.sigmoid(g[0]),
    "Relu": lambda g, o: functional.relu(g[0]),
    "PRelu": lambda g, o: functional.relu(g[0]) - _tensor(g[1]) * functional.relu(-g[0]),
    "Pad": _pad,
    "GlobalAveragePool": lambda g, o: g[0].mean((2, 3), keepdim=True),
    "Flatten": lambda g, o: g[0].flatten(1),
}
