"""The file that keeps which runtime was faster on this CPU, for each network."""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Optional

from edge import durable
from edge.errors import EdgeError

log = logging.getLogger(__name__)

SCHEMA = "cpu-runtimes/1"
FILE = "cpu_runtimes.json"
_MOST = 200  # verdicts in a file; the oldest go


@dataclass(frozen=True)
class Verdict:
    """What was measured once for a network."""

    runtime: str  # the faster one: ort | openvino
    bf16: bool  # OpenVINO computed float layers in BF16
    ratio: float  # OpenVINO's time of one sample / ONNX Runtime's, median
    ort_ms: float  # ONNX Runtime's time of one sample, median


class Verdicts:
    """Verdicts by key, read and written whole.

    A file that is damaged counts as empty and is replaced by the next verdict.

    Args:
        folder: of the file; None = nothing is kept.
    """

    def __init__(self, folder: Optional[Path]) -> None:
        self.file = folder / FILE if folder is not None else None
        self._lock = threading.Lock()

    def get(self, key: str) -> Optional[Verdict]:
        """The verdict of an earlier start; None = there is none that can be read."""
        return _verdict(self._read().get(key))

    def put(self, key: str, verdict: Verdict) -> None:
        """Keep a verdict; a folder that cannot be written costs a measurement at each start."""
        if self.file is None:
            return
        with self._lock:
            found = self._read()
            found.pop(key, None)
            kept = dict([*found.items(), (key, asdict(verdict))][-_MOST:])
            try:
                durable.make_dir(self.file.parent)
                text = json.dumps({"schema": SCHEMA, "verdicts": kept}, indent=1)
                durable.save(self.file, text.encode() + b"\n")
            except EdgeError as error:
                log.warning("which runtime is faster is measured again at each start: %s", error)

    def _read(self) -> Dict[str, Any]:
        if self.file is None:
            return {}
        try:
            record = json.loads(self.file.read_bytes())
            if record["schema"] == SCHEMA and isinstance(record["verdicts"], dict):
                return dict(record["verdicts"])
            why = f"is not of {SCHEMA}"
        except FileNotFoundError:
            return {}
        except OSError as error:
            why = str(error.strerror)
        except (ValueError, KeyError, TypeError, RecursionError):
            why = "is damaged"
        log.warning("%s: %s; which runtime is faster is measured again", self.file, why)
        return {}


def _verdict(value: Any) -> Optional[Verdict]:
    """A verdict out of the file; None = it is of another form."""
    if not isinstance(value, dict):
        return None
    runtime, bf16 = value.get("runtime"), value.get("bf16")
    ratio, ort_ms = value.get("ratio"), value.get("ort_ms")
    good = runtime in ("ort", "openvino") and isinstance(bf16, bool)
    if not good or not isinstance(ratio, float) or not isinstance(ort_ms, float):
        return None
    return Verdict(str(runtime), bool(bf16), ratio, ort_ms)


def folder(configured: str) -> Optional[Path]:
    """Where the file lies: the state directory, else the user's cache folder, else nowhere.

    Args:
        configured: `state.dir` of the configuration.
    """
    named = durable.find_state_dir(configured)
    if named is not None:
        return named
    cache = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(cache) if cache else Path.home() / ".cache") / "edge"
    except RuntimeError:  # nobody knows the home folder
        return None
