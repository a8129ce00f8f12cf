"""Fetch official checkpoints, and make models of them in one step.

The addresses are data: `checkpoints.toml`. A file name such as `...-f840f204_20231122.pth` has the
start of the file's sha256; it is checked. The whole sha256 is recorded with the model, and compared
when the file is fetched again.
"""

from __future__ import annotations

import http.client
import json
import re
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, DataError, InternalError, UnavailableError
from edge.settings.toml_text import read_toml
from tools.fetch.cache import cache_folder
from tools.fetch.files import CHUNK_BYTES, locked, sha256_of
from tools.progress import Progress

FILE = Path(__file__).with_name("checkpoints.toml")
RECORD = "checkpoint.json"
TIMEOUT_S = 60.0
MOST_BYTES = 4 << 30
# mmpose's names end in HASH_DATE or HASH, and some in DATE.
_HASHED = re.compile(r"-(?:([0-9a-f]{8})_\d{8}|(?!20\d{6}\.)([0-9a-f]{8}))\.pth$")
_LOOPBACK = "http://127.0.0.1:"


Export = Callable[[List[str]], Dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """One official file with weights."""

    name: str
    arch: str  # of tools.arch
    address: str
    licence: str  # of the weights
    publisher: str
    training: Tuple[str, ...]  # data sets

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]

    @property
    def hash_start(self) -> str:
        """The start of its sha256 by its name; "" if the name has none."""
        found = _HASHED.search(self.file_name)
        return found[1] or found[2] if found else ""

    def terms(self) -> str:
        """What the user has to accept."""
        return (
            f"{self.name}: {self.address}\n"
            f"  weights: {self.licence}, published by {self.publisher}\n"
            f"  trained on: {', '.join(self.training)}\n"
            "  Data sets have terms of their own: some allow non-commercial research only (the\n"
            "  annotations of COCO-WholeBody, for example). Whether weights that were trained on\n"
            "  them may be used commercially is not settled. Read the terms; the decision is yours."
        )


def checkpoints() -> Dict[str, Checkpoint]:
    """All official checkpoints by name."""
    table = read_toml(FILE)
    shared = str(table["licence"]), str(table["publisher"])
    return {
        name: Checkpoint(
            name,
            str(row["arch"]),
            str(row["address"]),
            *shared,
            tuple(table["training"][row["training"]]),
        )
        for name, row in table["checkpoints"].items()
    }


def find(name: str) -> Optional[Checkpoint]:
    """The checkpoint of a name, or of the name of its architecture; None = there is none."""
    known = checkpoints()
    return known.get(name) or next((c for c in known.values() if c.arch == name), None)


def is_ready(checkpoint: Checkpoint, models: Path) -> bool:
    """Whether a model was made of it."""
    folder = models / checkpoint.name
    return (folder / RECORD).is_file() and (folder / "model.toml").is_file()


def install_checkpoint(
    checkpoint: Checkpoint,
    models: Path,
    accepted: bool,
    export: Export,
    force: bool = False,
    quiet: bool = False,
) -> List[str]:
    """Download a checkpoint, convert it, compare it with PyTorch, and make a model of it.

    Args:
        checkpoint: of `checkpoints`.
        models: folder of models; the model has the checkpoint's name.
        accepted: whether the user accepts the terms.
        export: runs `edge-tools export` with options, and gives its report.
        force: also if the model is there.
        quiet: show no progress.

    Returns:
        Names of the files written.

    Raises:
        ConfigError: the terms are not accepted. UnavailableError: torch is missing, or the download
            failed. DataError: another file, or it does not fit the architecture.
    """
    if is_ready(checkpoint, models) and not force:
        return []
    if not accepted:
        raise ConfigError("read the terms (`get` without --json shows them), then --accept-licence")
    _require_torch()
    path, sha256 = fetched(checkpoint, models / checkpoint.name / RECORD, quiet)
    facts = _made(checkpoint, path, models, export, force, quiet)
    record = {
        "address": checkpoint.address,
        "sha256": sha256,
        "licence": checkpoint.licence,
        "training": list(checkpoint.training),
        "accepted": True,
        "export": facts,
    }
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    write_whole(models / checkpoint.name / RECORD, text.encode(), READABLE)
    return sorted(p.name for p in (models / checkpoint.name).iterdir() if p.name[0] != ".")


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise UnavailableError(
            'checkpoints need the Python package torch: pip install "edge-pose[torch]"'
        ) from error


def fetched(checkpoint: Checkpoint, record: Path, quiet: bool = False) -> Tuple[Path, str]:
    """The file in the cache and its sha256; downloaded if it is not there.

    Args:
        checkpoint: of `checkpoints`.
        record: of an earlier installation; it has the sha256 of then.
        quiet: show no progress.

    Raises:
        UnavailableError: the download failed. DataError: the file is another one; it is deleted.
    """
    place = cache_folder() / checkpoint.file_name
    with locked(cache_folder() / f".{place.stem}.lock"):
        if not place.is_file():
            _download(checkpoint, place, quiet)
        sha256 = sha256_of(place)
        before = _recorded(record, checkpoint)
        problem = ""
        if not sha256.startswith(checkpoint.hash_start):
            problem = f"its sha256 begins with {sha256[:8]}, its name says {checkpoint.hash_start}"
        elif before not in ("", sha256):
            problem = f"its sha256 is {sha256}, and was {before} before"
        if problem:
            place.unlink()
            raise DataError(f"{checkpoint.address}: {problem}; the file is deleted, try again")
    return place, sha256


def _recorded(record: Path, checkpoint: Checkpoint) -> str:
    """The sha256 of an earlier installation from this address; "" = there is none."""
    try:
        told = json.loads(record.read_text("utf-8"))
        return str(told["sha256"]) if told["address"] == checkpoint.address else ""
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{record}: is damaged ({error}); delete it, and get it again") from error


def _download(checkpoint: Checkpoint, place: Path, quiet: bool) -> None:
    address = checkpoint.address
    if not address.startswith(("https://", _LOOPBACK)):
        raise InternalError(f"{address}: not https")
    part = place.with_suffix(".part")
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            size = int(answer.headers.get("Content-Length") or 0)
            with Progress(f"downloading {place.name}", size or None, "B", quiet) as bar:
                got = _copied(answer, part, bar)
        if size and got != size:
            raise UnavailableError(f"{address}: broke off after {got} of {size} bytes; try again")
        part.replace(place)
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise UnavailableError(
            f"{address}: cannot be downloaded: {why}; try again, or put the file at {place}"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _copied(answer: Any, part: Path, bar: Progress) -> int:
    got = 0
    with part.open("wb") as file:
        while chunk := answer.read(CHUNK_BYTES):
            file.write(chunk)
            got += len(chunk)
            bar.update(len(chunk))
            if got > MOST_BYTES:
                raise DataError(f"{part.name}: is larger than {MOST_BYTES >> 30} GB; not a model")
    return got


def _made(
    checkpoint: Checkpoint, path: Path, models: Path, export: Export, force: bool, quiet: bool
) -> Dict[str, Any]:
    """Export to ONNX, compare with PyTorch, and import; the facts of the comparison."""
    from tools.importing.import_network import import_network
    from tools.importing.request import ImportRequest

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model.onnx"
        words = ["--arch", checkpoint.arch, "--checkpoint", str(path), "--out", str(out)]
        report = export([*words, *(["--json"] if quiet else [])])
        if not report["ok"]:
            raise DataError(f"{checkpoint.name}: the ONNX graph does not compute as PyTorch does")
        licence = f"{checkpoint.licence}; trained on {', '.join(checkpoint.training)}"
        request = ImportRequest(out, models, checkpoint.name, licence=licence, force=force)
        import_network(request, quiet=quiet)
    errors = {name: row["max_error"] for name, row in report["outputs"].items()}
    return {"onnx_sha256": report["sha256"], "largest_errors": errors}
