"""`edge-tools import`: read a user's ONNX file, deduce its recipe, run it once, write the model."""
