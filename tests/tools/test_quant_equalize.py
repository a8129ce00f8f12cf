"""Equalized channels: the same network in float, a better one in INT8."""

from __future__ import annotations

from typing import Dict, List

import numpy as np
import onnx
import pytest

from tests.tools.quant_nets import Net, every_layer
from tools.quant.collect import Feeds, histograms
from tools.quant.equalize import channel_maxima, equalized, scale_groups, tensors_to_measure
from tools.quant.graph import place_int8, wire
from tools.quant.qdq import quantize
from tools.quant.reference import open_reference, outputs_of, ranges_by_method


def feeds(count: int = 4, seed: int = 3, size: int = 16) -> List[Feeds]:
    random = np.random.default_rng(seed)
    return [{"input": random.random((2, 3, size, size), np.float32)} for _ in range(count)]


def uneven(activation: str) -> onnx.ModelProto:
    """Inverted residual blocks whose channels differ by a factor of a hundred."""
    net = Net(5)
    zero, six = net.constant("zero", np.float32(0)), net.constant("six", np.float32(6))

    def active(x: str, out: str) -> str:
        extra = [zero, six] if activation == "Clip" else []
        return net.add(activation, [x, *extra], out)

    net.conv("input", "stem", (8, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    last = active("stem", "stem_a")
    for i in range(3):
        net.conv(last, f"wide{i}", (24, 8, 1, 1))
        net.conv(
            active(f"wide{i}", f"wide{i}_a"), f"deep{i}", (24, 1, 3, 3), group=24, pads=[1, 1, 1, 1]
        )
        net.conv(active(f"deep{i}", f"deep{i}_a"), f"thin{i}", (8, 24, 1, 1))
        last = net.add("Add", [f"thin{i}", last], f"sum{i}")
    net.conv(last, "head", (4, 8, 1, 1))
    return net.model({"head": [4, 8, 8]}, [3, 16, 16])


def prepared(model: onnx.ModelProto, alpha: float) -> onnx.ModelProto:
    maxima = channel_maxima(model, tensors_to_measure(wire(model)), feeds())
    return equalized(model, maxima, alpha)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("activation", ["Relu", "Clip", "LeakyRelu"])
def test_in_floating_point_nothing_changes(activation: str, alpha: float) -> None:
    model = uneven(activation)
    wanted, given = outputs_of(model, feeds()), outputs_of(prepared(model, alpha), feeds())
    np.testing.assert_allclose(given["head"], wanted["head"], rtol=1e-3, atol=1e-4)


def test_weights_do_change_and_the_model_given_does_not() -> None:
    model = uneven("Relu")
    before = model.SerializeToString()
    changed = prepared(model, 1.0)
    assert model.SerializeToString() == before
    old, new = wire(model).weights, wire(changed).weights
    moved = [name for name in old if not np.array_equal(old[name], new[name])]
    assert {"deep1.w", "thin1.w", "wide1.w", "stem.b"} <= set(moved)
    assert "head.b" not in moved, "an output of the network keeps its size"


def int8_error(model: onnx.ModelProto, base: onnx.ModelProto) -> float:
    chosen = place_int8(wire(model))
    ranges = ranges_by_method(histograms(model, chosen.activations, feeds()), "minmax")
    return open_reference(base, feeds(seed=9)).error(quantize(model, chosen, ranges))


@pytest.mark.parametrize("activation", ["Relu", "Clip", "LeakyRelu"])
def test_int8_loses_less_on_uneven_channels(activation: str) -> None:
    model = uneven(activation)
    assert int8_error(prepared(model, 1.0), model) < 0.8 * int8_error(model, model)


def test_channels_whose_clip_is_at_work_are_left_alone() -> None:
    """Scaled up they would be cut lower than the float network cuts them."""
    net = Net(1)
    zero, six = net.constant("zero", np.float32(0)), net.constant("six", np.float32(6))
    net.conv("input", "one", (4, 3, 1, 1))
    net.constants[-1].CopyFrom(
        onnx.numpy_helper.from_array(np.array([9, 0.5, 0.5, 9], np.float32), "one.b")
    )
    net.add("Clip", ["one", zero, six], "one6")
    net.conv("one6", "two", (4, 1, 3, 3), group=4)
    net.conv("two", "head", (2, 4, 1, 1))
    model = net.model({"head": [2, 14, 14]}, [3, 16, 16])
    factor = wire(prepared(model, 1.0)).weights["one.b"] / np.array([9, 0.5, 0.5, 9], np.float32)
    assert factor[[0, 3]].tolist() == [1, 1]
    assert (factor[[1, 2]] > 2).all()
    largest = channel_maxima(model, ["one6"], feeds())["one6"][[1, 2]]
    room = 6 / (factor[[1, 2]] * largest)
    np.testing.assert_allclose(room, 1.1, rtol=1e-4, err_msg="a tenth more than was seen fits")


def test_what_else_reads_a_tensor_keeps_it_as_it_is() -> None:
    graph = wire(every_layer())
    tied = {name for tie in scale_groups(graph) for name in tie.tensors}
    for tensor in ("leaky", "up0", "flat", "input", "map"):
        assert tensor not in tied, "a pool before a Flatten, a ConvTranspose or an output reads it"
    assert {"depth", "depth6"} <= tied
    by_name: Dict[str, int] = {
        n: i for i, tie in enumerate(scale_groups(graph)) for n in tie.tensors
    }
    assert by_name["sum"] == by_name["point"] == by_name["stem6"], "tied by an addition"


def test_an_output_that_is_used_inside_too_keeps_its_size() -> None:
    net = Net(4)
    net.conv("input", "one", (4, 3, 1, 1))
    net.add("Relu", ["one"], "one_a")
    net.conv("one_a", "two", (4, 4, 1, 1))
    inner = net.model({"two": [4, 16, 16]}, [3, 16, 16])
    assert [group.tensors for group in scale_groups(wire(inner))] == [["one", "one_a"]]
    both = net.model({"one_a": [4, 16, 16], "two": [4, 16, 16]}, [3, 16, 16])
    assert not scale_groups(wire(both))


def test_a_shared_weight_is_nobodys() -> None:
    net = Net(2)
    net.conv("input", "one", (3, 3, 1, 1))
    net.add("Relu", ["one"], "one_a")
    net.add("Conv", ["one_a", "one.w"], "two")
    net.conv("two", "head", (2, 3, 1, 1))
    assert not scale_groups(wire(net.model({"head": [2, 16, 16]}, [3, 16, 16])))
