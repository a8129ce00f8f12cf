"""What kernels need of a runner."""

from __future__ import annotations

from typing import Dict, Protocol

from edge.runtime._contract import DeviceArray
from edge.runtime._cuda.memory import Device, Stream


class Engine(Protocol):
    """A runner whose inputs kernels fill and whose outputs they read (edge.runtime.trt)."""

    device: Device
    stream: Stream

    def feed_on_device(self, batch: int) -> Dict[str, DeviceArray]:
        """The inputs for `batch` samples, as the GPU sees them."""

    def queue(self) -> Dict[str, DeviceArray]:
        """Queue an execution; gives the outputs as the GPU sees them."""

    def wait(self) -> None:
        """Wait until all work on the stream is done."""
