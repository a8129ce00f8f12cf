"""ONNX Runtime: its sessions, and the runner on top of one."""
