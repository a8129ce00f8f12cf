"""Keeps the last layer of a regression in FP32, where OpenVINO computes the others in BF16.

BF16 has 8 bits of precision: a coordinate of 200 px that a layer gives in BF16 is rounded to 1 px
of the crop. OpenVINO has no setting for single layers, but it computes only convolutions, products
of matrices and a few others in BF16, and leaves element-wise operations at the end of a network as
they are. So a last convolution over the whole map is written as an element-wise product and a sum.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from edge.runtime._openvino import library

# Between the last convolution and the output.
_LIGHT = {"Add", "Convert", "Multiply", "Reshape", "Sigmoid", "Squeeze", "Subtract", "Unsqueeze"}
_MOST = 2_000_000  # products of one sample, 8 MB


def keep(model: Any) -> int:
    """Rewrite the last layers of the outputs that are single vectors.

    Args:
        model: of OpenVINO, its sizes known but for the batch; changed in place.

    Returns:
        How many layers were rewritten.
    """
    found = [node for node in map(_last_convolution, model.get_results()) if node is not None]
    for node in {node.get_friendly_name(): node for node in found}.values():
        _rewrite(node)
    return len(found)


def _last_convolution(result: Any) -> Optional[Any]:
    """The convolution of one position before an output; None = there is none."""
    node = result.input_value(0).get_node()
    while node.get_type_name() in _LIGHT:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Convolution":
        return None
    weights, fed = node.input_value(1), node.input_value(0).get_partial_shape()
    if weights.get_node().get_type_name() != "Constant" or fed.rank.is_dynamic:
        return None
    kernel = list(weights.get_shape())
    sizes = [-1 if d.is_dynamic else d.get_length() for d in fed][1:]
    one = all(
        not d.is_dynamic and d.get_length() == 1 for d in list(node.get_output_partial_shape(0))[2:]
    )
    whole = one and sizes == kernel[1:] and int(np.prod(kernel)) <= _MOST
    return node if whole else None


def _rewrite(node: Any) -> None:
    ops = library.operations()
    weights = np.array(node.input_value(1).get_node().data, np.float32)
    flat = weights.reshape(1, len(weights), -1)
    fed = ops.reshape(node.input_value(0), np.array([0, 1, -1], np.int64), True)
    products = ops.multiply(fed, ops.constant(flat))
    summed = ops.reduce_sum(products, np.array([2], np.int64), False)
    ends = [1] * (weights.ndim - 2)
    shaped = ops.reshape(summed, np.array([0, 0, *ends], np.int64), True)
    node.output(0).replace(shaped.output(0))
