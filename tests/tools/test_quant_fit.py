"""Fitted weights: on their grid, and closer to the float output than rounding alone."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tools.quant.fit import STEPS, can_fit, fitted, windows_of


def conv(**attributes: Any) -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "w"], ["y"], **attributes)


def run(node: onnx.NodeProto, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    value = helper.make_tensor_value_info
    inputs = [value("x", TensorProto.FLOAT, None), value("w", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "g", inputs, [value("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return np.asarray(ReferenceEvaluator(model).run(None, {"x": x, "w": weight})[0])  # type: ignore[index]


def inputs(channels: int, size: int = 12) -> List[np.ndarray]:
    """Channels and neighbours that go together, as in a real network."""
    random = np.random.default_rng(1)
    mixed = random.normal(size=(channels, 3))
    hidden = random.normal(size=(16, 3, size, size)).cumsum(2).cumsum(3) / size
    x = np.einsum("ij,njhw->nihw", mixed, hidden) + 0.1 * random.random((16, channels, size, size))
    return np.split(x.astype(np.float32), 4)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"strides": [2, 1], "pads": [0, 2, 1, 0], "dilations": [1, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID", "dilations": [2, 2]},
    ],
    ids=str,
)
def test_windows_are_what_a_convolution_sees(attributes: Any) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 3, 9, 11)).astype(np.float32)
    weight = random.normal(size=(4, 3, 3, 2)).astype(np.float32)
    node = conv(**attributes)
    seen = np.einsum("nchwij,ocij->nohw", windows_of(node, weight, x), weight)
    if "SAME_LOWER" in str(attributes):
        attributes = {"pads": [1, 1, 1, 0]}  # (3 - 1, 2 - 1) split with the odd one first
        node = conv(**attributes)
    np.testing.assert_allclose(seen, run(node, x, weight), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("depthwise", [False, True])
def test_on_the_grid_and_better_than_rounding(depthwise: bool) -> None:
    channels = 12
    random = np.random.default_rng(2)
    shape = (channels, 1, 3, 3) if depthwise else (20, channels, 1, 1)
    weight = random.normal(size=shape).astype(np.float32)
    weight.reshape(len(weight), -1)[:, 0] *= 12  # one large weight makes the steps coarse
    node = conv(group=channels if depthwise else 1, pads=[1] * 4 if depthwise else [0] * 4)
    wanted = inputs(channels)
    given = [np.rint(x * 100) / 100 for x in wanted]
    found = fitted(node, weight, wanted, given)
    step = np.abs(weight).reshape(len(weight), -1).max(1).reshape(-1, 1, 1, 1) / STEPS
    np.testing.assert_allclose(found / step, np.rint(found / step), atol=1e-3)
    assert np.abs(found / step).max() <= STEPS + 1e-3

    def error(candidate: np.ndarray) -> float:
        apart = [run(node, g, candidate) - run(node, w, weight) for g, w in zip(given, wanted)]
        centred = np.concatenate(apart)
        centred -= centred.mean(axis=(0, 2, 3), keepdims=True)  # the bias takes the mean
        return float(np.square(centred).mean())

    rounded = np.rint(weight / step) * step
    # Nine taps leave little to choose; hundreds of channels leave much.
    assert error(found) < (1.0 if depthwise else 0.8) * error(rounded.astype(np.float32))


def test_a_weight_that_would_leave_the_grid_ends_at_its_edge() -> None:
    """The quantized network gives half of what the float one gives: weights twice as large."""
    weight = np.random.default_rng(3).normal(size=(6, 4, 1, 1)).astype(np.float32)
    wanted = inputs(4)
    found = fitted(conv(), weight, wanted, [x / 2 for x in wanted])
    step = np.abs(weight).reshape(len(weight), -1).max(1).reshape(-1, 1, 1, 1) / STEPS
    assert np.abs(found / step).max() == pytest.approx(STEPS, abs=1e-3)


def test_inputs_that_are_always_zero_do_no_harm() -> None:
    weight = np.ones((2, 3, 1, 1), np.float32)
    nothing = [np.zeros((2, 3, 4, 4), np.float32)]
    assert np.isfinite(fitted(conv(), weight, nothing, nothing)).all()


def test_only_plain_convolutions() -> None:
    dense, depth = np.zeros((4, 3, 1, 1)), np.zeros((4, 1, 3, 3))
    assert can_fit(conv(), dense)
    assert can_fit(conv(group=4), depth)
    assert can_fit(conv(), np.broadcast_to(0.0, (8, 768, 3, 3)))
    assert not can_fit(conv(), np.broadcast_to(0.0, (133, 768, 7, 7))), "11 GB of moments"
    assert not can_fit(conv(group=2), np.zeros((4, 2, 1, 1)))
    assert not can_fit(conv(), np.zeros((4, 3, 3)))
    assert not can_fit(helper.make_node("Gemm", ["x", "w"], ["y"]), np.zeros((4, 3)))
