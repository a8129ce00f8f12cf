"""The state of a run on disk: what it needs to go on after a kill, bit for bit on the CPU."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional

import torch
from torch import Tensor

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, DataError, NoInputError

FILE = "state.pt"


@dataclass
class State:
    """Where a run stands, between two steps."""

    plan: Dict[str, Any]  # what must be the same to go on
    step: int = 0  # steps done
    weights: Dict[str, Tensor] = field(default_factory=dict)
    average: Dict[str, Tensor] = field(default_factory=dict)  # empty = none is kept
    optimiser: Dict[str, Any] = field(default_factory=dict)
    best: Dict[str, Tensor] = field(default_factory=dict)  # weights of the best epoch
    best_error: float = float("inf")
    best_epoch: int = -1
    metrics_bytes: int = 0  # length of metrics.jsonl
    spent_s: float = 0.0
    done: bool = False


def save(folder: Path, state: State) -> None:
    """Write the state; a kill leaves the old or the new one."""
    buffer = io.BytesIO()
    torch.save(vars(state), buffer)
    write_whole(folder / FILE, buffer.getvalue(), READABLE)


def averaged(path: Path) -> Dict[str, Tensor]:
    """The weights of a state file that a network is judged with: averaged, if they are.

    Raises:
        NoInputError: there is no such file. DataError: it is damaged.
    """
    if not path.is_file():
        raise NoInputError(f"{path}: no such state of a run")
    state = _read(path)
    return state.average or state.weights


def load(folder: Path, plan: Dict[str, Any]) -> Optional[State]:
    """The state of a run; None: none began here.

    Raises:
        ConfigError: it is of another run. DataError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    state = _read(path)
    other = [key for key in plan if state.plan.get(key) != plan[key]]
    if other:
        raise ConfigError(
            f"{path}: is of a run with other {', '.join(sorted(other))}; give another --out, or "
            "--restart to begin again"
        )
    return state


def _read(path: Path) -> State:
    try:
        return State(**torch.load(str(path), map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is damaged; --restart begins again ({error})") from error
