"""Crops on the GPU: from camera frames into an engine's input, one launch for a batch."""

from __future__ import annotations

import contextlib
from typing import Dict, Mapping, Optional, Sequence

import numpy as np

from edge import geometry
from edge.errors import InternalError
from edge.recipe import Network
from edge.runtime._cuda.kernel import Module
from edge.runtime._cuda.memory import Buffer
from edge.runtime.kernels import cubins
from edge.runtime.kernels.chooser import RowChooser
from edge.runtime.kernels.crops import (
    check_count,
    check_image,
    fill_letterboxes,
    fill_samples,
    rows_of_frames,
    target_of,
)
from edge.runtime.kernels.decode import Chosen, Rows, crop_shape
from edge.runtime.kernels.engine import Engine
from edge.runtime.kernels.layouts import CROP
from edge.runtime.kernels.peaks import Found, PeakReader
from edge.runtime.kernels.staging import StagingMemory
from edge.structures import Frame, Veils
from edge.view import crop_maps


class Cropper:
    """Fills the image input of one engine; the contract is `edge.runtime.Crops`.

    Frames that the GPU can read (`Frame.device_ptr`) are read in place. Others are copied once into
    staging memory.

    Args:
        engine: its input is filled by work on its stream.
        staging: shared by all engines of the device.
        cubin: the kernels; None = those for this GPU.

    Raises:
        UnavailableError: there are no kernels for this GPU.
    """

    def __init__(
        self, engine: Engine, staging: StagingMemory, cubin: Optional[bytes] = None
    ) -> None:
        device = engine.device
        self._engine, self._staging = engine, staging
        self._module = Module(device, cubin or cubins.fitting(device.compute_capability))
        with contextlib.ExitStack() as undo:
            undo.callback(self._module.close)
            self._crop = self._module.function("crop")
            self._peaks = PeakReader(engine, self._module)
            self._chooser = RowChooser(engine, self._module)
            undo.pop_all()
        self._table: Optional[Buffer] = None
        self._veils: Optional[Buffer] = None
        self._veil_bytes = 0  # used by the next launch
        self._queued = self._closed = False
        staging.users += 1

    def sample(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        matrices: np.ndarray,
        network: Network,
        border: int = 0,
        veils: Optional[Veils] = None,
    ) -> None:
        """Queue what `_preprocess.crops.sample` does on the engine's stream.

        Args:
            frames: are read until the engine has run.
            which: [B] index into `frames` of each crop.
            matrices: [B,2,3] frame px -> input px.
            network: size, layout, channel order, mean and std of the input.
            border: 0..255, grey value outside the frame.
            veils: cells of crops that are hidden; copied.
        """
        table, size = self._rows(len(which)), (network.width, network.height)
        if len(which):
            maps = crop_maps(frames, which, matrices)
            fill_samples(table, self._sources(frames), which, maps, size)
            self._hide(table, veils)
        self._launch(len(which), network, border)

    def letterbox(self, frames: Sequence[Frame], network: Network, border: int) -> np.ndarray:
        """Queue what `_preprocess.crops.letterbox` does.

        Returns:
            [B,2,3] float32, frame px -> input px.
        """
        table, size = self._rows(len(frames)), (network.width, network.height)
        if frames:
            fill_letterboxes(table, self._sources(frames), frames, size)
        self._launch(len(frames), network, border)
        matrices = [geometry.letterbox(frame.size, size) for frame in frames]
        return np.array(matrices, np.float32).reshape(-1, 2, 3)

    def peaks(self, x: str, y: str, reach: int = 0) -> Found:
        """Execute the network and find the maxima of two outputs; see `PeakReader.read`."""
        self._queued = False  # it waits for the stream
        return self._peaks.read(x, y, reach)

    def choose(self, wanted: Mapping[str, Rows], floor: float) -> Dict[str, Chosen]:
        """Execute the network and choose rows of its outputs; see `RowChooser.read`."""
        self._queued = False  # it waits for the stream
        return self._chooser.read(wanted, floor)

    def _sources(self, frames: Sequence[Frame]) -> np.ndarray:
        for frame in frames:
            if not frame.device_ptr:
                check_image(frame)  # it is copied with the same strides
        return rows_of_frames(frames, self._staging.pointers(frames, self._engine.stream))

    def _rows(self, count: int) -> np.ndarray:
        """The table for the next launch; waits until the launch before has read it."""
        check_count(count)
        if self._queued:
            self._engine.stream.synchronize()
            self._queued = False
        self._veil_bytes = 0
        old, self._table = self._table, None
        self._table = self._grown(old, max(count, 1) * CROP.itemsize)
        return self._table.view((count,), CROP)

    def _hide(self, table: np.ndarray, veils: Optional[Veils]) -> None:
        if veils is None:
            return
        table["veil"] = veils.of_crop + 1
        old, self._veils = self._veils, None
        self._veils = self._grown(old, max(veils.cells.size, 1))
        self._veils.view(veils.cells.shape, np.uint8)[...] = veils.cells
        self._veil_bytes = veils.cells.size

    def _grown(self, buffer: Optional[Buffer], nbytes: int) -> Buffer:
        """The buffer itself, or a larger one in its place if it is too small."""
        if buffer is not None and buffer.nbytes >= nbytes:
            return buffer
        if buffer is not None:
            buffer.close()
        return self._engine.device.buffer(1 << (nbytes - 1).bit_length(), what="crops")

    def _launch(self, count: int, network: Network, border: int) -> None:
        inputs = self._engine.feed_on_device(count)
        if self._table is None or network.input not in inputs:
            raise InternalError(f"{network.file}: the engine has no input {network.input!r}")
        if not count:
            return
        into, stream = inputs[network.input], self._engine.stream
        target = target_of(network, into.dtype, border)
        target.data, target.crops, target.count = into.pointer, self._table.pointer, count
        self._queued = True  # from here on the stream may read the table and the veils
        self._table.upload(stream, count * CROP.itemsize)
        if self._veils is not None and self._veil_bytes:
            self._veils.upload(stream, self._veil_bytes)
            target.veils = self._veils.pointer
        grid, block = crop_shape(network.width, network.height, count)
        self._crop.launch(grid, block, [target], stream)

    def close(self) -> None:
        """Free everything; may be called twice. The stream must be idle."""
        for buffer in (self._table, self._veils):
            if buffer is not None:
                buffer.close()
        self._table = self._veils = None
        self._peaks.close()
        self._chooser.close()
        self._module.close()
        self._staging.users -= not self._closed
        self._closed = True
        if self._staging.users == 0:
            self._staging.close()
