"""The network of blows: trained by PyTorch, written as plain arrays."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from edge.durable import READABLE, write_whole
from edge.rules._strikes import windows
from tools.striking.examples import Examples

HIDDEN, KINDS = (32, 16), 3
_BATCH, _POSITIVES, _RATE, _DECAY = 4096, 1024, 4e-3, 1e-2
_JITTER = 0.05  # noise of features, in their standard deviations
_LEAST_SPREAD_H = 0.02


def train(
    found: Sequence[Examples], steps: int, seed: int, told: Callable[[], None]
) -> Dict[str, np.ndarray]:
    """Weights by layer, as edge.rules._strikes.blows reads them.

    Args:
        found: examples.
        steps: of the optimiser.
        seed: of weights and batches.
        told: called after each step.
    """
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    values = np.concatenate([windows.features(e.windows) for e in found])
    values = values.reshape(-1, values.shape[-1])
    wanted = np.concatenate([e.labels for e in found]).reshape(-1, KINDS)
    mean, spread = values.mean(0), values.std(0) + _LEAST_SPREAD_H
    inputs, labels = torch.tensor((values - mean) / spread), torch.tensor(wanted)
    sizes = (inputs.shape[1], *HIDDEN, KINDS)
    network = torch.nn.Sequential(*_layers(torch, sizes))
    optimiser = torch.optim.AdamW(network.parameters(), _RATE / 2, weight_decay=_DECAY)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    positive = (labels == 1).any(1).nonzero()[:, 0]
    for _ in range(steps):
        rows = torch.randint(len(inputs), (_BATCH,))
        rows = torch.cat((rows, positive[torch.randint(len(positive), (_POSITIVES,))]))
        batch = inputs[rows] + _JITTER * torch.randn(len(rows), inputs.shape[1])
        loss = _loss(torch, network(batch), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        pace.step()
        told()
    arrays = [p.detach().numpy() for p in network.parameters()]
    return _as_arrays(arrays, mean, spread)


def _layers(torch: Any, sizes: Sequence[int]) -> List[Any]:
    found: List[Any] = []
    for before, after in zip(sizes, sizes[1:]):
        found += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return found[:-1]


def _loss(torch: Any, told: Any, labels: Any) -> Any:
    """Binary cross entropy; windows near a blow count neither way."""
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        told, labels.float().clamp(0, 1), reduction="none"
    )
    return (each * (labels >= 0)).mean()


def _as_arrays(
    arrays: Sequence[np.ndarray], mean: np.ndarray, spread: np.ndarray
) -> Dict[str, np.ndarray]:
    """Matrices [in,out] and biases by layer; the first takes features as they are."""
    named = {}
    for i, layer in enumerate("abc"):
        named[f"{layer}0"], named[f"{layer}1"] = arrays[2 * i].T, arrays[2 * i + 1]
    named["a1"] = named["a1"] - (mean / spread) @ named["a0"]
    named["a0"] = named["a0"] / spread[:, None]
    return {name: value.astype(np.float32) for name, value in named.items()}


def write(path: Path, weights: Dict[str, np.ndarray]) -> None:
    """Write the weights."""
    file = io.BytesIO()
    np.savez_compressed(file, **weights)  # type: ignore[arg-type]
    write_whole(path, file.getvalue(), READABLE)
