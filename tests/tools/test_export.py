"""`edge-tools export`: the graph gives what PyTorch gives, is clean, and says when it does not."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edge.models._preprocess import crops
from edge.structures import Frame
from tools.__main__ import main
from tools.arch import Network, build, describe, random_weights, samples
from tools.arch.compare import differences
from tools.arch.fold import folded
from tools.arch.simcc import SimccNetwork
from tools.arch.to_onnx import to_onnx

# Operators of opset 17 that TensorRT 8.5's parser knows, as far as our networks need them.
TENSORRT_85 = {
    "Abs",
    "Add",
    "ArgMax",
    "Cast",
    "Clip",
    "Concat",
    "Conv",
    "Cos",
    "DepthToSpace",
    "Div",
    "Erf",
    "Exp",
    "Gather",
    "GatherElements",
    "Gemm",
    "GlobalAveragePool",
    "Greater",
    "HardSigmoid",
    "MatMul",
    "MaxPool",
    "Min",
    "Mul",
    "Pow",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Sin",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "TopK",
    "Transpose",
    "Unsqueeze",
}
# One of each kind, at a small input; RTMW, whose smallest is large, also at the smallest factors.
SMALL = {
    "rtmpose-t-body17": (128, 96),
    "rtmw-m": (64, 64),
    "rtmdet-nano-person": (96, 128),
    "rtmdet-tiny": (64, 64),
    "yolox-nano": (64, 96),
    "rtmo-t": (64, 96),
}
NAMES = {
    ("simcc", "decoded"): ["simcc_x", "simcc_y"],
    ("simcc", "fused"): ["keypoints", "keypoint_scores"],
    ("rtmdet", "decoded"): ["boxes", "scores"],
    ("rtmdet", "raw"): ["cls_0", "cls_1", "cls_2", "bbox_0", "bbox_1", "bbox_2"],
    ("rtmdet", "fused"): ["boxes", "scores"],
    ("yolox", "decoded"): ["boxes", "scores"],
    ("yolox", "raw"): [f"{kind}_{i}" for kind in ("cls", "bbox", "obj") for i in range(3)],
    ("yolox", "fused"): ["boxes", "scores"],
    ("rtmo", "decoded"): ["boxes", "scores", "keypoints", "visibility"],
    ("rtmo", "raw"): [
        f"{kind}_{i}" for kind in ("cls", "bbox", "vis", "posevec") for i in range(2)
    ],
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Waiting for each other's threads is what tests beside these would do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def networks() -> Dict[str, Network]:
    """Small networks with random weights, whose signals are of a trained network's size."""
    found = {name: build(name, size) for name, size in SMALL.items() if name != "rtmw-m"}
    found["rtmw-m"] = SimccNetwork(0.167, 0.375, 17, SMALL["rtmw-m"], fine=True).eval()
    for name in SMALL:
        random_weights.randomise(found[name], 0, torch.from_numpy(images_for(name)))
    return found


Exported = Callable[[str, str], onnx.ModelProto]


@pytest.fixture(scope="module")
def graph_of(networks: Dict[str, Network]) -> Exported:
    """A copy of the graph of a network in a form, which is exported once."""

    @lru_cache(maxsize=None)
    def once(name: str, form: str) -> onnx.ModelProto:
        return to_onnx(networks[name], form, {"architecture": name})

    def copied(name: str, form: str) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(once(name, form))
        return model

    return copied


def images_for(name: str) -> np.ndarray:
    drawn = [cv2.resize(image, SMALL[name][::-1]) for image in samples.drawn_images(3)]
    batch = np.stack(drawn).astype(np.float32).transpose(0, 3, 1, 2)
    pixels = describe(name).pixels
    mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (pixels.mean, pixels.std))
    return (batch - mean) / std


def session_of(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *[(name, "decoded") for name in SMALL],
        *[(name, "fused") for name in ("rtmpose-t-body17", "rtmw-m", "rtmdet-tiny", "yolox-nano")],
        *[(name, "raw") for name in ("rtmdet-nano-person", "yolox-nano", "rtmo-t")],
    ],
)
def test_graph(name: str, form: str, networks: Dict[str, Network], graph_of: Exported) -> None:
    model = graph_of(name, form)
    graph, session = model.graph, session_of(model)
    family = describe(name).family
    assert [output.name for output in session.get_outputs()] == NAMES[family, form]
    assert [value.name for value in session.get_inputs()] == ["input"]
    assert session.get_inputs()[0].shape == ["batch", 3, *SMALL[name]]
    assert all(output.shape[0] == "batch" for output in session.get_outputs())
    assert all(isinstance(n, int) for output in session.get_outputs() for n in output.shape[1:])
    assert {node.op_type for node in graph.node} <= TENSORRT_85
    assert model.opset_import[0].version == 17
    assert model.ir_version <= 8
    assert len(model.opset_import) == 1
    assert {p.key: p.value for p in model.metadata_props} == {"architecture": name}
    assert not any(weight.data_location for weight in graph.initializer)
    used = {name for node in graph.node for name in node.input}
    assert {weight.name for weight in graph.initializer} <= used
    found = differences(networks[name], form, session, images_for(name), 1e-3)
    assert [d.name for d in found if not d.ok] == []
    assert all(d.largest > 0 for d in found)
    for difference, output in zip(found, session.get_outputs()):
        assert list(difference.shape) == output.shape[1:]


def test_forms_that_are_the_same(networks: Dict[str, Network]) -> None:
    """Nothing lies between a SimCC head and its logits; RTMO gives the best people alone anyway."""
    for name, one, other in (("rtmw-m", "raw", "forward"), ("rtmo-t", "fused", "forward")):
        image = torch.from_numpy(images_for(name))
        with torch.no_grad():
            a, b = (getattr(networks[name], form)(image) for form in (one, other))
        assert all(torch.equal(a[key], b[key]) for key in b)


@pytest.mark.parametrize("name", SMALL)
def test_folding_changes_no_number(name: str, networks: Dict[str, Network]) -> None:
    network = networks[name].double()
    image = torch.from_numpy(images_for(name)).double()
    with torch.no_grad():
        wanted, got = network.raw(image), folded(network).raw(image)
    network.float()
    for key, value in wanted.items():
        assert float((got[key] - value).abs().max() / value.abs().max()) < 1e-9, key


def test_every_batch_size(graph_of: Exported) -> None:
    session = session_of(graph_of("rtmo-t", "decoded"))
    one = images_for("rtmo-t")[:1]
    alone = session.run(None, {"input": one})
    for count in (2, 5):
        many = session.run(None, {"input": np.repeat(one, count, 0)})
        for a, b in zip(alone, many):
            np.testing.assert_allclose(np.repeat(a, count, 0), b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("rtmpose-t-body17", "decoded"),
        ("rtmpose-t-body17", "fused"),
        ("rtmdet-nano-person", "fused"),
        ("rtmdet-nano-person", "raw"),
        ("rtmo-t", "decoded"),
    ],
)
def test_differences_are_found(
    name: str, form: str, networks: Dict[str, Network], graph_of: Exported
) -> None:
    """A graph with one wrong weight in its stem does not pass."""
    model = graph_of(name, form)
    stem = next(n for n in model.graph.node if n.op_type == "Conv").input[1]
    weight = next(w for w in model.graph.initializer if w.name == stem)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[0] *= -1
    weight.CopyFrom(onnx.numpy_helper.from_array(values, stem))
    found = differences(networks[name], form, session_of(model), images_for(name), 1e-3)
    assert not all(d.ok for d in found)


def test_fused_keypoints_are_the_maxima(graph_of: Exported) -> None:
    name = "rtmpose-t-body17"
    images = images_for(name)
    x, y = session_of(graph_of(name, "decoded")).run(None, {"input": images})
    points, scores = session_of(graph_of(name, "fused")).run(None, {"input": images})
    there = scores > 0
    assert there.mean() > 0.9
    np.testing.assert_array_equal(points[..., 0][there], x.argmax(-1)[there] / 2)
    np.testing.assert_array_equal(points[..., 1][there], y.argmax(-1)[there] / 2)
    np.testing.assert_allclose(scores, np.minimum(x.max(-1), y.max(-1)), rtol=1e-6)


def test_fused_detector_gives_the_best_people(
    networks: Dict[str, Network], graph_of: Exported
) -> None:
    network, images = networks["yolox-nano"], images_for("yolox-nano")
    boxes, scores = session_of(graph_of("yolox-nano", "decoded")).run(None, {"input": images})
    network.candidates = 20
    few, best = session_of(to_onnx(network, "fused", {})).run(None, {"input": images})
    network.candidates = 300
    assert few.shape == (3, 20, 4)
    order = np.argsort(-scores[..., 0], 1)[:, :20]
    np.testing.assert_allclose(
        best[..., 0], np.take_along_axis(scores[..., 0], order, 1), rtol=1e-5
    )
    np.testing.assert_allclose(few, np.take_along_axis(boxes, order[..., None], 1), rtol=1e-4)


def test_random_weights_hang_on_the_seed_alone() -> None:
    images = torch.from_numpy(images_for("rtmdet-nano-person"))
    states: List[Dict[str, torch.Tensor]] = []
    for seed in (1, 1, 2):
        network = build("rtmdet-nano-person", SMALL["rtmdet-nano-person"])
        random_weights.randomise(network, seed, images)
        states.append({k: v.clone() for k, v in network.state_dict().items()})
        assert not any(module.training for module in network.modules())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    key = "backbone.stem.0.conv.weight"
    assert not torch.equal(states[0][key], states[2][key])
    assert random_weights.draw(key, (2,), 1).tolist() == random_weights.draw(key, (2,), 1).tolist()


def test_crops_are_the_daemons(tmp_path: Path) -> None:
    """Calibration, verification and the daemon see the same pixels; so does this check."""
    about = describe("yolox-nano")
    image = samples.drawn_images(1)[0]
    cv2.imwrite(str(tmp_path / "a.png"), image)
    got = samples.inputs(about, samples.images_at([tmp_path], 4))
    wanted = np.empty((1, 3, 416, 416), np.float32)
    crops.letterbox([Frame(image, 0, 0, "c")], samples.input_of(about), wanted)
    np.testing.assert_array_equal(got, wanted)


def exported(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code = main(["export", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "net.onnx"
    words = ["--arch", "yolox-nano", "--size", "96x64", "--random-seed", "3", "--out", str(out)]
    code, text, err = exported(capsys, *words)
    assert code == 0, err
    assert "boxes" in text
    assert "edge-tools import" in text
    model = onnx.load(str(out))
    notes = {p.key: p.value for p in model.metadata_props}
    assert notes["family"] == "yolox"
    assert notes["source"] == "random seed 3"
    assert notes["channels"] == "bgr"
    assert session_of(model).get_inputs()[0].shape == ["batch", 3, 64, 96]
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_command_reads_checkpoints_and_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = build("rtmdet-nano-person")
    images = samples.inputs(describe("rtmdet-nano-person"), samples.drawn_images(2))
    random_weights.randomise(network, 4, torch.from_numpy(images))
    torch.save({"state_dict": network.state_dict()}, str(tmp_path / "w.pth"))
    cv2.imwrite(str(tmp_path / "a.jpg"), samples.drawn_images(1)[0])
    out = tmp_path / "net.onnx"
    code, text, err = exported(
        capsys,
        "--arch",
        "rtmdet-nano-person",
        "--checkpoint",
        str(tmp_path / "w.pth"),
        "--out",
        str(out),
        "--images",
        str(tmp_path / "a.jpg"),
        "--fuse",
        "--candidates",
        "50",
        "--json",
    )
    assert code == 0, err
    assert err == ""
    report = json.loads(text)
    assert report["ok"]
    assert report["images"] == "given"
    assert report["outputs"]["boxes"]["shape"] == [50, 4]
    assert report["bytes"] == out.stat().st_size
    with torch.no_grad():
        network.candidates = 50
        wanted = network.fused(torch.from_numpy(images))["scores"]
    got = onnxruntime.InferenceSession(str(out)).run(["scores"], {"input": images})[0]
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-3)


def test_too_large_an_error_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a definition were exported wrongly: the check is what stops it."""
    import tools.export

    def wrong(network: Network, form: str, notes: Dict[str, str]) -> onnx.ModelProto:
        other = build("yolox-nano", network.size)
        return to_onnx(other, form, notes)

    monkeypatch.setattr(tools.export, "to_onnx", wrong)
    words = ["--arch", "yolox-nano", "--size", "64x64", "--random-seed", "3"]
    code, text, _ = exported(capsys, *words, "--out", str(tmp_path / "net.onnx"))
    assert code == 1
    assert "TOO LARGE" in text
    assert "not written" in text
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)
    words = ["--arch", "yolox-nano", "--size", "64x64", "--random-seed", "3"]
    code, _, err = exported(capsys, *words, "--out", str(tmp_path / "net.onnx"))
    assert code == 74
    assert "No space left" in err
    assert list(tmp_path.iterdir()) == []


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = exported(capsys, "--list")
    assert code == 0
    assert "rtmpose-l-wholebody-384x288" in text
    code, text, _ = exported(capsys, "--list", "--json")
    rows = {row["name"]: row for row in json.loads(text)}
    assert rows["rtmdet-nano-person"]["input_px"] == [320, 320]
    assert rows["rtmdet-nano-person"]["mean"] == [103.53, 116.28, 123.675]
    assert rows["rtmpose-m-body26"]["skeleton"] == "halpe26"


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        ([], 78, "--arch"),
        (["--arch", "rtmpose-m-body71"], 78, "rtmpose-m-body17"),
        (["--arch", "yolox-nano"], 78, "--out"),
        (["--arch", "yolox-nano", "--out", "x.onnx"], 78, "--checkpoint"),
        (["--arch", "yolox-nano", "--out", "no/where/x.onnx"], 66, "no such folder"),
        (["--arch", "yolox-nano", "--out", "x.onnx", "--checkpoint", "no.pth"], 66, "no.pth"),
        (
            ["--arch", "yolox-nano", "--out", "x.onnx", "--random-seed", "1", "--size", "70x70"],
            78,
            "multiples of 32",
        ),
        (
            ["--arch", "yolox-nano", "--out", "x.onnx", "--random-seed", "1", "--size", "64"],
            78,
            "WIDTHxHEIGHT",
        ),
        (
            ["--arch", "yolox-nano", "--out", "x.onnx", "--random-seed", "1", "--tolerance", "nan"],
            78,
            "--tolerance",
        ),
        (
            [
                "--arch",
                "yolox-nano",
                "--out",
                "x.onnx",
                "--random-seed",
                "1",
                "--size",
                "9984x9984",
            ],
            78,
            "up to 2048",
        ),
        (["--arch", "yolox-nano", "--out", "x.onnx", "--random-seed", "-1"], 78, "0 or more"),
        (["--arch", "yolox-nano", "--out", ".", "--random-seed", "1"], 78, "is a folder"),
        (
            [
                "--arch",
                "rtmpose-t-body17",
                "--out",
                "x.onnx",
                "--random-seed",
                "1",
                "--candidates",
                "5",
            ],
            78,
            "--candidates",
        ),
        (
            ["--arch", "yolox-nano", "--out", "x.onnx", "--random-seed", "1", "--candidates", "0"],
            78,
            "--candidates",
        ),
        (
            ["--arch", "yolox-nano", "--out", "x.onnx", "--random-seed", "1", "--images", "no.png"],
            66,
            "no.png",
        ),
    ],
)
def test_mistakes(
    words: List[str],
    code: int,
    hint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    got, out, err = exported(capsys, *words)
    assert got == code
    assert hint in err
    assert out == ""
    assert len(err.strip().split("\n")) == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_checkpoint_names_the_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.pth"
    torch.save(build("yolox-nano", (64, 64)).state_dict(), str(path))
    words = ["--arch", "yolox-tiny", "--checkpoint", str(path), "--out", str(tmp_path / "x.onnx")]
    code, _, err = exported(capsys, *words)
    assert code == 65
    assert "does not fit yolox-tiny: missing: " in err
    assert len(err.strip().split("\n")) == 1


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_bad_images(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(data)
    words = ["--arch", "yolox-nano", "--size", "64x64", "--random-seed", "1"]
    code, _, err = exported(capsys, *words, "--out", "x.onnx", "--images", str(tmp_path))
    assert code == 65
    assert "cannot be read as an image" in err


def test_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--arch", "yolox-nano", "--random-seed", "1", "--out", "x.onnx"]
    code, _, err = exported(capsys, *words, "--images", str(tmp_path))
    assert code == 66
    assert "contains no image" in err
