"""`edge-tools prune`: which channels go, what makes up for them, and the verdict."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edge.errors import ConfigError, DataError
from edge.recipe import load_recipe
from tests.tools.training.training_cases import drawn, standing
from tools.__main__ import main
from tools.fetch.by_name import ensure_model
from tools.importing.recipe import to_toml
from tools.training.networks.onnx_graph import OnnxGraph
from tools.training.pruning.channels import Channels, Inside, kept_count
from tools.training.pruning.cut import cut
from tools.training.pruning.refit import moments, refit

SIDE = 32
INSIDE = 32  # channels inside the block


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def body(path: Path, block: bool = True) -> Path:
    """A body network of one inverted residual block, half of whose channels are copies."""
    rng = np.random.default_rng(0)
    pose = np.zeros((39, 5), np.float32)
    order = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    pose[order, :2] = standing((10, 3), (12, 26))[:, :2]
    pose[:, 3:] = 6.0
    wide = np.repeat(rng.normal(0, 0.5, (INSIDE // 2, 8, 1, 1)), 2, 0)
    each = np.repeat(rng.normal(0, 0.5, (INSIDE // 2, 1, 3, 3)), 2, 0)
    arrays: Dict[str, Any] = {
        "stem.w": rng.normal(0, 0.3, (8, 3, 8, 8)),
        "stem.b": np.zeros(8),
        "wide.w": wide,
        "wide.b": np.repeat(rng.normal(0, 0.5, INSIDE // 2), 2),
        "each.w": each,
        "each.b": np.repeat(rng.normal(0, 0.5, INSIDE // 2), 2),
        "narrow.w": rng.normal(0, 0.3, (8, INSIDE, 1, 1)),
        "narrow.b": np.zeros(8),
        "end.w": rng.normal(0, 0.02, (195, 8, 4, 4)),
        "end.b": pose.ravel(),
        "score.w": rng.normal(0, 0.001, (1, 8, 4, 4)),
        "score.b": np.full(1, 6.0),
        "low": np.array(0.0),
    }
    weights = [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()]
    weights.append(numpy_helper.from_array(np.array([0, 195]), "flat"))
    weights.append(numpy_helper.from_array(np.array([0, 1]), "one"))

    def conv(given: str, name: str, out: str, **options: Any) -> Any:
        return helper.make_node("Conv", [given, f"{name}.w", f"{name}.b"], [out], **options)

    nodes = [conv("input", "stem", "s", strides=[8, 8])]
    if block:
        nodes += [
            conv("s", "wide", "w"),
            helper.make_node("Clip", ["w", "low"], ["wc"]),
            conv("wc", "each", "e", pads=[1, 1, 1, 1], group=INSIDE),
            helper.make_node("Clip", ["e", "low"], ["ec"]),
            conv("ec", "narrow", "n"),
            helper.make_node("Add", ["n", "s"], ["sum"]),
        ]
    last = "sum" if block else "s"
    nodes += [
        conv(last, "end", "l"),
        helper.make_node("Reshape", ["l", "flat"], ["landmarks"]),
        conv(last, "score", "p"),
        helper.make_node("Sigmoid", ["p"], ["q"]),
        helper.make_node("Reshape", ["q", "one"], ["score"]),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["n", 195]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1]),
        ],
        [w for w in weights if w.name in used],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path


def model(folder: Path, name: str, block: bool = True) -> Path:
    """A model folder of the family `blazepose` with this body network, and real hands and face."""
    real = ensure_model("blazepose")
    (folder / name).mkdir()
    recipe = load_recipe(real)
    networks = dict(recipe.networks)
    body(folder / name / "body.onnx", block)
    for part, network in recipe.networks.items():
        if part != "body":
            shutil.copyfile(real / network.file, folder / name / network.file)
        digest = hashlib.sha256((folder / name / network.file).read_bytes()).hexdigest()
        size = {"width": SIDE, "height": SIDE, "outputs": {}} if part == "body" else {}
        networks[part] = dataclasses.replace(network, weights=None, sha256=digest, **size)
    text = to_toml(dataclasses.replace(recipe, networks=networks))
    (folder / name / "model.toml").write_text(text, "utf-8")
    return folder / name


def run_onnx(path: Path, images: torch.Tensor) -> List[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"input": images.numpy()}))


def test_channels_that_others_can_stand_for_go_first() -> None:
    rng = torch.Generator().manual_seed(0)
    free = torch.randn(400, 4, generator=rng)
    channels = torch.cat((free, free[:, :1] + free[:, 1:2], 0.01 * free[:, 2:3]), 1)
    wanted = [channels @ torch.randn(6, 3, generator=rng) + 2.0 for _ in range(2)]
    seen = [moments([(channels[:200], w[:200]), (channels[200:], w[200:])]) for w in wanted]
    old = [torch.zeros(3, 7), torch.zeros(3, 7)]
    rows, weights = refit(seen, old, 4)
    # Of 0, 1 and their sum, one can go; of 2 and its faint copy, the copy goes.
    assert 5 not in rows
    assert len({0, 1, 4} & set(rows)) == 2
    for want, weight in zip(wanted, weights):
        found = channels[:, rows] @ weight[:, :-1].T + weight[:, -1]
        assert (found - want).square().mean() < 1e-3 * want.square().mean()


def test_a_block_of_copies_is_as_good_with_half_of_its_channels(tmp_path: Path) -> None:
    path = body(tmp_path / "body.onnx")
    new, old = OnnxGraph(path), OnnxGraph(path)
    assert Channels(new, SIDE).insides() == [Inside("n1", ("n3",), INSIDE)]
    images = torch.rand(24, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    assert cut(new, old, images, 0.5, 0, True) == {"n1": (INSIDE, INSIDE // 2)}
    assert [new.layers[n].weight.shape[0] for n in ("n0", "n1", "n2", "n3")] == [8, 16, 16, 8]
    small = tmp_path / "small.onnx"
    small.write_bytes(new.to_onnx({}))
    before, after = run_onnx(path, images), run_onnx(small, images)
    with torch.no_grad():
        plain = new(images)["landmarks"].numpy()
    assert np.abs(after[0] - plain).max() < 1e-3
    assert np.abs(after[0] - before[0]).max() < 0.02  # px
    # The file is whole: it can be read, and trained, again.
    assert OnnxGraph(small).layers["n2"].groups == 16
    assert onnx.load(str(small)).opset_import[0].version == 17


def test_counts_are_those_that_runtimes_like() -> None:
    assert [kept_count(n, 0.25) for n in (24, 64, 144, 864)] == [16, 48, 112, 648]
    assert kept_count(8, 0.75) == 8
    assert kept_count(100, 0.01) == 96


def test_prune_writes_a_model_and_says_what_it_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model(tmp_path, "little")
    people = drawn(tmp_path / "labels", ("a",), 2)
    out = tmp_path / "run"
    words = ["prune", "little", "--models", str(tmp_path), "--out", str(out), "--threads", "1"]
    words += ["--hold", str(people), "--reference", str(people), "--steps", "2", "--batch", "2"]
    words += ["--pictures", "8", "--json"]
    assert main([*words, "--name", "less", "--most-lost", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["made"]["channels"] == {"n1": [INSIDE, 24]}
    assert told["bytes"]["after"] < told["bytes"]["before"]
    assert told["reference"]["before"]["oks"] > 0
    assert set(told["oks_lost"]) == {"cut", "distilled"}
    assert len(told["speed"]["share"]) == 3
    page = (out / "page.html").read_text(encoding="utf-8")
    assert "share of the time" in page
    recipe = load_recipe(tmp_path / "less")
    assert recipe.description == "little, a share of its channels taken out"


def test_what_cannot_be_pruned_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model(tmp_path, "plain", block=False)
    people = str(drawn(tmp_path / "labels", ("a",), 1))
    (tmp_path / "yolov4-tiny").symlink_to(ensure_model("yolov4-tiny").resolve())
    fixed = ["--models", str(tmp_path), "--out", str(tmp_path / "run"), "--hold", people]
    assert main(["prune", "plain", *fixed, "--pictures", "2"]) == DataError.exit_code
    assert "no channels that can be taken out at --ratio 0.25" in capsys.readouterr().err
    assert main(["prune", "yolov4-tiny", *fixed]) == ConfigError.exit_code
    assert "family yolov4, not blazepose" in capsys.readouterr().err
    assert main(["prune", "plain", *fixed, "--ratio", "1"]) == ConfigError.exit_code
    assert "--ratio 1: must be above 0 and at most 0.75" in capsys.readouterr().err
    assert main(["prune", "plain", *fixed, "--name", "plain"]) == ConfigError.exit_code
    assert "exists already" in capsys.readouterr().err
