"""Decoding of MoveNet-multipose for any batch, as nodes appended to the backbone.

The published graph decodes one image; these nodes compute the same for a batch. It is CenterNet
with one class: take the six best centres; at each, a box and 17 rough points are regressed; around
each rough point take the best heatmap cell, weighted by a Gaussian of the distance, inside the box
only. Gaussian and box are products of a row part and a column part, so the large tensor is only
multiplied, never exponentiated.

Letters: B batch, P = 6 people, K = 17 keypoints, h x w cells of 4 px.
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np

from tools.convert._tfjs_operators import Tensor
from tools.convert.graph import BATCH, GraphBuilder, Outputs

STRIDE = 32
PEOPLE, KEYPOINTS = 6, 17
BACKBONE_INPUT = "StatefulPartitionedCall/sub_1"  # pixels normalised by the recipe's mean and std
BACKBONE_OUTPUTS = {
    "center": "StatefulPartitionedCall/center_0/conv2d_4/BiasAdd",
    "box_scale": "StatefulPartitionedCall/box_scale_0/conv2d_5/BiasAdd",
    "box_offset": "StatefulPartitionedCall/box_offset_0/conv2d_6/BiasAdd",
    "heatmap": "StatefulPartitionedCall/kpt_heatmap_0/conv2d_7/BiasAdd",
    "regress": "StatefulPartitionedCall/kpt_regress_0/conv2d_8/BiasAdd",
    "offset": "StatefulPartitionedCall/kpt_offset_0/conv2d_9/BiasAdd",
}
# Constants of the published graph.
SAME_PEAK = 1.0132789611816406e-06  # a centre is a peak if its 5 x 5 maximum is less above it
SPREAD = 0.300048828125  # of the Gaussian: d^2 / (SPREAD * min(h, w))
KEYPOINT_COUNTS = 0.126953125  # keypoints above this score count in the score of the person


class Operators:
    """Appends operators by a short call."""

    def __init__(self, graph: GraphBuilder) -> None:
        self.graph = graph

    def __call__(self, op: str, *inputs: object, **attributes: Any) -> str:
        """Append a node; inputs that are numbers or arrays become constants."""
        names = [i if isinstance(i, str) else self._constant(i) for i in inputs]
        return self.graph.node(op, names, **attributes)

    def _constant(self, value: object) -> str:
        if isinstance(value, (list, tuple)):
            return self.graph.constant(np.array(value, np.int64), "shape")
        array = np.asarray(value)
        return self.graph.constant(array.astype(np.float32) if array.dtype == float else array)


def append(graph: GraphBuilder, heads: Dict[str, Tensor]) -> Outputs:
    """Append the decoding of the heads.

    Returns:
        `people` [B, P, 56]: 17 x (y, x, score), then the box ymin, xmin, ymax, xmax and the score
        of the person. Coordinates are shares of the input's height and width, 0..1.
    """
    ops = Operators(graph)
    height, width = heads["center"].height, heads["center"].width
    flat = {k: ops("Reshape", t.name, [0, t.channels, height * width]) for k, t in heads.items()}
    score, cell = _centres(ops, heads["center"], height * width)
    row, column = _row_column(ops, cell, width)
    box = _boxes(ops, flat, cell, row, column, (height, width))
    rough = _rough_points(ops, flat, cell, row, column)
    weighted = _weighted(ops, flat["heatmap"], rough, box, (height, width))
    points, confidence = _peaks(ops, flat["offset"], weighted, (height, width))
    parts = [_flat_points(ops, points, confidence), _normalised_box(ops, box, (height, width))]
    parts.append(_person_score(ops, score, confidence))
    people = ops("Concat", *parts, axis=2)
    return {"people": (people, [BATCH, PEOPLE, 3 * KEYPOINTS + 5])}


def _centres(ops: Operators, center: Tensor, cells: int) -> Tuple[str, str]:
    """Scores [B, P] and cells [B, 1, P] of the best peaks."""
    score = ops("Sigmoid", center.name)
    highest = ops("MaxPool", score, kernel_shape=[5, 5], strides=[1, 1], pads=[2, 2, 2, 2])
    below = ops("Abs", ops("Sub", score, highest))
    peak = ops("Cast", ops("Less", below, SAME_PEAK), to=1)
    peaks = ops("Reshape", ops("Mul", score, peak), [0, cells])
    best = ops("TopK", peaks, [PEOPLE], outputs=2, axis=1)
    return best, ops("Unsqueeze", best + ".1", [1])


def _row_column(ops: Operators, cell: str, width: int) -> Tuple[str, str]:
    """Rows and columns of cells, FP32 in the same shape."""
    row = ops("Div", cell, np.int64(width))
    column = ops("Sub", cell, ops("Mul", row, np.int64(width)))
    return ops("Cast", row, to=1), ops("Cast", column, to=1)


def _at_cells(ops: Operators, values: str, cell: str, channels: int) -> str:
    """Values [B, C, P] of all channels [B, C, h*w] at the cells [B, 1, P]."""
    every = ops("Concat", *[cell] * channels, axis=1) if channels > 1 else cell
    return ops("GatherElements", values, every, axis=2)


def _boxes(
    ops: Operators, flat: Dict[str, str], cell: str, row: str, column: str, size: Tuple[int, int]
) -> Dict[str, str]:
    """Sides of the boxes in cells: ymin, xmin, ymax, xmax, each [B, 1, P]."""
    extent = ops("Relu", _at_cells(ops, flat["box_scale"], cell, 2))
    half = ops("Mul", extent, 0.5)
    shift = _at_cells(ops, flat["box_offset"], cell, 2)
    centre = ops("Add", ops("Concat", row, column, axis=1), shift)
    limit = np.array(size, np.float32).reshape(2, 1)
    sides = {"min": ops("Sub", centre, half), "max": ops("Add", centre, half)}
    box = {}
    for end, both in sides.items():
        inside = ops("Max", ops("Min", both, limit), 0.0)
        halves = ops("Split", inside, [1, 1], outputs=2, axis=1)
        box["y" + end], box["x" + end] = halves, halves + ".1"
    return box


def _rough_points(
    ops: Operators, flat: Dict[str, str], cell: str, row: str, column: str
) -> Tuple[str, str]:
    """Regressed points in cells, y and x, each [B, K, P]."""
    both = ops("Reshape", _at_cells(ops, flat["regress"], cell, 34), [0, KEYPOINTS, 2, PEOPLE])
    halves = ops("Split", both, [1, 1], outputs=2, axis=2)
    y, x = (ops("Squeeze", half, [2]) for half in (halves, halves + ".1"))
    return ops("Add", y, row), ops("Add", x, column)


def _weighted(
    ops: Operators, heatmap: str, rough: Tuple[str, str], box: Dict[str, str], size: Tuple[int, int]
) -> str:
    """The heatmap weighted for each rough point, [B, K, P, h*w]."""
    spread = SPREAD * min(size)
    sides = []
    for axis, length, point in zip("yx", size, rough):
        grid = np.arange(length, dtype=np.float32)
        away = ops("Sub", grid, ops("Unsqueeze", point, [3]))
        near = ops("Exp", ops("Div", ops("Neg", ops("Mul", away, away)), spread))
        first, last = (ops("Unsqueeze", box[axis + end], [3]) for end in ("min", "max"))
        inside = ops("And", ops("GreaterOrEqual", grid, first), ops("Less", grid, last))
        sides.append(ops("Mul", near, ops("Cast", inside, to=1)))
    rows, columns = ops("Unsqueeze", sides[0], [4]), ops("Unsqueeze", sides[1], [3])
    seen = ops("Reshape", ops("Mul", rows, columns), [0, KEYPOINTS, PEOPLE, size[0] * size[1]])
    return ops("Mul", seen, ops("Unsqueeze", ops("Sigmoid", heatmap), [2]))


def _peaks(
    ops: Operators, offset: str, weighted: str, size: Tuple[int, int]
) -> Tuple[Tuple[str, str], str]:
    """Refined best cell of each point: (y, x) as shares of the image, and scores, [B, K, P].

    As in the published graph, the score is the largest that any person's weights give this cell.
    """
    cell = ops("ArgMax", weighted, axis=3, keepdims=0)
    every = ops("Concat", *[ops("Unsqueeze", cell, [2])] * PEOPLE, axis=2)
    confidence = ops(
        "ReduceMax", ops("GatherElements", weighted, every, axis=3), axes=[2], keepdims=0
    )
    row, column = _row_column(ops, cell, size[1])
    both = ops("Reshape", offset, [0, KEYPOINTS, 2, size[0] * size[1]])
    halves = ops("Split", both, [1, 1], outputs=2, axis=2)
    points = []
    for place, half, length in zip((row, column), (halves, halves + ".1"), size):
        shift = ops("GatherElements", ops("Squeeze", half, [2]), cell, axis=2)
        points.append(ops("Mul", ops("Add", place, shift), 1.0 / length))
    return (points[0], points[1]), confidence


def _flat_points(ops: Operators, points: Tuple[str, str], confidence: str) -> str:
    """y, x and score of each keypoint, [B, P, 51]."""
    parts = [ops("Unsqueeze", part, [3]) for part in (*points, confidence)]
    people_first = ops("Transpose", ops("Concat", *parts, axis=3), perm=[0, 2, 1, 3])
    return ops("Reshape", people_first, [0, PEOPLE, 3 * KEYPOINTS])


def _normalised_box(ops: Operators, box: Dict[str, str], size: Tuple[int, int]) -> str:
    """Boxes as shares of the image, [B, P, 4]."""
    sides = ops("Concat", *(box[k] for k in ("ymin", "xmin", "ymax", "xmax")), axis=1)
    share = np.array([1 / size[0], 1 / size[1]] * 2, np.float32).reshape(4, 1)
    return ops("Transpose", ops("Mul", sides, share), perm=[0, 2, 1])


def _person_score(ops: Operators, score: str, confidence: str) -> str:
    """Score of the centre times the mean score of the keypoints that count, [B, P, 1]."""
    counts = ops("Cast", ops("Greater", confidence, KEYPOINT_COUNTS), to=1)
    total = ops("ReduceSum", ops("Mul", confidence, counts), [1], keepdims=0)
    number = ops("Max", ops("ReduceSum", counts, [1], keepdims=0), 1.0)
    return ops("Unsqueeze", ops("Mul", score, ops("Div", total, number)), [2])
