"""The GPU's half of the sources, a CPU thread for each GPU thread, against the plain build.

What the plain build leaves out runs here: warp shuffles, ballots, ranks in a block, histograms in
shared memory, and launches that must cover what they work on.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import pytest

from edge import geometry
from edge.recipe import Network
from edge.runtime.kernels import crops, decode, layouts
from edge.structures import Frame
from tests.fakes import kernel_cpu, kernel_threads

pytestmark = pytest.mark.one_python


@pytest.mark.parametrize("rows", [1, 3, 9])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_warps_find_the_peaks(rows: int, dtype: Any) -> None:
    rng = np.random.default_rng(rows)
    x, y = (np.round(rng.standard_normal((rows, n)), 1).astype(dtype) for n in (7, 130))
    y[0, 40:60] = np.nan
    task = decode.peaks_of((x.ctypes.data, y.ctypes.data), (7, 130), rows, x.dtype, reach=19)
    at, best = np.full((rows, 2), -9, np.int32), np.full((rows, 2), -9, np.float32)
    near = np.full((rows, 2, 39), -9, np.float32)
    task.at, task.best, task.near = (a.ctypes.data for a in (at, best, near))
    kernel_threads.launch("simcc_peaks", task, *decode.peaks_shape(rows))
    for i, axis in enumerate((x, y)):
        wide = np.pad(axis, ((0, 0), (19, 19)))
        around = axis.argmax(-1)[:, None] + np.arange(39)
        np.testing.assert_array_equal(near[:, i], np.take_along_axis(wide, around, -1))
    for i, axis in enumerate((x, y)):
        np.testing.assert_array_equal(at[:, i], axis.argmax(-1))
        np.testing.assert_array_equal(best[:, i], axis[np.arange(rows), axis.argmax(-1)])


@pytest.mark.parametrize("most", [7, 300, 1000])
@pytest.mark.parametrize("steps", [1, 5, 1000])
def test_blocks_choose_the_rows(most: int, steps: int) -> None:
    """Few different scores are many ties; more rows than threads, and fewer kept than found."""
    rng = np.random.default_rng(steps)
    table = (np.round(rng.random((2, 700, 3)) * steps) / steps).astype(np.float32)
    table[0, 5:9, 1] = np.nan
    rows = dataclasses.replace(decode.Rows.of_table("x", 700, 3, 1, 2), parts=1)
    results = []
    for launch in (
        lambda task: kernel_threads.launch("choose", task, *decode.choice_shape(2)),
        lambda task: kernel_cpu.launch("choose", task),
    ):
        task = decode.choice_of(rows, {"x": table.ctypes.data}, 2, table.dtype, 0.2)
        shapes = [((2, 2), "i4"), ((2, most), "i4"), ((2, most), "f4"), ((2, most, 1), "f4")]
        chosen = [np.full(shape, -9, kind) for shape, kind in shapes]
        task.most = most
        task.found, task.rows_at, task.scores, task.boxes = (a.ctypes.data for a in chosen)
        launch(task)
        results.append(chosen)
    for threads, plain in zip(*results):
        np.testing.assert_array_equal(threads, plain)
    assert results[0][0][:, 0].min() > 7


def cut(fill: Any, net: Network, plain: np.ndarray) -> np.ndarray:
    """The same by threads of the GPU's half: `fill` writes the table of two crops."""
    table = np.zeros(2, layouts.CROP)
    fill(table)
    target, out = crops.target_of(net, plain.dtype, 114), np.full_like(plain, 77)
    target.data, target.crops, target.count = out.ctypes.data, table.ctypes.data, 2
    kernel_threads.launch("crop", target, *decode.crop_shape(37, 11, 2))
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_a_grid_of_threads_covers_every_pixel(dtype: Any) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    frame, net = Frame(image, 0, 0, "a"), Network(file="x", width=37, height=11, std=[2.0] * 3)
    boxes = np.array([[-5, 3, 30, 20], [10, 10, 60, 40]], np.float32)
    matrices = geometry.crop_affine(boxes, (37, 11), rotations_rad=np.array([0.3, 2.0]))
    sources = crops.rows_of_frames([frame] * 2, [image.ctypes.data] * 2)
    plain = kernel_cpu.sampled([frame], [0, 0], matrices, net, dtype, 114)
    fill = partial(
        crops.fill_samples,
        sources=sources,
        which=np.zeros(2, int),
        matrices=matrices,
        size=(37, 11),
    )
    np.testing.assert_array_equal(cut(fill, net, plain), plain)
    plain = kernel_cpu.letterboxed([frame] * 2, net, dtype)
    fill = partial(crops.fill_letterboxes, sources=sources, frames=[frame] * 2, size=(37, 11))
    np.testing.assert_array_equal(cut(fill, net, plain), plain)
