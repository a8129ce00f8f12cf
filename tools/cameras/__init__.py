"""Calibration of several cameras from a board that they see."""
