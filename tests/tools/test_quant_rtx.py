"""NVIDIA's importer and builder accept every INT8 network we write, and refuse what we do not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from tests.tools import quant_nets
from tests.waiting import GIVE_UP_S
from tools.benches.peer import environment
from tools.quant import collect, qdq, ranges, reference
from tools.quant.correct import correct
from tools.quant.graph import load_model, place_int8, wire

PACKAGE = "tensorrt-rtx-cu12==1.7.1.116"
ROOT = Path(__file__).resolve().parents[2]
REAL = [
    ROOT / "engines" / name
    for name in (
        "blazepose/body.onnx",
        "blazepose/hand.onnx",
        "blazepose/face.onnx",
        "yolov4-tiny/yolov4-tiny.onnx",
    )
]
FEEDS = [{"input": (quant_nets.pictures(8) / 255).astype(np.float32)}]


@pytest.fixture(scope="module")
def builder() -> Path:
    return environment("tensorrt-rtx", [PACKAGE])


def verdicts(builder: Path, files: List[Path]) -> List[Dict[str, Any]]:
    script = Path(__file__).with_name("rtx_check.py")
    done = subprocess.run(
        [str(builder), str(script), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def small_nets(folder: Path) -> List[Path]:
    """Every method and a bias-corrected one; residual, depthwise, transposed, Gemm, MatMul."""
    files = []
    model = quant_nets.every_layer()
    chosen = place_int8(wire(model))
    counted = collect.histograms(model, chosen.activations, FEEDS)
    for method in ranges.METHODS:
        made = qdq.quantize(model, chosen, reference.ranges_by_method(counted, method))
        files.append(save(made, folder / f"{method}.onnx"))
    corrected = correct(model, made, chosen, {"input": [FEEDS[0]["input"]]})
    files.append(save(corrected, folder / "corrected.onnx"))
    return files


def save(model: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_every_network_we_write_is_built(tmp_path: Path, builder: Path) -> None:
    files = small_nets(tmp_path)
    for path in filter(Path.is_file, REAL):
        # The graph is what is judged: any ranges do.
        model = load_model(path)
        chosen = place_int8(wire(model))
        made = qdq.quantize(model, chosen, dict.fromkeys(chosen.activations, 4.0))
        files.append(save(made, tmp_path / path.name))
    found = verdicts(builder, files)
    assert [entry["file"] for entry in found] == [str(f) for f in files]
    for entry in found:
        assert entry["built"] > 1000, entry
        assert entry["errors"] == [], entry


class Reader(CalibrationDataReader):
    def __init__(self) -> None:
        self._feeds = iter(FEEDS)

    def get_next(self) -> Any:
        return next(self._feeds, None)


def test_what_is_not_symmetric_int8_is_refused_by_it_and_by_our_checker(
    tmp_path: Path, builder: Path
) -> None:
    source = save(quant_nets.every_layer(), tmp_path / "float.onnx")
    theirs = tmp_path / "defaults.onnx"
    quantize_static(source, theirs, Reader())
    shifted = tmp_path / "shifted.onnx"
    model = load_model(small_nets(tmp_path)[0])
    zero = next(t for t in model.graph.initializer if t.name == "input/zero")
    zero.CopyFrom(onnx.numpy_helper.from_array(np.int8(5), zero.name))
    save(model, shifted)
    for entry in verdicts(builder, [theirs, shifted]):
        assert entry["built"] == 0, entry
        assert entry["errors"], "refused with a reason"
    assert qdq.problems(onnx.load(theirs))
    assert qdq.problems(model)
