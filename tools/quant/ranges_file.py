"""The ranges file `<stem>.ranges.json`: how a network was quantized, and the range of each tensor.

`edge-tools quantize` writes it; `edge-tools build` and `edge-tools verify` read it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Mapping

import numpy as np

from edge import __version__
from edge.errors import DataError
from tools.fetch.files import sha256_of
from tools.quant.quantized_network import QuantizedNetwork

SCHEMA = "edge.ranges/1"


def describe(outcome: QuantizedNetwork, model: Path, crops: Path) -> Dict[str, Any]:
    """The content of a ranges file, as JSON values.

    Args:
        outcome: the quantized network.
        model: file of the float network.
        crops: file of the recorded inputs.
    """
    return {
        "schema": SCHEMA,
        "tool": f"edge-tools {__version__}",
        "network": model.name,
        "network_sha256": sha256_of(model),
        "inputs": crops.name,
        "inputs_sha256": sha256_of(crops),
        "inputs_count": outcome.crops,
        "method": outcome.method,
        "correction": outcome.correction,
        "equalized": outcome.alpha,
        "int8_residuals": [node for node, _ in outcome.placement.residuals],
        "float_layers": list(outcome.placement.floating),
        "float_for_accuracy": outcome.dropped,
        "int8_layers": [layer.name for layer in outcome.placement.layers],
        "output_error": _rounded(outcome.errors),
        "method_error": _rounded(outcome.methods),
        "layer_error": _rounded(outcome.layers),
        "layer_macs": outcome.macs,
        "amax": {tensor: float(np.float32(amax)) for tensor, amax in outcome.ranges.items()},
    }


def _rounded(values: Mapping[str, float]) -> Dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in values.items()}


def read_ranges_file(path: Path) -> Dict[str, Any]:
    """Read a ranges file.

    Raises:
        DataError: the file is missing or is not a ranges file.
    """
    try:
        found: Dict[str, Any] = json.loads(path.read_bytes())
        known = found["schema"] == SCHEMA and isinstance(found["amax"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise DataError(f"{path}: is missing or is not a ranges file; run `edge-tools quantize`")
    return found
