"""INT8 quantization: which tensors become INT8, their ranges, and the Q/DQ network."""
