"""CUDA kernels: crops of frames into a network's input, and decoding where the network wrote.

`crop.cu` and `decode.cu` are compiled by nvcc or NVRTC for the GPU (`edge-tools kernels`), and by
g++ as plain C++, so that the same source is tested on a machine without a GPU.
"""
