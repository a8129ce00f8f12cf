"""What the CPU's runtimes have in common: buffers, batches, and shapes of inputs and outputs."""
