"""NVIDIA's own parser and builder carry out our plans for TensorRT 11, without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.tools.engine_cases import models_folder, network
from tests.waiting import GIVE_UP_S
from tools.benches.peer import environment

PACKAGE = "tensorrt-rtx-cu12==1.7.1.116"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def packages() -> Path:
    python = environment("tensorrt-rtx", [PACKAGE])
    return next(python.parent.parent.glob("lib/python*/site-packages"))


def carried_out(packages: Path, models: Path, *names: str) -> List[Dict[str, Any]]:
    script = Path(__file__).with_name("rtx_build.py")
    done = subprocess.run(
        [sys.executable, str(script), str(packages), str(models), *names],
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_every_precision_is_built(tmp_path: Path, packages: Path) -> None:
    found = carried_out(packages, models_folder(tmp_path), "small")
    assert [entry["precision"] for entry in found] == ["fp32", "fp16", "int8"]
    for entry in found:
        assert entry["error"] == "", entry
        assert entry["bytes"] > 1000
        assert entry["timings"] > 0
        assert entry["steps"] > 3, "its progress reaches us"
        assert entry["half"] == (entry["precision"] != "fp32")


def test_a_refusal_names_the_node(tmp_path: Path, packages: Path) -> None:
    models = models_folder(tmp_path)
    path = models / "small" / "net.int8.onnx"
    model = onnx.load(path)
    zero = next(t for t in model.graph.initializer if t.name == "c/zero")
    zero.CopyFrom(numpy_helper.from_array(np.int8(5), zero.name))
    path.write_bytes(model.SerializeToString())
    entry = carried_out(packages, models, "small")[-1]
    assert entry["bytes"] == 0
    assert "net.int8.onnx: TensorRT 11.4.0.106 refuses it: node c/QuantizeLinear" in entry["error"]
    assert "\n" not in entry["error"]


def test_an_unknown_operator_is_one_line(tmp_path: Path, packages: Path) -> None:
    model = network()
    relu = next(node for node in model.graph.node if node.name == "relu")
    relu.op_type, relu.domain = "Blur", "my.own"
    model.opset_import.append(onnx.helper.make_opsetid("my.own", 1))
    models = models_folder(tmp_path)
    (models / "small" / "net.onnx").write_bytes(model.SerializeToString())
    found = carried_out(packages, models, "small")
    assert "relu (Blur)" in found[0]["error"]
