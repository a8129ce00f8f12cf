"""An `edge-tools build` that makes engines of the fake TensorRT, and lasts, fails or is wrong.

Started as a process in the tools' place: python builder.py build MODEL --network N ...
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

MACHINE = {"compute_capability": "8.7", "tensorrt": "10.3.0"}


def record(engine: Path, onnx: Path, **changes: Any) -> None:
    """The build record beside an engine, as the tools write it."""
    machine = {**MACHINE, **changes}
    table: Dict[str, Any] = {
        "schema": "engine-record/1",
        "engine": {"file": engine.name},
        "onnx": {"file": onnx.name, "sha256": hashlib.sha256(onnx.read_bytes()).hexdigest()},
        "machine": {"gpu": {"name": "Orin", "compute_capability": machine["compute_capability"]}},
        "tensorrt": machine["tensorrt"],
        "build": {"dla": machine.get("dla")},
        "gate": machine.get("gate"),
    }
    engine.with_name(engine.name + ".json").write_text(json.dumps(table), encoding="utf-8")


def engine(folder: Path, sample: Sequence[int], precision: str = "fp32", **changes: Any) -> Path:
    """An engine of a folder's model.onnx and its record."""
    onnx, path = folder / "model.onnx", folder / f"model.{precision}.engine"
    profile = {"input": [[n, *sample] for n in (1, 2, 8)]}
    head = {"tensorrt": changes.get("plan", "10.3.0"), "profile": profile}
    path.write_bytes(b"plan" + json.dumps(head).encode() + b"\n" + onnx.read_bytes())
    record(path, onnx, **changes)
    return path


def main(arguments: List[str]) -> int:
    """What the program does."""
    model, models = arguments[1], Path(arguments[arguments.index("--models") + 1])
    precision = arguments[arguments.index("--precision") + 1]
    folder = models / model
    behaviour = (models / "behaviour").read_text(encoding="utf-8").split()
    (models / f"{model}.asked").write_text(" ".join(arguments), encoding="utf-8")
    if "forever" in behaviour:
        time.sleep(600)
    if "fail" in behaviour:
        sys.stderr.write("reading\nout of memory: try a smaller --batch\n")
        return 75
    sample = {"standing": (3, 64, 48), "twobox": (3, 64, 64)}[model]
    engine(folder, sample, precision, **({"tensorrt": "8.5.2"} if "other" in behaviour else {}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
