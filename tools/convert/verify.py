"""Verify a converted network on this machine against numbers of the original framework.

For each output, the recipe holds a few values that the original framework gave for one small
picture, which lies beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping

import cv2
import numpy as np
import onnxruntime

from edge.errors import ConfigError, DataError, InternalError
from edge.recipe import Network
from tools.convert.graph import Array

PICTURE = Path(__file__).with_name("picture.png")
POINTS = 12  # values kept of each output, evenly spaced
TOLERANCE = 5e-5  # share of the largest value of an output; another order of sums gives 1e-5


def picture(network: Network, mirrored: bool = False) -> Array:
    """The picture as one input sample, normalised as the recipe says."""
    shown = pixels(network)
    shown = shown[:, ::-1] if mirrored else shown
    if network.dtype == "float32":
        shown = (shown - np.array(network.mean)) / np.array(network.std)
    ordered = shown if network.layout == "nhwc" else shown.transpose(2, 0, 1)
    return np.ascontiguousarray(ordered, dtype=network.dtype)


def pixels(network: Network) -> Array:
    """The picture [height, width, 3], whole numbers 0..255, in the channel order of the network.

    It is enlarged bilinearly here, because image libraries differ in the last bit.
    """
    small = cv2.imread(str(PICTURE), cv2.IMREAD_COLOR)
    if small is None:
        raise InternalError(f"{PICTURE} is missing from the installation")
    small = small if network.channels == "bgr" else small[..., ::-1]
    return enlarged(small, network.height, network.width)


def enlarged(image: Array, height: int, width: int) -> Array:
    """An image [h, w, 3] enlarged to [height, width, 3], whole numbers."""
    rows = _interpolated(image.astype(np.float64), height)
    values: Array = np.round(_interpolated(rows.transpose(1, 0, 2), width)).transpose(1, 0, 2)
    return values


def _interpolated(values: Array, length: int) -> Array:
    """Linear interpolation of the first axis to `length`; pixel centres are at 0.5, 1.5, ..."""
    place = (np.arange(length) + 0.5) * len(values) / length - 0.5
    place = np.clip(place, 0, len(values) - 1)
    below = np.minimum(place.astype(np.int64), len(values) - 2)
    share = (place - below)[:, None, None]
    mixed: Array = values[below] * (1 - share) + values[below + 1] * share
    return mixed


def sampled(values: Array) -> Array:
    """The values of an output [of one sample] that a recipe holds."""
    flat = values.reshape(-1)
    return flat[np.linspace(0, flat.size - 1, min(POINTS, flat.size)).astype(np.int64)]


def verify(model: bytes, network: Network, golden: Mapping[str, Any], label: str) -> float:
    """Run the model on one picture and, if its batch is dynamic, on two at once.

    Args:
        model: content of the ONNX file.
        network: recipe of the network.
        golden: output -> values. Optional keys: `tolerance` in place of TOLERANCE; `size`, the
            (width, height) that the values are for. If empty or of another size, the outputs only
            have to be finite.
        label: name of the network, for errors.

    Returns:
        The largest difference, as a share of the largest value of its output.

    Raises:
        DataError: the model cannot be run, gives other numbers, or mixes samples of a batch.
    """
    session = opened(model, label)
    tolerance = float(golden.get("tolerance", TOLERANCE))
    first = run(session, network, [picture(network)], label)
    worst = compared(first, kept_values(golden, network), tolerance, label)
    if isinstance(session.get_inputs()[0].shape[0], str):
        pictures = [picture(network, mirrored=True), picture(network)]
        second = {k: v[1:] for k, v in run(session, network, pictures, label).items()}
        expected = {name: sampled(values[0]) for name, values in first.items()}
        worst = max(worst, compared(second, expected, tolerance, f"{label} in a batch"))
    return worst


def kept_values(golden: Mapping[str, Any], network: Network) -> Dict[str, Any]:
    """Output -> values; empty if they are for another input size."""
    size = [network.width, network.height]
    if golden.get("size", size) != size:
        return {}
    return {k: v for k, v in golden.items() if k not in ("tolerance", "size")}


def opened(model: bytes, label: str) -> Any:
    """An ONNX Runtime session that prints errors only.

    Raises:
        DataError: ONNX Runtime refuses the model.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise DataError(f"{label}: ONNX Runtime refuses it: {str(error).splitlines()[0]}") from None


def run(session: Any, network: Network, pictures: List[Array], label: str) -> Dict[str, Array]:
    """Outputs by name, [batch,...].

    Raises:
        DataError: the model cannot be run.
    """
    names = [output.name for output in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, {network.input: np.stack(pictures)})))
    except ORT_ERRORS as error:
        raise DataError(f"{label}: cannot be run: {str(error).splitlines()[0]}") from None


def compared(
    outputs: Mapping[str, Array], golden: Mapping[str, Any], tolerance: float, label: str
) -> float:
    """Largest difference from `golden`, as a share of the output's largest value, or of 1 if less.

    Raises:
        DataError: an output is not finite, or differs by more than `tolerance`.
    """
    for name, found in outputs.items():
        if not np.isfinite(found).all():
            raise DataError(f"{label}: output {name} is not finite")
    worst = 0.0
    for name, values in golden.items():
        worst = max(worst, _difference(outputs, name, values, label))
    if worst > tolerance:
        raise DataError(
            f"{label}: the converted network is wrong on this machine: it differs from the "
            f"original by {worst:.1e} of full scale; allowed is {tolerance:.1e}"
        )
    return worst


def _difference(outputs: Mapping[str, Array], name: str, golden: Any, label: str) -> float:
    expected = np.asarray(golden, np.float64)
    if name not in outputs or sampled(outputs[name][0]).shape != expected.shape:
        raise ConfigError(f"{label}: golden values for {name} do not fit its outputs")
    difference = np.abs(sampled(outputs[name][0]) - expected).max()
    return float(difference / max(1.0, np.abs(expected).max()))


def _ort_errors() -> tuple[type[Exception], ...]:
    """Exception classes of ONNX Runtime, which have no common base class."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    found = [getattr(state, n) for n in dir(state)]
    own = [e for e in found if isinstance(e, type) and issubclass(e, Exception)]
    return (*own, RuntimeError, ValueError)


ORT_ERRORS = _ort_errors()
