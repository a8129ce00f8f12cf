"""The runner of TensorRT engines: engine, contexts, tensors."""
