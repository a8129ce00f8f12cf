"""The GPU, used through PyCUDA and the CUDA driver: memory, kernels, graphs, EGL."""
