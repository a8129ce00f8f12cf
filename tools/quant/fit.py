"""Fit and round the weights of a layer so that its output changes least on its INT8 inputs.

Both steps use the second moments of the layer's inputs.

1. Ridge regression gives the weights that make the float output out of the quantized input. Layer
   by layer this recovers error of the layers before. Source: Hubara et al. 2021, "Accurate post
   training quantization with small calibration sets", section 3, here in closed form.
2. The weights are rounded column by column. The error of a column is moved into the columns that
   are not rounded yet. Source: Frantar et al. 2023, "GPTQ", section 3, Cholesky form.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np
import onnx

ROWS = 3072  # number of input patches of the layer in the regression
RIDGE = 1.0  # share of the mean second moment; limits what so few patches can change
STEPS = 127
BLOCK = 64  # columns whose errors are moved on together
# Largest number of inputs of one output: 3x3 of 768 channels. The moment matrix has its square as
# many numbers and several copies in memory: RTMPose's last layer, 7x7 of 768, would take 11 GB.
WIDEST = 6912


def can_fit(node: onnx.NodeProto, weight: np.ndarray) -> bool:
    """Whether the layer is a dense or depthwise 2-D convolution of WIDEST inputs at most.

    Weights of other layers are rounded to the nearest step.
    """
    groups = _ints(node, "group", [1])[0]
    depthwise = weight.ndim == 4 and weight.shape[1] == 1 and groups == weight.shape[0]
    plain = node.op_type == "Conv" and weight.ndim == 4 and (groups == 1 or depthwise)
    return plain and weight[0].size <= WIDEST


def fitted(
    node: onnx.NodeProto,
    weight: np.ndarray,
    wanted: List[np.ndarray],
    given: List[np.ndarray],
) -> np.ndarray:
    """Fitted and rounded weights.

    Args:
        node: a convolution that `can_fit` accepts.
        weight: [out,in/groups,h,w] float weights; their ranges give the INT8 steps.
        wanted: batches [N,in,H,W] of the layer's input in the float network.
        given: batches [N,in,H,W] of the layer's dequantized input in the quantized network.

    Returns:
        Weights of the same shape, whole multiples of the step of their output channel.
    """
    depthwise = weight.shape[1] == 1 and _ints(node, "group", [1])[0] > 1
    target, source = _patches(node, weight, wanted, given)
    if depthwise:  # [R,C,k] -> a problem for each channel
        target, source = target.transpose(1, 0, 2), source.transpose(1, 0, 2)
        rows = weight.reshape(len(weight), 1, -1)
    else:
        target, source = (p.reshape(1, len(p), -1) for p in (target, source))
        rows = weight.reshape(1, len(weight), -1)
    step = np.maximum(np.abs(rows).max(-1, keepdims=True), 1e-8) / STEPS
    moment, cross = _moments(source, target)
    moved = rows @ np.linalg.solve(moment, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    return np.asarray(_rounded(moved, moment, step).reshape(weight.shape), np.float32)


def _moments(source: np.ndarray, target: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """E[s s'] and E[t s'] with ridge, [P,d,d], of [P,R,d] minus their means.

    The bias of the layer takes care of the means.
    """
    source = source - source.mean(1, keepdims=True)
    target = target - target.mean(1, keepdims=True)
    count = source.shape[1]
    moment = (source.transpose(0, 2, 1) @ source / count).astype(np.float64)
    cross = (target.transpose(0, 2, 1) @ source / count).astype(np.float64)
    mean = np.trace(moment, axis1=1, axis2=2)[:, None, None] / moment.shape[1]
    ridge = np.eye(moment.shape[1]) * np.maximum(RIDGE * mean, 1e-12)
    return moment + ridge, cross + ridge


def _rounded(rows: np.ndarray, moment: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Rounded rows [P,out,d]; each column's error moves to where it changes the output least."""
    factor = np.linalg.cholesky(np.linalg.inv(moment)).transpose(0, 2, 1)  # upper
    left = rows.astype(np.float64)
    found = np.empty_like(left)
    for start in range(0, left.shape[-1], BLOCK):
        end = min(start + BLOCK, left.shape[-1])
        errors = np.zeros((*left.shape[:2], end - start))
        for j in range(start, end):
            column = left[..., j : j + 1]
            found[..., j : j + 1] = np.clip(np.rint(column / step), -STEPS, STEPS) * step
            error = (column - found[..., j : j + 1]) / factor[:, j, j][:, None, None]
            left[..., j + 1 : end] -= error * factor[:, j, None, j + 1 : end]
            errors[..., j - start] = error[..., 0]
        left[..., end:] -= errors @ factor[:, start:end, end:]
    return found


def _patches(
    node: onnx.NodeProto, weight: np.ndarray, wanted: List[np.ndarray], given: List[np.ndarray]
) -> Tuple[np.ndarray, np.ndarray]:
    """Patches [R,in,h*w] of both inputs at the same places, drawn evenly over all batches."""
    share = max(1, ROWS // max(1, sum(len(b) for b in given)))
    generator = np.random.default_rng(0)
    found: Tuple[List[np.ndarray], List[np.ndarray]] = ([], [])
    for pair in zip(wanted, given):
        windows = [windows_of(node, weight, batch) for batch in pair]
        high, wide = windows[0].shape[2:4]
        subset = generator.choice(high * wide, min(share, high * wide), replace=False)
        for side, view in zip(found, windows):
            taken = view[:, :, subset // wide, subset % wide]  # [N,C,F,h,w]
            patches = taken.transpose(0, 2, 1, 3, 4)
            side.append(patches.reshape(-1, patches.shape[2], weight.shape[2] * weight.shape[3]))
    return np.concatenate(found[0]), np.concatenate(found[1])


def windows_of(node: onnx.NodeProto, weight: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Input window of each output position, a view [N,C,Ho,Wo,h,w]."""
    top, left, bottom, right = _pads(node, weight, batch)
    padded = np.pad(batch, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (down, along), (dy, dx) = _ints(node, "strides", [1, 1]), _ints(node, "dilations", [1, 1])
    size = (dy * (weight.shape[2] - 1) + 1, dx * (weight.shape[3] - 1) + 1)
    view = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))
    return view[:, :, ::down, ::along, ::dy, ::dx]


def _pads(node: onnx.NodeProto, weight: np.ndarray, batch: np.ndarray) -> List[int]:
    """Padding in px: top, left, bottom, right."""
    attributes: Dict[str, bytes] = {a.name: a.s for a in node.attribute if a.s}
    mode = attributes.get("auto_pad", b"NOTSET")
    if mode in (b"NOTSET", b""):
        return _ints(node, "pads", [0, 0, 0, 0])
    if mode == b"VALID":
        return [0, 0, 0, 0]
    strides, dilations = _ints(node, "strides", [1, 1]), _ints(node, "dilations", [1, 1])
    ends: List[Tuple[int, int]] = []
    for axis in (0, 1):
        length, stride = batch.shape[2 + axis], strides[axis]
        reach = dilations[axis] * (weight.shape[2 + axis] - 1) + 1
        total = max(0, (-(-length // stride) - 1) * stride + reach - length)
        less = total // 2
        ends.append((less, total - less) if mode == b"SAME_UPPER" else (total - less, less))
    return [ends[0][0], ends[1][0], ends[0][1], ends[1][1]]


def _ints(node: onnx.NodeProto, name: str, usual: List[int]) -> List[int]:
    for attribute in node.attribute:
        if attribute.name == name:
            return list(attribute.ints) or [int(attribute.i)]
    return usual
