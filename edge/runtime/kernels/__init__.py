"""CUDA kernels: crops from frames into a network's input, and decoding of its outputs in place.

`crop.cu` and `decode.cu` are compiled for the GPU by nvcc or NVRTC (`edge-tools kernels`). g++
compiles the same sources as plain C++, so that they are tested on machines without a GPU.
"""
