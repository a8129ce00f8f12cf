"""libcuda as ctypes reaches it, over a fake driver: the calls that PyCUDA lacks."""

from __future__ import annotations

import threading
from typing import Any

from tests.fakes.cuda_fake import FakeCuda


class Libcuda:
    """Stream capture and graphs. Every call answers with a code; 0 = done."""

    def __init__(self, cuda: FakeCuda) -> None:
        self._cuda = cuda

    def _answer(self, name: str) -> int:
        self._cuda.calls[name] = self._cuda.calls.get(name, 0) + 1
        if not self._cuda.stacks.get(threading.get_ident()):
            self._cuda.faults.append(f"{name} without a context")
            return 201
        return int(self._cuda.fail.pop(name, 0))

    def cuStreamBeginCapture_v2(self, stream: Any, mode: Any) -> int:
        code = self._answer("cuStreamBeginCapture")
        queue = self._cuda.queue_of(_value(stream))
        if not code:
            queue.captured, queue.broken = [], False
        return code

    def cuStreamEndCapture(self, stream: Any, graph: Any) -> int:
        code = self._answer("cuStreamEndCapture")
        queue = self._cuda.queue_of(_value(stream))
        if queue.captured is None:
            return 900
        work, queue.captured = queue.captured, None
        if code or queue.broken:
            graph._obj.value = None
            return code or 901  # CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
        graph._obj.value = self._cuda.number()
        self._cuda.graphs[graph._obj.value] = work
        return 0

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: Any) -> int:
        code = self._answer("cuGraphInstantiate")
        if not code:
            executable._obj.value = self._cuda.number()
            self._cuda.executables[executable._obj.value] = self._cuda.graphs[_value(graph)]
        return code

    def cuGraphDestroy(self, graph: Any) -> int:
        del self._cuda.graphs[_value(graph)]
        return self._answer("cuGraphDestroy")

    def cuGraphExecDestroy(self, executable: Any) -> int:
        del self._cuda.executables[_value(executable)]
        return self._answer("cuGraphExecDestroy")

    def cuGraphLaunch(self, executable: Any, stream: Any) -> int:
        code = self._answer("cuGraphLaunch")
        if not code:
            for work in self._cuda.executables[_value(executable)]:
                self._cuda.enqueue(_value(stream), work.label, work.uses, work.run)
        return code

    def cuGetErrorString(self, code: Any, text: Any) -> int:
        text._obj.value = f"error {_value(code)}".encode()
        return 0


def _value(thing: Any) -> Any:
    return getattr(thing, "value", thing)
