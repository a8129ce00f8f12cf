"""From ONNX to TensorRT engine: plan a build, run it, record it, check it against a machine."""
