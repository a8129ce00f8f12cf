"""Proof that a candidate network does what the FP32 one does, on frames it never saw."""
