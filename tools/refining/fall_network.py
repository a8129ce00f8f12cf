"""Train the network of the rule `fall`, and say how often it is right on scenes kept aside."""

from __future__ import annotations

import io
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np

from edge.rules._fall import evidence
from tools.refining.fall_examples import FELL, Examples
from tools.refining.fall_scenes import LYING, Scene

HIDDEN = (40, 16)
_BATCH, _RATE, _DECAY, _JITTER = 1024, 3e-3, 1e-2, 0.15
_LEAST_SPREAD = 0.08
Weights = Dict[str, np.ndarray]


def train(
    examples: Sequence[Examples], epochs: int, seed: int, step: Callable[[], None]
) -> Weights:
    """Weights as `edge.rules._fall.evidence` reads them.

    Args:
        examples: to learn from.
        epochs: passes over them.
        seed: of weights, order and noise.
        step: called after each epoch.
    """
    import torch  # loads a library that only this needs

    torch.manual_seed(seed)
    given, wanted, weights = (np.concatenate([e[i] for e in examples]) for i in range(3))
    use = weights.max(1) > 0
    mean, spread = given[use].mean(0), given[use].std(0) + _LEAST_SPREAD
    scaled = torch.tensor((given[use] - mean) / spread)
    goal, weight = torch.tensor(wanted[use]), torch.tensor(weights[use])
    net = _network(torch)
    optimiser = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=_DECAY)
    loss_of = torch.nn.BCEWithLogitsLoss(reduction="none")
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - epoch / epochs) + 5e-5
        for some in torch.randperm(len(scaled)).split(_BATCH):
            noisy = scaled[some] + _JITTER * torch.randn(len(some), evidence.INPUTS)
            loss = (loss_of(net(noisy), goal[some]) * weight[some]).sum() / _BATCH
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        step()
    return _folded([p.detach().numpy() for p in net.parameters()], mean, spread)


def _network(torch: Any) -> Any:
    sizes = (evidence.INPUTS, *HIDDEN, 2)
    layers: List[Any] = []
    for before, after in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(before, after), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def _folded(parameters: List[np.ndarray], mean: np.ndarray, spread: np.ndarray) -> Weights:
    """The weights for inputs that are not scaled."""
    first = parameters[0] / spread
    parameters = [first, parameters[1] - first @ mean, *parameters[2:]]
    found: Weights = {}
    for i in range(len(parameters) // 2):
        found[f"weight{i}"] = np.ascontiguousarray(parameters[2 * i].T, np.float32)
        found[f"bias{i}"] = parameters[2 * i + 1].astype(np.float32)
    return found


def to_bytes(weights: Weights) -> bytes:
    """The content of the weights' file."""
    file = io.BytesIO()
    named: Dict[str, Any] = dict(weights)
    np.savez(file, **named)
    return file.getvalue()


def judged(
    weights: Weights, pairs: Sequence[Tuple[Scene, Examples]], sure: float
) -> Dict[str, float]:
    """Shares of falls that the network sees within 2 s, and of other acts in which it sees one."""
    seen: List[bool] = []
    false: Dict[bool, List[bool]] = {True: [], False: []}
    layers = evidence.layers_of(weights)
    for scene, examples in pairs:
        chance = evidence.chances(examples.given, layers)[:, FELL]
        for number, act in enumerate(scene.acts):
            mine = examples.who == number
            twice = np.minimum(chance[mine][1:], chance[mine][:-1]) > sure
            at_s = examples.t_s[mine][1:][twice]
            if np.isfinite(act.ground_s) and act.name != LYING:
                seen.append(bool(((at_s > act.ground_s - 1) & (at_s < act.ground_s + 2)).any()))
            else:
                false[act.name in (LYING, "lie_down")].append(bool(len(at_s)))
    return {
        "falls seen within 2 s": float(np.mean(seen)),
        "lying down taken for a fall": float(np.mean(false[True])),
        "other acts taken for a fall": float(np.mean(false[False])),
    }
