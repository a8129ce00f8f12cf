"""The temporal network in PyTorch, its training, and its ONNX file."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from edge.people.temporal import FEATURES, MOST_H, UNITS
from tools.refining.sequences import Sequences

_SETTLE = 8  # frames at the start that no loss counts
_BATCH = 256  # keypoints
_WINDOW = 64  # frames
_RATE = 3e-3
_BEND = 0.25  # weight of second differences in the loss


def use_threads(count: int) -> None:
    """Let PyTorch use this number of threads."""
    torch.set_num_threads(count)


class TemporalNet(nn.Module):
    """An LSTM cell (Hochreiter and Schmidhuber 1997) as two linear layers, and a bounded output.

    The output layer begins with 0: an untrained network leaves the filter as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told = nn.Linear(FEATURES, 4 * UNITS)
        self.past = nn.Linear(UNITS, 4 * UNITS, bias=False)
        self.out = nn.Linear(UNITS, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.told.bias[UNITS : 2 * UNITS] += 1  # forget little at first

    def forward(self, told: Tensor, h: Tensor, c: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Features [M,12] and states [M,48] twice -> additions [M,2] in H, states."""
        gates = self.told(told) + self.past(h)
        let, forget, new, show = gates.chunk(4, 1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(let) * torch.tanh(new)
        h = torch.sigmoid(show) * torch.tanh(c)
        return MOST_H * torch.tanh(self.out(h)), h, c

    def over(self, told: Tensor) -> Tensor:
        """Additions [T,M,2] for features [T,M,12], from states of 0."""
        h = c = told.new_zeros(told.shape[1], UNITS)
        added = []
        for now in told:
            add, h, c = self(now, h, c)
            added.append(add)
        return torch.stack(added)


def train(
    sets: Sequence[Sequences], steps: int, seed: int, each: Any = lambda step, loss: None
) -> TemporalNet:
    """Train on sequences; the loss is L1 of the error plus that of its second differences.

    Args:
        sets: of several rates and noises; each step takes a piece of one.
        steps: of the optimiser (AdamW).
        seed: of weights and lots.
        each: called with the step and its loss.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = TemporalNet()
    optimiser = torch.optim.AdamW(net.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, steps)
    for step in range(steps):
        told, wanted, known = _piece(sets[int(rng.integers(len(sets)))], rng)
        error = (net.over(told) - wanted) * known[..., None]
        bend = error[2:] - 2 * error[1:-1] + error[:-2]
        loss = error[_SETTLE:].abs().mean() + _BEND * bend[_SETTLE:].abs().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        each(step, float(loss.detach()))
    return net.eval()


def _piece(data: Sequences, rng: np.random.Generator) -> Tuple[Tensor, Tensor, Tensor]:
    """A window of some keypoints, turned and mirrored by lot."""
    rows = rng.permutation(data.told.shape[1])[:_BATCH]
    start = int(rng.integers(max(1, len(data.told) - _WINDOW + 1)))
    part = slice(start, start + _WINDOW)
    told, wanted = data.told[part][:, rows].copy(), data.wanted_h[part][:, rows].copy()
    angle, flip = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = (turn * [1, flip]).astype(np.float32)
    for first in (0, 2, 4, 6):
        told[..., first : first + 2] = told[..., first : first + 2] @ turn.T
    known = data.known[part][:, rows].astype(np.float32)
    return torch.from_numpy(told), torch.from_numpy(wanted @ turn.T), torch.from_numpy(known)


def added(net: TemporalNet, data: Sequences) -> np.ndarray:
    """What the network adds [T,M,2] H over whole sequences."""
    with torch.no_grad():
        return np.asarray(net.over(torch.from_numpy(data.told)).numpy() * data.known[..., None])


def to_onnx(net: TemporalNet, notes: Dict[str, str]) -> onnx.ModelProto:
    """The ONNX file: inputs told [batch,12], h and c [batch,48]; outputs add [batch,2] and states.

    The states go in and out, so that the caller keeps them for each person.
    """
    weights: List[onnx.TensorProto] = []

    def constant(name: str, value: Any) -> str:
        weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def linear(layer: nn.Linear, name: str) -> str:
        return constant(name, layer.weight.detach().numpy().T.copy())

    make = helper.make_node
    names = [constant("sizes", np.full(4, UNITS, np.int64)), constant("most", np.float32(MOST_H))]
    nodes = [
        make("MatMul", ["told", linear(net.told, "told_weight")], ["told_gates"]),
        make("MatMul", ["h", linear(net.past, "past_weight")], ["past_gates"]),
        make("Add", ["told_gates", "past_gates"], ["both_gates"]),
        make("Add", ["both_gates", constant("bias", net.told.bias.detach().numpy())], ["gates"]),
        make("Split", ["gates", names[0]], ["let", "forget", "new", "show"], axis=1),
        *[make("Sigmoid", [n], [f"{n}_share"]) for n in ("let", "forget", "show")],
        make("Tanh", ["new"], ["new_value"]),
        make("Mul", ["forget_share", "c"], ["kept"]),
        make("Mul", ["let_share", "new_value"], ["taken"]),
        make("Add", ["kept", "taken"], ["c_next"]),
        make("Tanh", ["c_next"], ["shown"]),
        make("Mul", ["show_share", "shown"], ["h_next"]),
        make("MatMul", ["h_next", linear(net.out, "out_weight")], ["out"]),
        make("Add", ["out", constant("out_bias", net.out.bias.detach().numpy())], ["answer"]),
        make("Tanh", ["answer"], ["bounded"]),
        make("Mul", ["bounded", names[1]], ["add"]),
    ]
    sizes = {"told": FEATURES, "h": UNITS, "c": UNITS, "add": 2, "h_next": UNITS, "c_next": UNITS}
    value = {
        n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", s])
        for n, s in sizes.items()
    }
    graph = helper.make_graph(
        nodes,
        "temporal",
        [value[n] for n in ("told", "h", "c")],
        [value[n] for n in ("add", "h_next", "c_next")],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, notes)
    onnx.checker.check_model(model, full_check=True)
    return model
