"""ONNX -> TensorRT engine: plan it, build it, record it, tell whether it fits a machine."""
