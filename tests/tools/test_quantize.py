"""`edge-tools quantize` from a folder of recorded crops to files that are loaded and read."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Dict
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edge.errors import DataError
from edge.loop.assemble import network_file
from edge.recipe import load_recipe
from tests.tools import quant_nets
from tools.__main__ import main
from tools.quant import inputs, qdq
from tools.quant.cache import read_cache
from tools.quant.ranges_file import read_ranges_file

RECIPE = """
family = "simcc"
skeleton = "body17"
calibration = "gym"
float_layers = ["never*"]
[networks.main]
file = "net.onnx"
width = 16
height = 16
std = [255.0, 255.0, 255.0]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_model(tmp_path, quant_nets.every_layer())
    write_crops(tmp_path, quant_nets.pictures(16))
    return tmp_path


def write_model(place: Path, model: onnx.ModelProto) -> None:
    folder = place / "engines" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "net.onnx").write_bytes(model.SerializeToString())


def write_crops(place: Path, pixels: np.ndarray) -> Path:
    folder = place / "calibration" / "gym" / "crops" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "main.npy", pixels)
    return folder / "main.npy"


def quantize(place: Path, *more: str) -> int:
    folders = ["--models", f"{place}/engines", "--sets", f"{place}/calibration"]
    return main(["quantize", "small", *folders, *more])


def made(place: Path, suffix: str) -> Path:
    return place / "engines" / "small" / f"net{suffix}"


def test_the_proof_of_the_network_before_goes(place: Path) -> None:
    assert quantize(place, "--method", "minmax") == 0
    proof = made(place, ".int8.gate.json")
    proof.write_text('{"passed": true}', encoding="utf-8")
    assert quantize(place, "--method", "mse") == 0
    assert not proof.exists()


def test_files_are_written_and_the_network_is_the_one_the_daemon_loads(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = made(place, ".onnx").read_bytes()
    assert quantize(place, "--cache-version", "8502") == 0
    text = capsys.readouterr().out
    for word in ("minmax", "percentile", "mse", "entropy", "net.int8.onnx", "for accuracy"):
        assert word in text
    folder = place / "engines" / "small"
    network = load_recipe(folder).networks["main"]
    model = onnx.load(network_file(folder, network, "int8"))
    assert qdq.problems(model) == []
    assert made(place, ".onnx").read_bytes() == before
    assert made(place, ".quant.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    made(place, ".quant.png").unlink()
    with mock.patch.dict(sys.modules, {"matplotlib.figure": None}):  # as on a box
        assert quantize(place) == 0
    assert not made(place, ".quant.png").exists()
    assert [p.name for p in folder.glob(".*")] == [], "no half-written file"
    found = read_ranges_file(made(place, ".ranges.json"))
    assert read_cache(made(place, ".trt-cache")) == pytest.approx(found["amax"])


def of_opset(version: int) -> onnx.ModelProto:
    """As exporters wrote it: its operators mean the same in each of these."""
    model = quant_nets.every_layer()
    model.opset_import[0].version = version
    return model


def test_a_network_of_older_operators(place: Path) -> None:
    """Opset 11 is that of the published RTMPose."""
    assert quantize(place, "--method", "mse") == 0
    newer = onnx.load(made(place, ".int8.onnx"))
    write_model(place, of_opset(11))
    assert quantize(place, "--method", "mse") == 0
    older = onnx.load(made(place, ".int8.onnx"))
    assert qdq.problems(older) == []
    assert [n.name for n in older.graph.node] == [n.name for n in newer.graph.node]
    feed = {"input": quant_nets.pictures(4).astype(np.float32) / 255}
    for a, b in zip(
        *(
            onnxruntime.InferenceSession(m.SerializeToString()).run(None, feed)
            for m in (older, newer)
        )
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_network_of_newer_operators_is_refused_at_once(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(place, of_opset(18))
    write_crops(place, np.zeros((0, 3, 16, 16), np.uint8))  # not even looked at
    assert quantize(place) == 65
    assert "net.onnx: has opset 18; export it with opset 17 or lower" in capsys.readouterr().err


def test_a_network_of_half_precision_is_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = quant_nets.every_layer()
    weight = model.graph.initializer[2]
    weight.CopyFrom(numpy_helper.from_array(np.zeros(weight.dims, np.float16), weight.name))
    write_model(place, model)
    assert quantize(place) == 65
    assert "net.onnx: has weights of 16 bits; export the float32" in capsys.readouterr().err


def test_ranges_are_those_in_the_network_and_name_what_they_came_from(place: Path) -> None:
    assert quantize(place, "--method", "percentile", "--max-float", "0") == 0
    found = read_ranges_file(made(place, ".ranges.json"))
    constants = {
        t.name: numpy_helper.to_array(t)
        for t in onnx.load(made(place, ".int8.onnx")).graph.initializer
    }
    for tensor, amax in found["amax"].items():
        assert constants[f"{tensor}/scale"] == pytest.approx(amax / 127, rel=1e-6)
    assert set(found["amax"]) >= {"input", "stem6", "depth6"}
    crops = place / "calibration/gym/crops/small/main.npy"
    assert found["inputs_sha256"] == hashlib.sha256(crops.read_bytes()).hexdigest()
    assert found["network_sha256"] == hashlib.sha256(made(place, ".onnx").read_bytes()).hexdigest()
    assert (found["method"], found["float_layers"]) == ("percentile", ["map", "points"])


def test_the_errors_told_are_those_of_the_file(place: Path) -> None:
    assert quantize(place) == 0
    crops = inputs.open_crops(
        place / "calibration/gym/crops/small/main.npy",
        load_recipe(place / "engines/small").networks["main"],
    )
    choice = inputs.split_crops(crops)[1]
    feed = {"input": np.concatenate([b["input"] for b in choice.batches("input")])}
    wanted, given = (
        onnxruntime.InferenceSession(made(place, suffix)).run(["map", "points"], feed)
        for suffix in (".onnx", ".int8.onnx")
    )
    told = read_ranges_file(made(place, ".ranges.json"))["output_error"]
    for name, a, b in zip(("map", "points"), wanted, given):
        of_crops = np.sqrt(np.square(a - b).reshape(len(a), -1).mean(1))
        measured = of_crops.mean() / np.sqrt(np.square(a).mean())
        assert told[name] == pytest.approx(measured, rel=0.02)
        assert told[name] < 0.1


def test_the_same_inputs_give_the_same_bytes(place: Path) -> None:
    suffixes = (".int8.onnx", ".ranges.json")
    assert quantize(place) == 0
    first = [made(place, s).read_bytes() for s in suffixes]
    assert quantize(place) == 0
    assert [made(place, s).read_bytes() for s in suffixes] == first


def test_json_only_and_layers_kept_float(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize(place, "--json", "--float", "dep*", "--sensitivity", "--max-float", "0") == 0
    out, err = capsys.readouterr()
    assert err == ""
    found: Dict[str, Any] = json.loads(out)["main"]
    assert found["float_layers"] == ["depth", "map", "points"]
    assert list(found["layer_error"]) == sorted(
        found["layer_error"], key=lambda name: -found["layer_error"][name]
    )
    assert set(found["layer_error"]) == set(found["int8_layers"])
    assert found["float_for_accuracy"] == []


def test_layers_become_float_until_the_target_is_reached_or_no_more_may(place: Path) -> None:
    assert quantize(place, "--target", "1e-9", "--max-float", "2") == 0
    found = read_ranges_file(made(place, ".ranges.json"))
    assert len(found["float_for_accuracy"]) == 2
    assert found["float_for_accuracy"] == list(found["layer_error"])[:2]
    assert quantize(place, "--target", "0.9", "--max-float", "2") == 0
    found = read_ranges_file(made(place, ".ranges.json"))
    assert (found["float_for_accuracy"], found["layer_error"]) == ([], {})


def test_two_thirds_of_the_macs_stay_int8_even_if_the_target_cannot_be_reached(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantize(place, "--json", "--target", "0", "--method", "minmax") == 0
    found: Dict[str, Any] = json.loads(capsys.readouterr().out)["main"]
    macs, floating = found["layer_macs"], found["float_layers"]
    assert found["float_for_accuracy"], "the target asks for float layers"
    assert sum(macs[name] for name in floating) <= 0.35 * sum(macs.values())
    assert sorted([*found["int8_layers"], *floating]) == sorted(macs)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--set", "nowhere"], "sets with inputs: gym"),
        (["--networks", "hand"], "no network 'hand'; it has: main"),
        (["--float", "conv_*"], "no layer matches"),
    ],
)
def test_slips_of_the_pen(
    place: Path, arguments: list, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quantize(place, *arguments) in (66, 78)
    said = capsys.readouterr().err.strip()
    assert text in said
    assert "\n" not in said
    assert not made(place, ".int8.onnx").exists()


def test_damaged_sets_and_networks(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(code: int) -> str:
        assert quantize(place) == code
        text = capsys.readouterr().err.strip()
        assert "\n" not in text
        return text

    path = write_crops(place, quant_nets.pictures(0))
    assert "holds no crops" in said(65)
    write_crops(place, quant_nets.pictures(4)[:, :, :8])
    assert "crops are 3x8x16, the network takes 3x16x16" in said(65)
    path.write_bytes(path.read_bytes()[:200])
    assert "no recorded inputs" in said(65)
    path.unlink()
    assert "no recorded inputs" in said(65)
    write_crops(place, quant_nets.pictures(4))
    write_model(place, quant_nets.no_layers())
    assert "no layer to quantize" in said(65)
    model = quant_nets.every_layer()
    spoilt = next(t for t in model.graph.initializer if t.name == "stem.b")
    spoilt.CopyFrom(numpy_helper.from_array(np.full(8, np.nan, np.float32), "stem.b"))
    write_model(place, model)
    assert "not finite" in said(65)
    made(place, ".onnx").unlink()
    assert "net.onnx" in said(66)
    assert not made(place, ".int8.onnx").exists()


def test_a_single_crop_is_enough(place: Path) -> None:
    write_crops(place, quant_nets.pictures(1))
    assert quantize(place) == 0


def test_ranges_that_are_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ranges.json"
    for text in ("", "[]", '{"schema": "other"}', '{"schema": "edge.ranges/1", "amax": 3}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"x\.ranges\.json"):
            read_ranges_file(path)


def test_calibration_and_choice_do_not_overlap_and_miss_nothing(place: Path) -> None:
    network = load_recipe(place / "engines/small").networks["main"]
    crops = inputs.open_crops(place / "calibration/gym/crops/small/main.npy", network)
    ranges, choice = inputs.split_crops(crops)
    assert sorted([*ranges.places, *choice.places]) == list(range(16))
    assert len(choice) == 4
    few = ranges.subset(5).places
    assert (few[0], few[-1], len(few)) == (ranges.places[0], ranges.places[-1], 5)
