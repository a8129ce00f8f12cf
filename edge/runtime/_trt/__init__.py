"""Parts of the TensorRT runner: engine, contexts, tensors."""
