"""One network on the CPU: fixed buffers that a runtime reads and writes, any batch size."""

from __future__ import annotations

import time
from concurrent.futures import Future, wait
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

import numpy as np

from edge.errors import DataError, InternalError
from edge.runtime._contract import Fill, Runner, TensorSpec
from edge.runtime._core_pool import CorePool, finish
from edge.runtime._cpu.session import BATCH, OPEN, Session
from edge.runtime._cpu.tensors import input_spec, output_spec


class CpuRunner(Runner):
    """One ONNX network on the CPU; the contract is `edge.runtime.Runner`.

    Args:
        session: a runtime's, with the network loaded; closed with the runner.
        shapes: of one sample of each input.
        max_batch: samples of one execution, where the network does not fix their number.
        name: of the network, for messages.
        sha256: of its file.
        pool: executes samples in its threads; None = the session's own threads do.

    Raises:
        DataError, ConfigError: inputs that do not fit each other or the recipe.
    """

    def __init__(
        self,
        session: Session,
        shapes: Mapping[str, Tuple[int, ...]],
        max_batch: int,
        name: str,
        sha256: str = "",
        pool: Optional[CorePool] = None,
    ) -> None:
        self._session: Optional[Session] = session
        self._sizes = session.sizes
        self._name = name
        self._pool = pool
        self.sha256 = sha256
        self._runs = 0
        self.inputs = {i.name: input_spec(i, shapes, name) for i in session.inputs}
        self.outputs = {o.name: output_spec(o) for o in session.outputs}
        fixed = {s.shape[0] for s in self.inputs.values()} - {BATCH}
        if len(fixed) > 1:
            raise DataError(f"{name}: inputs disagree on the batch: {sorted(fixed)}")
        self.fixed_batch: Optional[int] = fixed.pop() if fixed else None
        self.max_batch = self.fixed_batch or max_batch
        self._wanted: Set[str] = set()  # outputs that are read; empty = all
        self._read: List[str] = []
        self._begun: Optional[List[Future[Any]]] = None
        self._batch = self._capacity = 0
        self._feeds: Dict[str, np.ndarray] = {}
        self._results: Dict[str, np.ndarray] = {}
        self._bindings: Dict[Tuple[int, int], Any] = {}

    @property
    def runs(self) -> int:
        """Executions so far; a batch that is shared out in the pool counts once."""
        return self._runs

    @property
    def concurrent(self) -> bool:
        """Whether there is a pool: its threads are shared with other networks."""
        return self._pool is not None

    def want(self, output: str) -> None:
        """Note that this output is read; outputs without a note are not kept."""
        self._wanted.add(output)

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        """Input buffers for `batch` samples, borrowed until the next feed."""
        if self._session is None:
            raise InternalError(f"{self._name}: was closed")
        self._finish_begun()
        read = [n for n in self.outputs if n in self._wanted or not self._wanted]
        if batch > self._capacity or not self._capacity or read != self._read:
            self._read = read
            self._grow(max(batch, self._capacity, 1))
        self._batch = batch
        return {name: buffer[:batch] for name, buffer in self._feeds.items()}

    def begin(self, fill: Fill) -> bool:
        """Fill the input and execute in the pool's threads, if there is a pool; `run` waits."""
        if self._pool is None:
            return False

        def work(start: int, count: int) -> Dict[str, np.ndarray]:
            fill(start, count)
            return self._run_chunk(start, count)

        self._begun = self._pool.begin(work, self._pieces())
        return True

    def run(self) -> Dict[str, np.ndarray]:
        """Execute what was fed; outputs are borrowed until the next feed.

        Raises:
            DataError: the network failed.
        """
        parts = self._parts()
        results: Dict[str, np.ndarray] = {}
        for name in self._read:
            spec = self.outputs[name]
            if name in self._results:
                results[name] = self._results[name][: self._batch]
            elif parts:
                results[name] = self._join(name, [p[name] for p in parts])
            else:
                results[name] = np.empty([0] + [max(d, 0) for d in spec.shape[1:]], spec.dtype)
        return results

    def trial_s(self) -> float:
        """Execute one sample of noise, which is not counted; gives the time of the cores it uses.

        With a pool this is CPU time, which a busy machine does not disturb: a sample has one core.

        Raises:
            DataError: the network failed.
        """
        rng = np.random.default_rng(0)
        for fed in self.feed(1).values():
            high = {"f": 1, "b": 2}.get(fed.dtype.kind, 128)  # pixels are of any other type
            fed[...] = rng.random(fed.shape, np.float32) * high
        clock = time.perf_counter if self._pool is None else time.process_time
        runs, start = self._runs, clock()
        self.run()
        passed_s, self._runs = clock() - start, runs
        return passed_s

    def _join(self, name: str, parts: List[np.ndarray]) -> np.ndarray:
        """Join the chunks of an output with open sizes; smaller chunks are padded with zeros."""
        if len(parts) == 1:
            whole = not self.fixed_batch or not self._follows_batch(self.outputs[name])
            return parts[0] if whole else parts[0][: self._batch]
        if not self._follows_batch(self.outputs[name]):
            raise DataError(
                f"{self._name}: output {name!r} does not follow the batch, so {self._batch} "
                f"samples cannot run in chunks; raise runtime.max_batch above {self.max_batch}"
            )
        tail = np.max([p.shape[1:] for p in parts], axis=0)
        joined = np.zeros((sum(len(p) for p in parts), *tail), parts[0].dtype)
        start = 0
        for part in parts:
            where = (slice(start, start + len(part)), *map(slice, part.shape[1:]))
            joined[where] = part
            start += len(part)
        return joined[: self._batch]

    def close(self) -> None:
        """Free the network and its buffers; may be called twice."""
        self._finish_begun()
        self._unbind()
        self._session = None
        self._feeds.clear()
        self._results.clear()
        self._capacity = 0

    def _parts(self) -> List[Dict[str, np.ndarray]]:
        """Execute all pieces; gives of each the outputs with open sizes."""
        begun, self._begun = self._begun, None
        if begun is None and self._pool is not None:
            begun = self._pool.begin(self._run_chunk, self._pieces())
        if begun is None:
            parts = [self._run_chunk(*piece) for piece in self._pieces()]
        else:
            parts = finish(begun)
        self._runs += len(self._chunks(self.max_batch))
        return parts

    def _pieces(self) -> List[Tuple[int, int]]:
        """Single samples for a pool; chunks without one, or where outputs have open sizes."""
        if self._pool is not None and len(self._results) == len(self._read):
            return self._chunks(self.fixed_batch or 1)
        chunks = self._chunks(self.max_batch)
        return [piece for chunk in chunks for piece in self._of_known_sizes(*chunk)]

    def _of_known_sizes(self, start: int, count: int) -> Iterator[Tuple[int, int]]:
        """A chunk as pieces of sizes that the session executes."""
        while self._sizes and count:
            size = next(s for s in self._sizes if s <= count)
            yield start, size
            start, count = start + size, count - size
        if count:
            yield start, count

    def _finish_begun(self) -> None:
        """Wait for what was begun and never run: it still uses the buffers."""
        if self._begun is not None:
            wait(self._begun)
            self._begun = None

    def _chunks(self, step: int) -> List[Tuple[int, int]]:
        starts = range(0, self._batch, step)
        return [(s, step if self.fixed_batch else min(step, self._batch - s)) for s in starts]

    def _grow(self, batch: int) -> None:
        """Allocate for the next power of two, so that a growing batch costs few allocations."""
        capacity = 1 << (batch - 1).bit_length()
        if self.fixed_batch:
            capacity = -(-capacity // self.fixed_batch) * self.fixed_batch
        self._unbind()
        self._results.clear()
        self._capacity = 0
        for name, spec in self.inputs.items():
            self._feeds[name] = self._allocated(name, spec, capacity)
        for name, spec in self.outputs.items():
            if name in self._read and OPEN not in spec.shape and self._follows_batch(spec):
                self._results[name] = self._allocated(name, spec, capacity)
        self._capacity = capacity

    def _unbind(self) -> None:
        self._bindings.clear()
        if self._session is not None:
            self._session.unbind()

    def _allocated(self, name: str, spec: TensorSpec, capacity: int) -> np.ndarray:
        """Raises DataError: a damaged file may ask for more memory than there is."""
        try:
            return np.zeros((capacity, *spec.shape[1:]), spec.dtype)
        except (MemoryError, ValueError) as error:
            raise DataError(f"{self._name}: no room for {name!r}: {error}") from error

    def _follows_batch(self, spec: TensorSpec) -> bool:
        return bool(spec.shape) and spec.shape[0] in (BATCH, self.fixed_batch)

    def _run_chunk(self, start: int, count: int) -> Dict[str, np.ndarray]:
        """Execute some samples; gives the outputs with open sizes, the others are in buffers."""
        if self._session is None:
            raise InternalError(f"{self._name}: was closed")
        key = (start, count)
        if key not in self._bindings:
            stop = start + count
            feeds = {n: buffer[start:stop] for n, buffer in self._feeds.items()}
            results = {n: buffer[start:stop] for n, buffer in self._results.items()}
            others = [n for n in self._read if n not in results]
            self._bindings[key] = self._session.bind(feeds, results, others)
        return self._session.execute(self._bindings[key])
