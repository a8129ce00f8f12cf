"""Anchors of YOLO heads, fitted to the sizes of people."""
