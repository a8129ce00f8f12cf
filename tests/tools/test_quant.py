"""Placement, Q/DQ writing, bias correction and the calibration cache, on small networks."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edge.errors import DataError, NoInputError
from tests.tools import quant_nets
from tools.quant import collect, qdq, ranges, reference, sensitivity
from tools.quant.cache import read_cache, write_cache
from tools.quant.correct import correct
from tools.quant.graph import Placement, heads, load_model, place_int8, wire
from tools.quant.stepwise import StepwiseNetwork

PIXELS = quant_nets.pictures(12)
FEEDS = [{"input": (PIXELS[i : i + 4] / 255).astype(np.float32)} for i in range(0, 12, 4)]


def quantized(method: str = "minmax") -> onnx.ModelProto:
    model = quant_nets.every_layer()
    chosen = place_int8(wire(model))
    found = collect.histograms(model, chosen.activations, FEEDS)
    return qdq.quantize(model, chosen, reference.ranges_by_method(found, method))


def test_heads_stay_float_and_the_rest_is_chosen() -> None:
    chosen = place_int8(wire(quant_nets.every_layer()))
    assert chosen.floating == ("map", "points")
    names = [layer.name for layer in chosen.layers]
    assert names == ["stem", "depth", "point", "wide", "up", "hidden", "mixed"]
    assert chosen.residuals == (("sum", "stem6"),)
    assert [layer.axis for layer in chosen.layers] == [0, 0, 0, 0, 1, 0, 1]


def test_patterns_keep_layers_float_and_their_residual_branch_too() -> None:
    chosen = place_int8(wire(quant_nets.every_layer()), ["poin*", "st?m"])
    assert chosen.floating == ("stem", "point", "map", "points")
    assert chosen.residuals == (), "without an int8 convolution there is nothing to fuse into"


def fake(values: np.ndarray, amax: np.ndarray) -> np.ndarray:
    scale = (np.asarray(amax, np.float32) / np.float32(127)).astype(np.float32)
    return np.clip(np.rint(values / scale), -128, 127).astype(np.float32) * scale


def test_numbers_are_those_of_rounding_by_hand() -> None:
    """The float network, each input and weight rounded in NumPy, equals the written Q/DQ graph."""
    model = quant_nets.every_layer()
    chosen = place_int8(wire(model))
    found = reference.ranges_by_method(collect.histograms(model, chosen.activations, FEEDS), "mse")
    layers = {layer.name: layer for layer in chosen.layers}
    values: Dict[str, np.ndarray] = dict(FEEDS[0])
    values.update({t.name: numpy_helper.to_array(t) for t in model.graph.initializer})
    for node in model.graph.node:
        given = {name: values[name] for name in node.input}
        layer = layers.get(node.name)
        if layer is not None:
            weight, axis = given[layer.weight], layer.axis
            shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
            others = tuple(i for i in range(weight.ndim) if i != axis)
            amax = np.abs(weight).max(others).reshape(shape)
            given[layer.weight] = fake(weight, amax)
            x = layer.activation
            given[x] = fake(given[x], np.array(found[x]))
        if node.name == "sum":
            given["stem6"] = fake(given["stem6"], np.array(found["stem6"]))
        values[node.output[0]] = run_node(node, given, model)
    written = reference.outputs_of(qdq.quantize(model, chosen, found), FEEDS[:1])
    floating = reference.outputs_of(model, FEEDS[:1])
    for name in ("map", "points"):
        rounding = np.abs(floating[name] - values[name]).mean()
        assert rounding > 1e-4, "rounding must be visible"
        # Not equal to the bit: a value on the edge between two steps may fall either way.
        assert np.abs(written[name] - values[name]).mean() < 0.1 * rounding


def run_node(
    node: onnx.NodeProto, given: Dict[str, np.ndarray], model: onnx.ModelProto
) -> np.ndarray:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)

    graph = helper.make_graph([node], "one", [value(n) for n in given], [value(node.output[0])])
    one = helper.make_model(graph, opset_imports=model.opset_import, ir_version=8)
    result: np.ndarray = ReferenceEvaluator(one).run(None, given)[0]  # type: ignore[index]
    return result


def test_what_tensorrt_asks_for_is_written() -> None:
    model = quantized()
    onnx.checker.check_model(model, full_check=True)
    assert qdq.problems(model) == []
    assert [o.version for o in model.opset_import] == [17]
    nodes = {n.name: n for n in model.graph.node}
    constants = {t.name: t for t in model.graph.initializer}
    for name in ("stem", "wide"):
        after = [n.op_type for n in nodes.values() if name in n.input]
        assert after in (["Clip"], ["LeakyRelu"]), "nothing between a layer and its activation"
        assert constants[nodes[name].input[2]].data_type == TensorProto.FLOAT, "bias"
    up = nodes["up.w/QuantizeLinear"]
    assert [a.i for a in up.attribute] == [1]
    assert numpy_helper.to_array(constants["up.w/scale"]).shape == (6,)
    assert nodes["map"].input[0] == "up0", "the head's input is float"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("uint8", "is not int8"),
        ("shifted", "zero point that is not 0"),
        ("missing", "has no zero point"),
        ("bias", "bias"),
        ("opset", "opset 18"),
        ("after", "before its activation"),
        ("domain", "com.microsoft"),
    ],
)
def test_the_checker_finds_what_tensorrt_refuses(change: str, text: str) -> None:
    model = quantized()
    damage(model, change)
    found = qdq.problems(model)
    assert any(text in line for line in found), found


def damage(model: onnx.ModelProto, change: str) -> None:
    constants = {t.name: t for t in model.graph.initializer}
    nodes = {n.name: n for n in model.graph.node}
    zero = constants["input/zero"]
    if change == "uint8":
        zero.CopyFrom(numpy_helper.from_array(np.uint8(0), zero.name))
    elif change == "shifted":
        zero.CopyFrom(numpy_helper.from_array(np.int8(3), zero.name))
    elif change == "missing":
        del nodes["input/QuantizeLinear"].input[2]
    elif change == "bias":
        nodes["stem"].input[2] = "stem.w/float"
    elif change == "opset":
        model.opset_import[0].version = 18
    elif change == "domain":
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    else:
        nodes["stem6"].input[0] = nodes["depth"].input[0]
        nodes["stem6/QuantizeLinear"].input[0] = "stem"


def test_tensors_used_twice_are_quantized_once() -> None:
    model = quantized()
    assert [n.name for n in model.graph.node].count("stem6/QuantizeLinear") == 1
    users = [n.name for n in model.graph.node if "stem6/float" in n.input]
    assert users == ["depth", "sum"]


@pytest.mark.parametrize("method", list(ranges.METHODS))
def test_every_method_gives_a_working_network(method: str) -> None:
    model = quant_nets.every_layer()
    errors = reference.open_reference(model, FEEDS).errors(quantized(method))
    assert set(errors) == {"map", "points"}
    assert 0 < max(errors.values()) < 0.1


def test_bias_correction_takes_the_mean_error_away() -> None:
    model = quant_nets.every_layer()
    chosen = place_int8(wire(model))
    coarse = dict.fromkeys(chosen.activations, 40.0)  # steps of 0.3: large, lopsided errors
    plain = qdq.quantize(model, chosen, coarse)
    before = plain.SerializeToString()
    seen: List[int] = []
    inputs = {"input": [feed["input"] for feed in FEEDS]}
    better = correct(model, plain, chosen, inputs, lambda: seen.append(1))
    assert plain.SerializeToString() == before, "what it was given is left alone"
    assert len(seen) == len(chosen.layers)
    assert qdq.problems(better) == []
    wanted, raw, mended = (
        reference.outputs_of(collect.with_outputs(m, ["point"]), FEEDS)["point"].mean((0, 2, 3))
        for m in (model, plain, better)
    )
    assert np.abs(mended - wanted).max() < 0.05 * np.abs(raw - wanted).max()
    measured = reference.open_reference(model, FEEDS)
    assert measured.error(better) < measured.error(plain)


def test_a_bias_that_two_layers_share_is_left_alone() -> None:
    model = quant_nets.chain()
    node = next(n for n in model.graph.node if n.name == "b")
    node.input[2] = "a.b"
    chosen = place_int8(wire(model))
    plain = qdq.quantize(model, chosen, dict.fromkeys(chosen.activations, 9.0))
    better = correct(model, plain, chosen, {"input": [feed["input"] for feed in FEEDS]})
    assert better.SerializeToString() == plain.SerializeToString()


def test_a_walk_gives_what_the_whole_network_gives() -> None:
    model = quant_nets.every_layer()
    wire(model)
    walk = StepwiseNetwork(model, {"input": [feed["input"] for feed in FEEDS]})
    most = 0
    for node in list(model.graph.node):
        assert walk.next_node.name == node.name
        walk.run_next()
        most = max(most, len(walk.tensors))
    for name, value in reference.outputs_of(model, FEEDS).items():
        np.testing.assert_allclose(np.concatenate(walk.tensors[name]), value, atol=1e-5)
    assert most <= 3, "tensors that nothing needs any more must be let go"


def test_sensitivity_finds_the_spoilt_layer_and_a_mixed_plan_leaves_it_out() -> None:
    model = quant_nets.chain(("a", "b", "c", "d", "head"))
    spoilt = next(t for t in model.graph.initializer if t.name == "c.w")
    weight = numpy_helper.to_array(spoilt).copy()
    weight[:, 0, 0, 0] = 60.0  # one huge weight meets a channel that is nearly off
    spoilt.CopyFrom(numpy_helper.from_array(weight, "c.w"))
    before = next(t for t in model.graph.initializer if t.name == "b.w")
    silent = numpy_helper.to_array(before).copy()
    silent[0] = 0
    before.CopyFrom(numpy_helper.from_array(silent, "b.w"))
    graph = wire(model)
    whole = place_int8(graph)
    found = reference.ranges_by_method(
        collect.histograms(model, whole.activations, FEEDS), "minmax"
    )
    opened = reference.open_reference(model, FEEDS)
    errors = sensitivity.layer_errors(opened, whole, found)
    assert next(iter(errors)) == "c"
    target = 0.5 * opened.error(qdq.quantize(model, whole, found))
    candidates = sensitivity.most_sensitive(errors, 3)
    chosen, dropped = sensitivity.mixed_placement(opened, graph, [], found, candidates, target)
    assert dropped == ["c"]
    assert "c" in chosen.floating
    assert opened.error(qdq.quantize(model, chosen, found)) <= target
    assert sensitivity.mixed_placement(opened, graph, [], found, [], target)[1] == []


def test_bargains_come_first_and_stay_within_their_share() -> None:
    errors = {"early": 0.08, "wide": 0.04, "small": 0.01, "smaller": 0.009}
    macs = {"early": 500, "wide": 450, "small": 2, "smaller": 1, "head": 47}
    assert sensitivity.best_value(errors, macs, 0.35) == ["smaller", "small"]
    assert sensitivity.best_value(errors, macs, 0.56) == ["smaller", "small", "early"]
    assert sensitivity.best_value(errors, macs, 0.52) == ["smaller", "small", "wide"]
    assert sensitivity.best_value(errors, macs, 0.04) == [], "the head alone takes more"
    assert sensitivity.best_value(errors, macs, 1.0) == ["smaller", "small", "early", "wide"]
    assert sensitivity.best_value(errors, {}, 0.5) == ["early", "wide"], "unknown sizes count alike"
    assert sensitivity.best_value({}, {}, 0.5) == []


def test_cache_round_trip(tmp_path: Path) -> None:
    amax = {"input": 1.0, "a tensor: with colons": 6.25, "tiny": 1e-6}
    path = tmp_path / "x.trt-cache"
    path.write_text(write_cache(amax, 8502), encoding="utf-8")
    assert path.read_text(encoding="utf-8").startswith(
        "TRT-8502-EntropyCalibration2\ninput: 3c010204\n"
    )
    assert read_cache(path) == pytest.approx(amax)


@pytest.mark.parametrize("text", ["", "no header\n", "TRT-8502-EntropyCalibration2\nx: zz\n"])
def test_a_damaged_cache_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.trt-cache"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.trt-cache"):
        read_cache(path)


@pytest.mark.parametrize(
    ("data", "error"), [(None, NoInputError), (b"", DataError), (b"\x08\x99not onnx", DataError)]
)
def test_files_that_are_no_networks(tmp_path: Path, data: object, error: type) -> None:
    path = tmp_path / "net.onnx"
    if isinstance(data, bytes):
        path.write_bytes(data)
    with pytest.raises(error, match=r"net\.onnx"):
        load_model(path)


def test_no_inputs_and_values_that_are_not_finite_are_named() -> None:
    model = quant_nets.chain()
    tensors = place_int8(wire(model)).activations
    with pytest.raises(DataError, match="no recorded inputs"):
        collect.histograms(model, tensors, [])
    spoilt = {"input": np.full((1, 3, 16, 16), np.nan, np.float32)}
    with pytest.raises(DataError, match="'input' holds values that are not finite"):
        collect.histograms(model, tensors, [spoilt])


def test_a_network_of_heads_only_has_an_empty_plan() -> None:
    graph = wire(quant_nets.chain(("head",)))
    assert heads(graph) == {"head"}
    assert place_int8(graph) == Placement((), (), ("head",))
