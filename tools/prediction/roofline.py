"""Time of a network on a board: for each layer, the longer of arithmetic and memory, plus a launch.

    t = call + sum over layers of (launch + max(products / (peak x efficiency), bytes / bandwidth))

The roofline model is by Williams, Waterman and Patterson (CACM 52-4, 2009). Two effects are
computed and not left to the efficiencies: tensor cores work in whole blocks of channels, and a
product is cut into tiles that run in whole waves over the multiprocessors.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from tools.prediction.boards import AMPERE, Mode
from tools.prediction.layers import KINDS, Layer, Table, table

PRECISIONS = ("fp16", "int8", "mixed")
TILE = (32, 32)  # rows and columns of a product that one multiprocessor takes at a time
BLOCK = {1: 32, 2: 8}  # bytes of an element -> channels that tensor cores take at a time

CONV, POINT, DEPTH, MATMUL, MOVE = range(len(KINDS))


class Efficiencies(NamedTuple):
    """The fitted values: shares of each peak that are reached, and fixed costs."""

    volta_fp16: float  # share of the tensor cores' peak in convolutions larger than 1x1
    volta_int8: float
    ampere_fp16: float
    ampere_int8: float
    point: float  # 1x1 convolutions and matrix products, as a share of the values above
    depth: float  # share of the CUDA cores' peak
    memory: float  # share of the bandwidth
    volta_launch: float  # thousands of GPU clocks per kernel
    ampere_launch: float
    volta_call_us: float  # per execution of an engine
    ampere_call_us: float


class Load(NamedTuple):
    """A network on a board before the efficiencies: seconds at the peaks, per row of its table."""

    conv_s: np.ndarray
    point_s: np.ndarray
    depth_s: np.ndarray
    memory_s: np.ndarray
    launches: np.ndarray  # number of equal layers
    clock_s: np.ndarray  # seconds of a thousand clocks
    int8: np.ndarray  # whether the row runs in INT8
    ampere: bool


def load(layers: Sequence[Layer], mode: Mode, precision: str, batch: int) -> Load:
    """The part of a prediction that does not depend on the fit."""
    rows = table(layers)
    size = element_bytes(rows, precision)
    tensor = np.where(size == 1, mode.chip.tensor_int8, mode.chip.tensor_fp16)
    clocks = padded(rows, size, batch, mode.multiprocessors) / (mode.multiprocessors * tensor)
    cuda = mode.multiprocessors * mode.chip.cuda_fp16
    plain = rows.positions * rows.outputs * rows.depth * rows.groups * batch
    moved = (rows.weights + batch * (rows.read + rows.written)) * size
    hz = mode.clock_mhz * 1e6
    none = np.zeros(len(rows.kind))
    return Load(
        np.where(rows.kind == CONV, clocks / hz, none),
        np.where((rows.kind == POINT) | (rows.kind == MATMUL), clocks / hz, none),
        np.where(rows.kind == DEPTH, plain / cuda / hz, none),
        moved / (mode.memory_gb_s * 1e9),
        rows.repeats,
        none + 1e3 / hz,
        size == 1,
        mode.chip is AMPERE,
    )


def element_bytes(rows: Table, precision: str) -> np.ndarray:
    """1 or 2 per layer. `mixed`: INT8 in ordinary convolutions except the first and last."""
    if precision != "mixed":
        return np.full(len(rows.kind), 1 if precision == "int8" else 2)
    small = ((rows.kind == CONV) | (rows.kind == POINT)) & (rows.ends == 0)
    return np.where(small, 1, 2)


def padded(rows: Table, size: np.ndarray, batch: int, multiprocessors: int) -> np.ndarray:
    """Multiply-accumulates including those that fill up blocks of channels and waves of tiles."""
    block = np.where(size == 1, BLOCK[1], BLOCK[2])
    down = np.ceil(rows.positions * batch / TILE[0])
    across = np.ceil(rows.outputs / TILE[1])
    tiles = down * across * rows.groups
    waves = np.ceil(tiles / multiprocessors) * multiprocessors
    # A narrow layer is cut into narrower tiles.
    width = np.minimum(TILE[1], np.ceil(rows.outputs / block) * block)
    return waves * TILE[0] * width * np.ceil(rows.depth / block) * block


def seconds(work: Load, with_: Efficiencies) -> float:
    """Seconds of one execution of an engine."""
    return float(np.sum(layer_seconds(work, with_) * work.launches) + call_seconds(work, with_))


def call_seconds(work: Load, with_: Efficiencies) -> float:
    """Seconds that an execution takes before its first layer."""
    return (with_.ampere_call_us if work.ampere else with_.volta_call_us) * 1e-6


def layer_seconds(work: Load, with_: Efficiencies) -> np.ndarray:
    """Seconds of each layer, once, with its launch."""
    fp16, int8, launch = with_.volta_fp16, with_.volta_int8, with_.volta_launch
    if work.ampere:
        fp16, int8, launch = with_.ampere_fp16, with_.ampere_int8, with_.ampere_launch
    reached = np.where(work.int8, int8, fp16)
    arithmetic = (work.conv_s + work.point_s / with_.point) / reached + work.depth_s / with_.depth
    return launch * work.clock_s + np.maximum(arithmetic, work.memory_s / with_.memory)


def limits(work: Load, with_: Efficiencies) -> Dict[str, float]:
    """Shares of the time: arithmetic, memory, launches."""
    launch = (with_.ampere_launch if work.ampere else with_.volta_launch) * work.clock_s
    each = layer_seconds(work, with_) - launch
    bound = each <= work.memory_s / with_.memory * 1.000001
    parts: List[float] = [
        float(np.sum((each * work.launches)[~bound])),
        float(np.sum((each * work.launches)[bound])),
        float(np.sum(launch * work.launches)) + call_seconds(work, with_),
    ]
    total = sum(parts)
    return dict(zip(("arithmetic", "memory", "launches"), (p / total for p in parts)))
