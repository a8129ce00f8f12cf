"""Layers that predictions count, against independent counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.errors import DataError
from tests.tools.prediction_graphs import filters, graph, node, residual_net
from tools.macs import macs as counted_macs
from tools.prediction import known
from tools.prediction.graph import layers_of
from tools.prediction.layers import Layer, conv, macs, merged, weights
from tools.prediction.shapes import FILE, shapes, written


def test_layers_of_a_graph_are_its_kernels() -> None:
    px = 16 * 16
    assert layers_of(residual_net()) == [
        Layer("conv", px, 8, 27, 1, 216, 3 * px, 8 * px, True),
        Layer("point", px, 8, 8, 1, 64, 8 * px, 8 * px),  # it keeps `b` in the cache: read once
        Layer("depth", px, 1, 9, 8, 72, 8 * px, 8 * px),
        Layer("move", 0, 0, 0, 1, 0, 8 * px, 8),
        Layer("matmul", 1, 5, 8, 1, 40, 8, 5, True),
    ]


def test_quantized_graph_costs_as_the_plain_one() -> None:
    model = residual_net()
    scale, zero = np.float32(0.1).reshape(()), np.int8(0).reshape(())
    model.graph.initializer.extend(
        [numpy_helper.from_array(scale, "q"), numpy_helper.from_array(zero, "z")]
    )
    added = []
    for i, each in enumerate([n for n in model.graph.node if n.op_type == "Conv"]):
        for k in (0, 1):
            added += [
                node("QuantizeLinear", f"{each.input[k]} q z", f"q{i}{k}"),
                node("DequantizeLinear", f"q{i}{k} q z", f"d{i}{k}"),
            ]
            each.input[k] = f"d{i}{k}"
        place = list(model.graph.node).index(each)
        for more in added:
            model.graph.node.insert(place, more)
            place += 1
        added = []
    onnx.shape_inference.infer_shapes(model, strict_mode=True)  # it is a sound graph
    assert layers_of(model) == layers_of(residual_net())


def test_joins_and_views_cost_nothing_and_products_of_activations_have_no_weights() -> None:
    nodes = [
        node("Conv", "image w1", "a"),
        node("Conv", "image w1", "b"),
        node("Concat", "a b", "c", axis=1),
        node("Reshape", "c shape", "d"),
        node("Transpose", "d", "e", perm=[0, 2, 1]),
        node("MatMul", "d e", "out"),
    ]
    given_ = {"w1": filters(4, 3, 1, 1), "shape": np.array([0, 8, 256])}
    found = layers_of(graph(nodes, given_, ["out"]))
    assert [la.kind for la in found] == ["point", "point", "move", "matmul"]
    assert found[-1].weights == 0
    assert found[-1].macs == 8 * 256 * 8
    assert found[-1].read == 2 * 8 * 256


def test_open_sizes_are_refused_in_one_line() -> None:
    model = residual_net()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(DataError, match=r"sizes around .* are open"):
        layers_of(model, "net.onnx")


@pytest.mark.parametrize(
    ("name", "gmacs", "million_weights"),
    [  # the papers' own figures, or those of the networks' published implementations
        ("resnet18", 1.814, 11.68),
        ("resnet50", 4.089, 25.50),
        ("resnet152", 11.51, 60.04),
        ("vgg16", 15.47, 138.3),
        ("mobilenet_v2", 0.3008, 3.47),
        ("mnasnet@1.0", 0.3144, 4.34),
        ("yolov3@608", 70.35, 61.9),
    ],
)
def test_networks_by_definition_have_the_published_sizes(
    name: str, gmacs: float, million_weights: float
) -> None:
    layers = known.layers_of(name)
    assert macs(layers) / 1e9 == pytest.approx(gmacs, rel=2e-3)
    assert weights(layers) / 1e6 == pytest.approx(million_weights, rel=5e-3)


def test_transposed_convolution_counts_each_input_once_per_window_place() -> None:
    layer = conv((7, 7), 512, 256, 4, 2, upward=True)
    assert layer.macs == 7 * 7 * 512 * 256 * 16
    assert layer.written == 14 * 14 * 256


@pytest.mark.parametrize("name", ["rtmpose-m-wholebody", "yolox-s"])
def test_counted_sizes_are_those_of_the_exported_graph(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools.prediction.networks import exported

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = onnx.load(str(exported(name)))
    layers = layers_of(model)
    assert macs(layers) == counted_macs(model)
    assert merged(layers) == shapes()[name]
    written_ns = exported(name).stat().st_mtime_ns
    assert exported(name).stat().st_mtime_ns == written_ns, "made once, then cached"


def test_file_of_sizes_reads_back_as_it_is_written() -> None:
    lines = [written(name, layers) for name, layers in shapes().items()]
    assert lines == FILE.read_text(encoding="utf-8").splitlines()
