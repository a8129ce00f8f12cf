"""PyTorch checkpoints: read without running anything in them, and fitted strictly to a network.

Only tensors are taken. What official files carry beside them (NumPy arrays and log buffers in
`meta` and `message_hub`) is read into inert objects; anything else is refused by name.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

import torch
from torch import Tensor

from edge.errors import DataError, NoInputError, UnavailableError
from tools.arch import megvii

State = Dict[str, Tensor]
HOLDERS = ("state_dict", "ema_state_dict", "model_state_dict", "model_ema", "ema", "model")
# Not of the network itself: mmengine's preprocessor, and the second copy that mmdet 2 kept.
DROPPED = re.compile(r"(^|\.)data_preprocessor\.|^ema_[a-z]+_|^n_averaged$|^steps$")
DEPTH = 4  # dictionaries around the parameters; a file may hold itself
NONE = "is no PyTorch checkpoint, or a damaged one"
SHOWN = 3  # keys of each kind that an error names

# Classes and functions that official files name outside of their weights.
HARMLESS = (
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",
    "collections.deque",
    "collections.defaultdict",
    "mmengine.logging.history_buffer.HistoryBuffer",
    "mmengine.config.config.ConfigDict",
    "mmengine.config.config.Config",
    "mmcv.utils.config.ConfigDict",
    "pathlib.PosixPath",
    "builtins.getattr",
    "builtins.slice",
)


class Inert:
    """Stands for an object of a checkpoint that nobody needs; takes anything and keeps nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None:
        """Forget it."""

    def extend(self, _: Any) -> None:
        """Forget them."""


def _inert(path: str) -> Any:
    module, name = path.rsplit(".", 1)
    return type(name, (Inert,), {"__module__": module, "__qualname__": name})


@contextlib.contextmanager
def _harmless_allowed() -> Iterator[None]:
    """Let the unpickler meet the harmless names, for one file; torch before 2.4 cannot."""
    registry = torch.serialization
    if not hasattr(registry, "add_safe_globals"):
        yield
        return
    before = list(registry.get_safe_globals())
    registry.add_safe_globals([_inert(path) for path in HARMLESS])
    try:
        yield
    finally:
        registry.clear_safe_globals()
        registry.add_safe_globals(before)


def read_state(path: Path) -> State:
    """The parameters of a checkpoint by name, on the CPU.

    A file may hold them bare, or under one of HOLDERS; a common prefix (`module.`, `ema_model.`)
    is taken off by `fit`. YOLOX's own files come out with mmdet's names.

    Raises:
        NoInputError: no such file.
        DataError: no checkpoint, damaged, or one that wants more than tensors.
        UnavailableError: needs a newer torch.
    """
    if not path.is_file():
        raise NoInputError(f"{path}: no such checkpoint")
    if tarfile.is_tarfile(str(path)):
        # Before torch 2.6 even weights_only could be made to run code by one (CVE-2025-32434).
        raise DataError(f"{path}: is a tar, the oldest kind of checkpoint, which may run code")
    content = _load(path)
    state = {k: v for k, v in _parameters(content).items() if not DROPPED.search(k)}
    if not state:
        raise DataError(f"{path}: holds no parameters (looked for {', '.join(HOLDERS)})")
    return megvii.rename(state)


def _load(path: Path) -> Any:
    try:
        with _harmless_allowed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of storage types that old files use
            return torch.load(str(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from None
    except (
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        AssertionError,
        ArithmeticError,
        ImportError,
        zipfile.BadZipFile,
    ) as error:
        # What a damaged pickle makes torch stumble over is not one kind of exception.
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{path}: {NONE} ({said})") from None


def _refusal(path: Path, said: str) -> Exception:
    """One line for what weights_only turned away."""
    named = re.search(r"(?:GLOBAL|global|class) ([\w.]*\w\.\w+)", said)
    if not named and "Unsupported operand" in said:
        return DataError(f"{path}: {NONE}, or saved with another pickle protocol than torch's 2")
    if not named:
        return DataError(f"{path}: {NONE}")
    if named[1] in HARMLESS:
        return UnavailableError(f"{path}: has {named[1]} beside its weights; needs torch 2.4 or up")
    return DataError(
        f"{path}: wants to load {named[1]}, which could run code; only tensors are read. "
        "Save its state_dict alone, from a machine that trusts the file"
    )


def _parameters(content: Any) -> State:
    """The dictionary of tensors inside whatever a trainer saved around it."""
    for _ in range(DEPTH):
        inside = content if isinstance(content, dict) else {}
        holders = [inside[h] for h in HOLDERS if isinstance(inside.get(h), dict)]
        if not holders:
            return {k: v for k, v in inside.items() if isinstance(k, str) and _is_tensor(v)}
        content = holders[0]
    return {}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided


def load(network: torch.nn.Module, path: Path, name: str) -> None:
    """Read a checkpoint into a network, strictly.

    Args:
        network: filled in place.
        path: of the checkpoint.
        name: of the network, for messages.

    Raises:
        NoInputError, DataError, UnavailableError: as `read_state` and `fit`.
    """
    fit(network, read_state(path), f"{path}: does not fit {name}: ")


def fit(network: torch.nn.Module, state: Mapping[str, Tensor], complaint: str) -> None:
    """Copy parameters into a network: every key must be there, with its shape, and no other.

    Raises:
        DataError: `complaint`, then what is missing, unexpected, of another shape, no number, or
            different where the network has one tensor under several keys.
    """
    wanted = network.state_dict()
    given = without_prefix(state, list(wanted))
    problems = _problems(wanted, given)
    if problems:
        raise DataError(complaint + "; ".join(problems))
    network.load_state_dict(given, strict=True)
    unequal = [k for k, v in network.state_dict().items() if not torch.equal(v, given[k].to(v))]
    if unequal:
        raise DataError(complaint + _some("different under its other key", unequal))


def _problems(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> List[str]:
    shapes = [
        f"{k} {list(given[k].shape)} instead of {list(v.shape)}"
        for k, v in wanted.items()
        if k in given and given[k].shape != v.shape
    ]
    # Only what has its shape: a tensor of a few bytes may claim to be terabytes.
    fitting = {k: v for k, v in given.items() if k in wanted and v.shape == wanted[k].shape}
    wild = [k for k, v in fitting.items() if v.is_floating_point() and not v.isfinite().all()]
    kinds = (
        ("missing", [k for k in wanted if k not in given]),
        ("unexpected", [k for k in given if k not in wanted]),
        ("of another shape", shapes),
        ("not finite", wild),
    )
    return [_some(kind, keys) for kind, keys in kinds if keys]


def _some(kind: str, keys: Sequence[str]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{kind}: {', '.join(keys[:SHOWN])}{more}"


def without_prefix(state: Mapping[str, Tensor], wanted: Sequence[str]) -> State:
    """Keys as the network has them: `module.backbone...` -> `backbone...`.

    Where a file has several copies, the averaged one (a prefix with `ema` in it) is taken.
    """
    prefixes = {k[: -len(wanted[0])] for k in state if k.endswith(wanted[0])}
    ranked: List[Tuple[bool, int, str]] = sorted(("ema" not in p, len(p), p) for p in prefixes)
    prefix = ranked[0][2] if ranked else ""
    others = [p for p in prefixes if p != prefix]
    return {
        k[len(prefix) :]: v
        for k, v in state.items()
        if k.startswith(prefix) and not any(p and k.startswith(p) for p in others)
    }
