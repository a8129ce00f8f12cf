"""Cameras in, whole-body poses and events out."""

import os

__version__ = "0.2.0"

# ONNX Runtime 1.31 and newer keeps usage records below the home folder and has code that uploads
# them. It reads this variable once, when it is loaded. A box must report to its operator only.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
