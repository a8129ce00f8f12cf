"""A machine with a GPU, as far as one can be faked: the driver and TensorRT together."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Optional

from tests.fakes import tensorrt_fake
from tests.fakes.cuda_fake import FakeCuda


class Gpu:
    """The fake driver and TensorRT together, and the modules of ours that run on them."""

    def __init__(self, version: str, **cuda: Any) -> None:
        self.cuda = FakeCuda(**cuda)
        self.version = version
        self.tensorrt = tensorrt_fake.make(version, cuda=self.cuda)

    @property
    def trt(self) -> Any:
        from edge.runtime import trt

        return trt

    def module(self, cubin: bytes) -> Any:
        """Kernels, loaded."""
        from edge.runtime._cuda.kernel import Module
        from edge.runtime._cuda.memory import open_device

        return Module(open_device(), cubin)


def running(version: str, settings: Optional[Dict[str, Any]] = None) -> Iterator[Gpu]:
    """In the place of the real ones; at the end everything must have been given back."""
    gpu = Gpu(version, **(settings or {}))
    with gpu.cuda.installed(tensorrt=gpu.tensorrt):
        yield gpu
        from edge.runtime._cuda.memory import open_device

        open_device().close()
        gpu.cuda.check()
        assert gpu.cuda.retained == 0, "the context is still held"
