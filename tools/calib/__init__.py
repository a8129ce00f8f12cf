"""Calibration sets: chosen frames of recordings, and the network inputs made of them."""
