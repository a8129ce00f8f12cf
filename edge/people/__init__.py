"""Tracking and smoothing of people, and when a detector may pause. Pure: no clock, no I/O."""
