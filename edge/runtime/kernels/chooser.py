"""Chooses a detector's candidates on the GPU, so that only these are copied to the host."""

from __future__ import annotations

from typing import Dict, List, Mapping, Tuple

import numpy as np

from edge.errors import InternalError
from edge.runtime._contract import DeviceArray
from edge.runtime._cuda.kernel import Module
from edge.runtime._cuda.memory import Buffer
from edge.runtime.kernels.decode import Chosen, Rows, choice_of, choice_shape
from edge.runtime.kernels.engine import Engine

_FLOATS = (np.float32, np.float16)


class RowChooser:
    """Executes an engine, and chooses the rows of its outputs with high scores.

    Args:
        engine: executes the network.
        module: the kernels.

    Raises:
        TempError: the module has no such kernel.
    """

    def __init__(self, engine: Engine, module: Module) -> None:
        self._engine = engine
        self._choose = module.function("choose")
        self._rooms: Dict[str, List[Buffer]] = {}  # by name: counts, rows, scores, boxes

    def read(self, wanted: Mapping[str, Rows], floor: float) -> Dict[str, Chosen]:
        """Execute what was fed; see `edge.runtime.Crops.choose`.

        Args:
            wanted: where rows lie, by any names.
            floor: lowest score.

        Returns:
            The chosen rows by the same names, in new arrays.
        """
        outputs = self._engine.queue()
        frames = {name: outputs[rows.score.output].shape[0] for name, rows in wanted.items()}
        for name, rows in wanted.items():
            if frames[name]:
                self._launch(name, rows, outputs, floor)
        self._engine.wait()
        return {name: self._chosen(name, rows, frames[name]) for name, rows in wanted.items()}

    def _launch(
        self, name: str, rows: Rows, outputs: Mapping[str, DeviceArray], floor: float
    ) -> None:
        dtype, frames = outputs[rows.score.output].dtype, outputs[rows.score.output].shape[0]
        if dtype not in _FLOATS or any(outputs[n].dtype != dtype for n in rows.outputs):
            listed = ", ".join(rows.outputs)
            raise InternalError(f"{listed}: rows are chosen among FP32 or FP16 numbers")
        room, stream = self._room(name, frames, rows), self._engine.stream
        places = {n: outputs[n].pointer for n in rows.outputs}
        task = choice_of(rows, places, frames, dtype, floor)
        task.found, task.rows_at, task.scores, task.boxes = (buffer.pointer for buffer in room)
        self._choose.launch(*choice_shape(frames), [task], stream)
        for buffer, nbytes in zip(room, _sizes(frames, rows)):
            buffer.download(stream, nbytes)

    def _room(self, name: str, frames: int, rows: Rows) -> List[Buffer]:
        sizes = _sizes(frames, rows)
        room = self._rooms.get(name)
        if room is None or room[0].nbytes < sizes[0]:
            for buffer in room or []:
                buffer.close()
            room = [self._engine.device.buffer(size, what="candidates") for size in sizes]
            self._rooms[name] = room
        return room

    def _chosen(self, name: str, rows: Rows, frames: int) -> Chosen:
        if not frames:
            return Chosen.none(rows.parts)
        found, at, scores, boxes = self._rooms[name]
        shape = (frames, rows.most)
        counts = found.view((frames, 2), np.int32)
        kept = np.arange(rows.most) < counts[:, :1]
        frame, slot = np.nonzero(kept)
        return Chosen(
            frame,
            at.view(shape, np.int32)[frame, slot].astype(np.int64),
            scores.view(shape, np.float32)[frame, slot],
            boxes.view((*shape, rows.parts), np.float32)[frame, slot],
            int(counts[:, 1].sum()),
        )

    def close(self) -> None:
        """Free the buffers; may be called twice. The stream must be idle."""
        while self._rooms:
            for buffer in self._rooms.popitem()[1]:
                buffer.close()


def _sizes(frames: int, rows: Rows) -> Tuple[int, int, int, int]:
    slots = frames * rows.most
    return frames * 8, slots * 4, slots * 4, slots * rows.parts * 4
