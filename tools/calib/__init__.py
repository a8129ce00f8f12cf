"""Calibration sets: chosen frames, and the network inputs that the daemon makes of them."""
