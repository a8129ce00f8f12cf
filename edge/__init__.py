"""Cameras in, whole-body poses and events out."""

__version__ = "0.1.0"
