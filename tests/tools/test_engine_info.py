"""What a file is and whether it fits; drivers, boards and FP16 graphs with it."""

from __future__ import annotations

import ctypes
import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.errors import DataError, UnavailableError
from tests.fakes.tensorrt_fake import make
from tests.tools.engine_cases import (
    LAPTOP,
    ORIN,
    XAVIER,
    models_folder,
    names_of,
    network,
    quantized,
)
from tools import build, engine_info
from tools.__main__ import main
from tools.engines import machine as machines
from tools.engines import trt
from tools.engines.compatibility import installed_tensorrt, judge, same_version
from tools.engines.fp16 import LARGEST, fragile_nodes, to_fp16
from tools.engines.machine import Machine, has_libraries, read_gpu, read_l4t, read_machine
from tools.engines.onnx_info import precision, ranges
from tools.macs import macs, tensor_shapes


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder with an engine built on an Orin with TensorRT 10.3.0."""
    folder = models_folder(tmp_path)
    monkeypatch.setattr(trt, "load", lambda: make("10.3.0"))
    monkeypatch.setattr(build, "read_machine", lambda: ORIN)
    assert main(["build", "small", "--models", str(folder), "--precision", "int8"]) == 0
    return folder


def examine(models: Path, name: str = "net.int8.engine") -> Dict[str, Any]:
    return engine_info.examine(models / "small" / name)


def here(monkeypatch: pytest.MonkeyPatch, machine: Machine, tensorrt: str) -> None:
    monkeypatch.setattr(engine_info, "read_machine", lambda: machine)
    monkeypatch.setattr(engine_info, "installed_tensorrt", lambda: tensorrt)


@pytest.mark.parametrize(
    ("machine", "tensorrt", "reasons"),
    [
        (ORIN, "10.3.0", []),
        (ORIN, "10.3.0.30", []),
        (ORIN, "10.13.3.9", ["built with TensorRT 10.3.0; 10.13.3.9 is installed here"]),
        (ORIN, "", ["built with TensorRT 10.3.0; none is installed here"]),
        (XAVIER, "10.3.0", ["built for compute capability 8.7 (Orin); this GPU is Xavier (7.2)"]),
        (LAPTOP, "10.3.0", ["built for Orin (8.7); here: no NVIDIA driver (libcuda.so.1)"]),
    ],
)
def test_an_engine_fits_or_the_reasons_are_exact(
    models: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine, tensorrt: str, reasons: Any
) -> None:
    here(monkeypatch, machine, tensorrt)
    found = examine(models)
    assert (found["fits"], found["reasons"]) == (not reasons, reasons)
    assert bool(found["remarks"]) == (machine.l4t != ORIN.l4t)


def test_an_engine_that_is_not_of_its_record(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, ORIN, "10.3.0")
    (models / "small" / "net.int8.engine").write_bytes(b"ftrt another")
    found = examine(models)
    assert found["reasons"] == ["its build record is of another engine file; build again"]
    assert found["magic"] == "66747274"
    (models / "small" / "net.int8.engine.json").unlink()
    assert examine(models)["fits"] is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": "engine-record/1"}', "null"])
def test_a_damaged_record_is_one_line(models: Path, text: str) -> None:
    (models / "small" / "net.int8.engine.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="is not a build record"):
        examine(models)


def test_the_page_of_an_engine(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here(monkeypatch, XAVIER, "8.5.2.2")
    (models / "small" / "net.int8.gate.json").write_text('{"oks": 0.991}', encoding="utf-8")
    capsys.readouterr()
    assert main(["engine-info", str(models / "small" / "net.int8.engine")]) == 0
    text = capsys.readouterr().out
    for words in (
        "fits here   NO",
        "this GPU is Xavier (7.2)",
        "8.5.2.2 is installed here",
        "TensorRT 10.3.0, JetPack 6.2",
        "qdq, weakly typed",
        "0.991",
        "gym",
    ):
        assert words in text
    assert "tensorrt" not in sys.modules, "an engine is never loaded"


def test_a_proof_of_another_network_is_not_the_engines(models: Path) -> None:
    gate = models / "small" / "net.int8.gate.json"
    record = json.loads((models / "small" / "net.int8.engine.json").read_text(encoding="utf-8"))
    for digest, counts in ((record["onnx"]["sha256"], True), ("0" * 64, False)):
        gate.write_text(
            json.dumps({"passed": True, "sha256": digest, "fp32_sha256": "1" * 64}),
            encoding="utf-8",
        )
        assert (examine(models)["record"]["gate"] is not None) is counts


def test_signed_or_not(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no manifest" in examine(models)["signed"]
    keys = models.parent / "operator"
    assert main(["keygen", str(keys)]) == 0
    assert main(["sign", "--models", str(models), "--key", f"{keys}.key"]) == 0
    assert examine(models)["signed"].startswith("the manifest lists this hash; --key")
    engine = models / "small" / "net.int8.engine"
    capsys.readouterr()
    assert main(["engine-info", str(engine), "--key", f"{keys}.pub"]) == 0
    assert f"signed      yes: the manifest lists this hash and is signed with {keys}.pub" in (
        capsys.readouterr().out
    )
    engine.write_bytes(b"changed")
    assert "changed after" in examine(models)["signed"]
    assert "changed after" in signed_by(engine, keys)
    (models / "small" / "other.engine").write_bytes(b"new")
    assert "the manifest does not list it" in examine(models, "other.engine")["signed"]
    (models / "manifest.json").write_text("[", encoding="utf-8")
    assert "damaged" in examine(models)["signed"]
    assert "is not signed with this key" in signed_by(engine, keys)


def signed_by(engine: Path, keys: Path) -> str:
    return str(engine_info.examine(engine, keys.with_name(f"{keys.name}.pub"))["signed"])


def test_a_list_that_somebody_else_made_is_not_signed(models: Path) -> None:
    """Its hashes are right, so only the signature tells."""
    mine, theirs = models.parent / "mine", models.parent / "theirs"
    for keys in (mine, theirs):
        assert main(["keygen", str(keys)]) == 0
    assert main(["sign", "--models", str(models), "--key", f"{theirs}.key"]) == 0
    engine = models / "small" / "net.int8.engine"
    assert signed_by(engine, theirs).startswith("yes: ")
    assert signed_by(engine, mine).startswith("no: ")
    manifest = models / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert signed_by(engine, theirs).startswith("no: ")
    (models / "manifest.sig").unlink()
    assert "manifest.sig" in signed_by(engine, theirs)


@pytest.mark.parametrize(("name", "code"), [("none.pub", 66), ("operator.key", 78)])
def test_a_key_that_is_none_is_one_line(
    models: Path, capsys: pytest.CaptureFixture[str], name: str, code: int
) -> None:
    assert main(["keygen", str(models.parent / "operator")]) == 0
    engine = models / "small" / "net.int8.engine"
    capsys.readouterr()
    assert main(["engine-info", str(engine), "--key", str(models.parent / name)]) == code
    said = capsys.readouterr().err
    assert name in said
    assert said.count("\n") == 1


def test_an_onnx_file(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, small = examine(models, "net.onnx"), examine(models, "net.int8.onnx")
    assert (plain["precision"], small["precision"]) == ("fp32", "int8")
    assert plain["inputs"] == [{"name": "input", "type": "float", "shape": ["batch", 3, 12, 16]}]
    assert (plain["opset"], plain["qdq_pairs"], plain["operators"]["Conv"]) == (17, 0, 3)
    assert plain["parameters"] == 8 * 3 * 9 + 8 * 8 * 9 + 4 * 8 + 1
    assert plain["macs_per_sample"] == 6 * 8 * (8 * 27 + 8 * 72 + 4 * 8)
    assert small["macs_per_sample"] == plain["macs_per_sample"]
    assert small["ranges"] == pytest.approx({"input": 2.0, "c": 2.0})
    assert main(["engine-info", str(models / "small" / "net.int8.onnx")]) == 0
    assert "4 Q/DQ pairs, 2 activations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "code", "text"),
    [
        ("x.txt", b"hello", 65, "neither an .engine nor an .onnx"),
        ("none.engine", None, 66, "no such file"),
        ("x.engine", b"", 65, "is empty"),
        ("x.onnx", b"\xff\xff not onnx", 65, "is not an ONNX file"),
        ("x.onnx", b"\x08\x07", 65, "has no nodes"),
    ],
)
def test_mistakes(
    tmp_path: Path,
    name: str,
    content: Any,
    code: int,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["engine-info", str(tmp_path / name)]) == code
    [line] = capsys.readouterr().err.splitlines()
    assert text in line


def test_versions_that_load_each_others_plans() -> None:
    assert same_version("8.5.2", "8.5.2.2")
    assert same_version("10.3.0", "10.3.0.30")
    assert not same_version("8.5.2", "8.5.3")
    assert not same_version("10.3", "10.13")
    assert not same_version("", "8.5.2")


def test_no_record_no_verdict() -> None:
    assert judge(None, "0" * 64, ORIN, "10.3.0").fits is None


def test_tensorrt_without_metadata_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "tensorrt" / "__init__.py").write_text(
        '__version__ = "8.5.2.2"\nraise SystemExit', encoding="utf-8"
    )
    assert installed_tensorrt() == "8.5.2.2"


# Multiplications.


def layer(op: str, x: Any, w: Any, y: Any, **options: Any) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"], **options)],
        "g",
        [value("x", TensorProto.FLOAT, x)],
        [value("y", TensorProto.FLOAT, y)],
        [numpy_helper.from_array(np.zeros(w, np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (layer("Conv", ["b", 4, 8, 8], (6, 4, 3, 3), ["b", 6, 6, 6]), 6 * 36 * 36),
        (layer("Conv", ["b", 4, 8, 8], (4, 1, 3, 3), ["b", 4, 6, 6], group=4), 4 * 36 * 9),
        (
            layer("ConvTranspose", ["b", 4, 8, 8], (4, 6, 2, 2), [1, 6, 16, 16], strides=[2, 2]),
            4 * 64 * 24,
        ),
        (layer("MatMul", ["b", 10, 32], (32, 5), ["b", 10, 5]), 10 * 32 * 5),
        (layer("Gemm", ["b", 32], (5, 32), ["b", 5], transB=1), 32 * 5),
        (layer("Gemm", ["b", 32], (32, 5), ["b", 5]), 32 * 5),
        (layer("Conv", ["b", 4, "h", "w"], (6, 4, 3, 3), ["b", 6, "h", "w"]), None),
    ],
)
def test_multiplications(model: onnx.ModelProto, wanted: Any) -> None:
    assert macs(model) == wanted


# FP16 written into a graph.


def outputs(model: onnx.ModelProto, feed: Dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return np.asarray(session.run(None, feed)[0])


@pytest.mark.parametrize("quantize", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_half_computes_the_same_with_the_same_ends(quantize: bool, batch: int) -> None:
    model = quantized(network()) if quantize else network()
    half = to_fp16(model)
    onnx.checker.check_model(half, full_check=True)
    feed = {"input": np.random.default_rng(0).random((batch, 3, 12, 16), np.float32)}
    wanted, got = outputs(model, feed), outputs(half, feed)
    assert got.dtype == np.float32
    error, largest = np.abs(got - wanted), np.abs(wanted).max()
    assert error.mean() < 0.005 * largest
    # A value at the border of two INT8 steps may fall on the other side.
    assert error.max() < (0.1 if quantize else 0.01) * largest
    assert precision(half) == ("int8" if quantize else "fp16")


def test_half_keeps_fragile_nodes_in_fp32() -> None:
    model = network()
    assert fragile_nodes(model) == {"soft", "decode"}
    half = to_fp16(model)
    inferred = onnx.shape_inference.infer_shapes(half).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.output)}
    made = {n.name: kinds[n.output[0]] for n in half.graph.node}
    assert made["soft"] == made["decode"] == TensorProto.FLOAT
    assert made["stem"] == made["body"] == made["head"] == TensorProto.FLOAT16
    weights = {t.name: t.data_type for t in half.graph.initializer}
    assert weights["w0/cast"] == TensorProto.FLOAT16
    assert "w0" not in weights, "what nobody uses is left out"


def test_half_quantization_stays_whole() -> None:
    half = to_fp16(quantized(network()))
    assert max(o.version for o in half.opset_import) >= 19
    weights = {t.name: numpy_helper.to_array(t) for t in half.graph.initializer}
    pairs = {n.output[0]: n for n in half.graph.node if n.op_type == "QuantizeLinear"}
    for node in half.graph.node:
        if node.op_type == "DequantizeLinear":
            ahead, back = weights[pairs[node.input[0]].input[1]], weights[node.input[1]]
            assert back.dtype == np.float16
            np.testing.assert_array_equal(ahead.astype(np.float64), back.astype(np.float64))
            assert (back > 0).all(), "a scale of 0 is refused"
    assert len(names_of(half.graph.node, "QuantizeLinear")) == len(pairs) == 4
    assert {n.input[0] for n in pairs.values()} >= {"w0", "w1"}, "weights are rounded once"
    assert weights["w0"].dtype == np.float32


def test_half_leaves_the_scales_of_a_resize() -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
            helper.make_node("Resize", ["a", "", "s"], ["b"], "resize", mode="nearest"),
            helper.make_node("Conv", ["b", "w"], ["y"], "last"),
        ],
        "g",
        [value("x", TensorProto.FLOAT, ["b", 1, 4, 4])],
        [value("y", TensorProto.FLOAT, ["b", 1, 8, 8])],
        [
            numpy_helper.from_array(np.full((1, 1, 1, 1), 0.5, np.float32), "w"),
            numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    half = to_fp16(helper.make_model(graph, opset_imports=opset, ir_version=8))
    onnx.checker.check_model(half, full_check=True)
    feed = {"x": np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)}
    wanted = feed["x"].repeat(2, axis=2).repeat(2, axis=3) / 4
    np.testing.assert_array_equal(outputs(half, feed), wanted)


def test_half_leaves_what_it_cannot_hold() -> None:
    model = network()
    big = next(t for t in model.graph.initializer if t.name == "w1")
    values = numpy_helper.to_array(big).copy()
    values[0, 0, 0, 0] = 2 * LARGEST
    big.CopyFrom(numpy_helper.from_array(values, "w1"))
    weights = {t.name: t for t in to_fp16(model).graph.initializer}
    assert weights["w1"].data_type == TensorProto.FLOAT


def test_half_refuses_branches() -> None:
    model = network()
    empty = helper.make_graph([helper.make_node("Identity", ["out"], ["z"])], "g", [], [])
    model.graph.node.append(
        helper.make_node("If", ["c"], ["z2"], then_branch=empty, else_branch=empty)
    )
    with pytest.raises(DataError, match="loops or branches"):
        to_fp16(model)


def test_ranges_leave_weights_out() -> None:
    assert ranges(network()) == {}
    assert set(ranges(quantized(network()))) == {"input", "c"}
    assert tensor_shapes(network())["a"] == [1, 8, 6, 8]


# The machine.


class Driver:
    """libcuda with one Orin, or with an error."""

    def __init__(self, init: int = 0, count: int = 1) -> None:
        self.count, self.init = count, init
        self.asked: List[Any] = []
        self.numbers = {75: 8, 76: 7, 18: 1}

    def cuInit(self, flags: int) -> int:
        self.asked.append("cuInit")
        return self.init

    def cuDeviceGetCount(self, count: Any) -> int:
        assert self.asked == ["cuInit"]
        count._obj.value = self.count
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: ctypes.c_int) -> int:
        name.value = b"Orin"
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 12060
        return 0

    def cuDeviceGetAttribute(self, value: Any, which: int, device: ctypes.c_int) -> int:
        value._obj.value = self.numbers[which]
        return 0


def missing(name: str) -> Any:
    raise OSError(name)


def test_a_gpu_is_read_from_the_driver() -> None:
    assert read_gpu(lambda name: Driver()) == ORIN.gpu


@pytest.mark.parametrize(
    ("load", "text"),
    [
        (missing, "no NVIDIA driver"),
        (lambda name: Driver(init=100), "cuInit of the NVIDIA driver returns error 100"),
        (lambda name: Driver(count=0), "finds no GPU"),
    ],
)
def test_no_gpu_is_one_line(load: Any, text: str) -> None:
    with pytest.raises(UnavailableError, match=text):
        read_gpu(load)
    found = read_machine(load)
    assert found.gpu is None
    assert text in found.no_gpu


def test_libraries() -> None:
    assert not has_libraries(missing)
    assert has_libraries(lambda name: None)

    def only_cublas(name: str) -> None:
        if "cublas" not in name:
            raise OSError

    assert not has_libraries(only_cublas)


def test_board_and_jetpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text(
        "# R35 (release), REVISION: 4.1, GCID: 33958178, BOARD: t186ref\n", encoding="utf-8"
    )
    assert read_l4t(release) == "35.4.1"
    assert read_l4t(tmp_path / "none") == ""
    monkeypatch.setattr(machines, "TEGRA_RELEASE", release)
    assert read_machine(missing).jetpack == "5.1.2"


def test_a_machine_as_json_names_the_gpu() -> None:
    assert ORIN.as_json()["gpu"]["name"] == "Orin"
    assert replace(LAPTOP).as_json()["gpu"] == {"name": None, "compute_capability": None}
    json.dumps(ORIN.as_json())


def test_fingerprint_reads_all_of_a_file(tmp_path: Path) -> None:
    data = b"ftrt" + bytes(3 << 20)
    (tmp_path / "x").write_bytes(data)
    wanted = (len(data), hashlib.sha256(data).hexdigest(), b"ftrt")
    assert engine_info.fingerprint(tmp_path / "x") == wanted
