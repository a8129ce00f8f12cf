"""INT8: which tensors, which ranges, and the graph that carries them (explicit Q/DQ)."""
