"""Cameras in, whole-body poses and events out."""

import os

__version__ = "0.2.0"

# ONNX Runtime 1.31 and newer keeps usage records below the home folder and has code that uploads
# them; it reads this once, when it is loaded. What a box does is nobody else's matter.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
