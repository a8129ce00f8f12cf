"""The CUDA kernels as plain functions: the same source, compiled by g++ and called by ctypes."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import numpy as np

from edge.recipe import Network
from edge.runtime.kernels import crops, decode, layouts
from edge.structures import Veils
from edge.view import crop_maps

SOURCES = Path(layouts.__file__).parent
FLAGS = [
    "-std=c++11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffp-contract=off",
    "-shared",
    "-fPIC",
]
STRUCTURES = {"crop": layouts.Target, "simcc_peaks": layouts.Peaks, "choose": layouts.Choice}


@functools.lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Compiled once in a process."""
    with tempfile.TemporaryDirectory(prefix="edge-kernels-") as name:
        both, made = Path(name) / "kernels.cu", Path(name) / "kernels.so"
        both.write_text('#include "crop.cu"\n#include "decode.cu"\n', encoding="utf-8")
        command = ["g++", "-x", "c++", *FLAGS, f"-I{SOURCES}", str(both), "-o", str(made), "-lm"]
        subprocess.run(command, check=True)
        loaded = ctypes.CDLL(str(made))
    for name, structure in STRUCTURES.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = [structure], None
    return loaded


def launch(name: str, argument: Any) -> None:
    """Run a kernel over its whole grid."""
    if isinstance(argument, (bytes, np.ndarray)):  # as a driver is given it
        argument = STRUCTURES[name].from_buffer_copy(bytes(argument))
    getattr(library(), name)(argument)


def cut(
    table: np.ndarray,
    network: Network,
    dtype: Any = None,
    border: float = 0,
    quantum: float = 1.0,
    slots: int = 0,
    veils: Optional[Veils] = None,
) -> np.ndarray:
    """Crops of a table of rows into a fresh output that was filled with 77."""
    kind = np.dtype(dtype or network.dtype)
    out = np.full((slots or len(table), *network.sample_shape), 77, kind)
    target = crops.target_of(network, kind, border, quantum)
    target.data, target.crops, target.count = out.ctypes.data, table.ctypes.data, len(table)
    if veils is not None:
        table["veil"], target.veils = veils.of_crop + 1, veils.cells.ctypes.data
    launch("crop", target)
    return out


def sampled(
    frames: Any,
    which: Any,
    matrices: Any,
    network: Network,
    dtype: Any = None,
    border: float = 0,
    veils: Optional[Veils] = None,
) -> np.ndarray:
    """What `_preprocess.sample` does, by the kernel."""
    sources = crops.rows_of_frames(frames, [f.image.ctypes.data for f in frames])
    table = np.zeros(len(which), layouts.CROP)
    size: Tuple[int, int] = (network.width, network.height)
    maps = crop_maps(frames, np.asarray(which), np.asarray(matrices))
    crops.fill_samples(table, sources, np.asarray(which), maps, size)
    return cut(table, network, dtype, border, veils=veils)


def letterboxed(
    frames: Any, network: Network, dtype: Any = None, border: float = 114
) -> np.ndarray:
    """What `_preprocess.letterbox` does, by the kernel."""
    sources = crops.rows_of_frames(frames, [f.image.ctypes.data for f in frames])
    table = np.zeros(len(frames), layouts.CROP)
    crops.fill_letterboxes(table, sources, frames, (network.width, network.height))
    return cut(table, network, dtype, border)


def chosen(raw: Dict[str, np.ndarray], rows: decode.Rows, floor: float) -> decode.Chosen:
    """What a GPU would choose of a detector's outputs."""
    held = {name: np.ascontiguousarray(raw[name]) for name in rows.outputs}
    score, most = held[rows.score.output], rows.most
    frames, data = len(score), {name: array.ctypes.data for name, array in held.items()}
    found, at = np.zeros((frames, 2), np.int32), np.zeros((frames, most), np.int32)
    scores = np.zeros((frames, most), np.float32)
    boxes = np.zeros((frames, most, rows.parts), np.float32)
    task = decode.choice_of(rows, data, frames, score.dtype, floor)
    task.found, task.rows_at = found.ctypes.data, at.ctypes.data
    task.scores, task.boxes = scores.ctypes.data, boxes.ctypes.data
    launch("choose", task)
    which, slot = np.nonzero(np.arange(most) < found[:, :1])
    row, bad = at[which, slot].astype(np.int64), int(found[:, 1].sum())
    return decode.Chosen(which, row, scores[which, slot], boxes[which, slot], bad)


def kernels() -> Any:
    """For a fake driver: each kernel, after a look at whether the launch covers its grid."""

    def crop(grid: Any, block: Any, arguments: Any) -> None:
        to = layouts.Target.from_buffer_copy(bytes(arguments[0]))
        assert grid[0] * block[0] >= to.width
        assert grid[1] * block[1] >= to.height
        assert grid[2] * block[2] >= to.count
        rows = (ctypes.c_char * (to.count * layouts.CROP.itemsize)).from_address(to.crops)
        to.rows = np.frombuffer(rows, layouts.CROP).copy()  # as they are when the kernel runs
        seen.append(to)
        launch("crop", arguments[0])

    def simcc_peaks(grid: Any, block: Any, arguments: Any) -> None:
        task = layouts.Peaks.from_buffer_copy(bytes(arguments[0]))
        assert block[0] == 32  # a warp
        assert grid[0] * block[1] >= 2 * task.rows
        launch("simcc_peaks", arguments[0])

    def choose(grid: Any, block: Any, arguments: Any) -> None:
        task = layouts.Choice.from_buffer_copy(bytes(arguments[0]))
        assert (block[0], grid[0]) == (256, task.frames)  # THREADS of portable.h
        launch("choose", arguments[0])

    seen: Any = []
    return {"crop": crop, "simcc_peaks": simcc_peaks, "choose": choose}, seen
