"""The temporal network in INT8: weights of its linear layers stored, inputs scaled at run time."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic


def dynamic(model: bytes) -> bytes:
    """An ONNX file whose matrix products are INT8 (`quantize_dynamic` of ONNX Runtime).

    The scale of a product's input is that of the whole batch, so a row depends a little on others.

    Args:
        model: the file in FP32.
    """
    # It advises to fold the graph first; in this one there is nothing to fold.
    logging.getLogger().addFilter(_is_no_advice)
    try:
        return _dynamic(model)
    finally:
        logging.getLogger().removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()


def _dynamic(model: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder, "plain.onnx"), Path(folder, "small.onnx")
        plain.write_bytes(model)
        quantize_dynamic(plain, small, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
        return small.read_bytes()
