"""Converters from the formats that weights are published in to ONNX: one file per format."""
