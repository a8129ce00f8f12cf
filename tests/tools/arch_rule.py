"""Weights by rule: any implementation of a network that names its parameters alike gets the same.

The rule is that of the reference data; it needs the names and shapes alone.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Tuple

import numpy as np
import torch

GOLDEN = Path(__file__).parent / "golden_arch"
WHOLE = GOLDEN / "whole"
STORED = ("running_mean", "running_var", "x_bins", "y_bins", "dim_t", "sigmas")


def draw(key: str, shape: Iterable[int]) -> np.ndarray:
    """Float32 values of one parameter."""
    shape, last = tuple(shape), key.split(".")[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    noise = np.asarray(np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape))
    if last.endswith("weight") and len(shape) >= 3:
        noise = noise * np.sqrt(2 / np.prod(shape[1:]))
    elif last.endswith("weight") and len(shape) == 2:
        noise = noise * np.sqrt(1 / shape[1])
    elif last.endswith("weight") or last in ("g", "gamma", "scale"):
        noise = 1 + 0.1 * noise
    elif last.endswith("bias") or last == "beta":
        noise = 0.1 * noise
    else:
        noise = 0.5 * noise
    return np.asarray(noise, np.float32)


def state_of(
    shapes: Mapping[str, Iterable[int]], tied: Mapping[str, str], stored: Mapping[str, np.ndarray]
) -> Dict[str, torch.Tensor]:
    """A checkpoint: keys in `stored` as they are, tied ones as their owner, the rest drawn."""
    arrays = {k: stored[k] if k in stored else draw(tied.get(k, k), s) for k, s in shapes.items()}
    return {k: torch.from_numpy(np.asarray(array)) for k, array in arrays.items()}


def image(height: int, width: int) -> torch.Tensor:
    """[2,3,H,W] float64, drawn as the reference's."""
    noise = np.random.default_rng(0).standard_normal((2, 3, height, width))
    return torch.from_numpy(noise.astype(np.float32)).double()


def parse_keys(lines: bytes) -> Tuple[Dict[str, List[int]], Dict[str, str]]:
    """`key 24,3,3,3` or `key 24,3 = owner` lines -> shapes, tied keys."""
    shapes: Dict[str, List[int]] = {}
    tied = {}
    for line in lines.decode().split("\n"):
        key, _, rest = line.partition(" ")
        sizes, _, owner = rest.partition(" = ")
        shapes[key] = [int(size) for size in sizes.split(",") if size]
        if owner:
            tied[key] = owner
    return shapes, tied


def relative_error(got: torch.Tensor, wanted: np.ndarray) -> float:
    """Largest difference, as a share of the largest magnitude."""
    assert tuple(got.shape) == wanted.shape
    return float(np.abs(got.numpy() - wanted).max() / np.abs(wanted).max())
