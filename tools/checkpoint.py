"""Read PyTorch checkpoints without running code from them, and load them into a network strictly.

Only tensors are used. Official files also contain NumPy arrays and log buffers (in `meta` and
`message_hub`); these are read as inert objects. Any other object is refused by name.
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
# Not parts of the network: mmengine's preprocessor, and the second copy in files of mmdetection 2.
DROPPED = re.compile(r"(^|\.)data_preprocessor\.|^ema_[a-z]+_|^n_averaged$|^steps$")
DEPTH = 4  # nested dictionaries around the parameters; a file may contain itself
NONE = "is not a PyTorch checkpoint, or is damaged"
SHOWN = 3  # keys of each kind in an error line

# Classes and functions that official files name outside their weights.
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
    """Stands for an unneeded object of a checkpoint; accepts any call and stores nothing."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None:
        """Do nothing."""

    def extend(self, _: Any) -> None:
        """Do nothing."""


def _inert(path: str) -> Any:
    module, name = path.rsplit(".", 1)
    return type(name, (Inert,), {"__module__": module, "__qualname__": name})


@contextlib.contextmanager
def _harmless_allowed() -> Iterator[None]:
    """Allow the unpickler the harmless names for one file; torch before 2.4 cannot."""
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

    The parameters are at the top of the file or under one of HOLDERS. `fit` removes a common
    prefix (`module.`, `ema_model.`). Keys of YOLOX's own files are renamed to mmdetection's.

    Raises:
        NoInputError: the file does not exist.
        DataError: the file is not a checkpoint, is damaged, or needs more than tensors.
        UnavailableError: the file needs a newer torch.
    """
    if not path.is_file():
        raise NoInputError(f"{path}: no such checkpoint")
    if tarfile.is_tarfile(str(path)):
        # Before torch 2.6, such a file could run code even with weights_only (CVE-2025-32434).
        raise DataError(
            f"{path}: is a tar, the oldest format of checkpoints, which may run code; save it again"
        )
    content = _load(path)
    state = {k: v for k, v in _parameters(content).items() if not DROPPED.search(k)}
    if not state:
        raise DataError(f"{path}: contains no parameters (looked for {', '.join(HOLDERS)})")
    return megvii.rename(state)


def _load(path: Path) -> Any:
    try:
        with _harmless_allowed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about storage types in old files
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
        # A damaged pickle makes torch raise exceptions of many kinds.
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{path}: {NONE} ({said})") from None


def _refusal(path: Path, said: str) -> Exception:
    """One error line for a file that weights_only refused."""
    named = re.search(r"(?:GLOBAL|global|class) ([\w.]*\w\.\w+)", said)
    if not named and "Unsupported operand" in said:
        return DataError(
            f"{path}: {NONE}, or was saved with a pickle protocol other than torch's 2"
        )
    if not named:
        return DataError(f"{path}: {NONE}")
    if named[1] in HARMLESS:
        return UnavailableError(
            f"{path}: contains {named[1]} beside its weights; install torch 2.4 or newer"
        )
    return DataError(
        f"{path}: needs {named[1]}, which could run code; only tensors are read. "
        "Save only its state_dict, on a machine that trusts the file"
    )


def _parameters(content: Any) -> State:
    """The dictionary of tensors, inside the dictionaries that a trainer saved around it."""
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
    """Load a checkpoint into a network; every key must match.

    Args:
        network: filled in place.
        path: path of the checkpoint.
        name: name of the network, for messages.

    Raises:
        NoInputError, DataError, UnavailableError: as `read_state` and `fit`.
    """
    fit(network, read_state(path), f"{path}: does not fit {name}: ")


def fit(network: torch.nn.Module, state: Mapping[str, Tensor], complaint: str) -> None:
    """Copy parameters into a network: every key must be there, with its shape, and no other.

    Raises:
        DataError: `complaint`, then the keys that are missing, unexpected, of another shape or not
                finite, or that differ although they share one tensor in the network.
    """
    wanted = network.state_dict()
    given = without_prefix(state, list(wanted))
    problems = _problems(wanted, given)
    if problems:
        raise DataError(complaint + "; ".join(problems))
    network.load_state_dict(given, strict=True)
    unequal = [k for k, v in network.state_dict().items() if not torch.equal(v, given[k].to(v))]
    if unequal:
        raise DataError(complaint + _first_keys("different under its other key", unequal))


def _problems(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> List[str]:
    shapes = [
        f"{k} {list(given[k].shape)} instead of {list(v.shape)}"
        for k, v in wanted.items()
        if k in given and given[k].shape != v.shape
    ]
    # Only tensors of the right shape: a few bytes may claim to be a tensor of terabytes.
    fitting = {k: v for k, v in given.items() if k in wanted and v.shape == wanted[k].shape}
    wild = [k for k, v in fitting.items() if v.is_floating_point() and not v.isfinite().all()]
    kinds = (
        ("missing", [k for k in wanted if k not in given]),
        ("unexpected", [k for k in given if k not in wanted]),
        ("of another shape", shapes),
        ("not finite", wild),
    )
    return [_first_keys(kind, keys) for kind, keys in kinds if keys]


def _first_keys(kind: str, keys: Sequence[str]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{kind}: {', '.join(keys[:SHOWN])}{more}"


def without_prefix(state: Mapping[str, Tensor], wanted: Sequence[str]) -> State:
    """Remove a common prefix from the keys: `module.backbone...` -> `backbone...`.

    If a file has several copies, the averaged one is used (a prefix with `ema` in it).
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
