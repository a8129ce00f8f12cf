"""Converters of published weights to ONNX, one file for each format."""
