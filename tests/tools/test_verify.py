"""`edge-tools verify`: what counts as a loss, what the gate says, and the way back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge import skeletons
from edge.recipe import Gate, load_recipe
from edge.structures import Detections, Poses
from tools.__main__ import main
from tools.proof import compare, gate, requantize
from tools.proof.compare import Comparison
from tools.proof.heldout import Files, Predictions
from tools.proof.record import restore_fp32
from tools.proof.search import Attempt, search
from tools.quant.model import QuantizeJob

MODELS = Path(__file__).resolve().parents[1] / "edge/golden/models"
WHOLE = skeletons.get("wholebody133")


def people(count: int, seed: int = 0) -> Poses:
    """Apart from each other, 200 px high, everything believed."""
    rng = np.random.default_rng(seed)
    corner = np.stack((np.arange(count) * 300.0, np.zeros(count)), 1)
    points = corner[:, None] + rng.uniform((20, 20), (80, 180), (count, 133, 2))
    boxes = np.concatenate((corner, corner + (100, 200)), 1)
    return Poses(
        points.astype(np.float32),
        np.full((count, 133), 0.9, np.float32),
        boxes.astype(np.float32),
        np.arange(count),
        np.full(count, 0.8, np.float32),
        WHOLE.name,
    )


def moved(poses: Poses, part: str, px: float) -> Poses:
    points = poses.keypoints.copy()
    points[:, WHOLE.parts[part], 0] += px
    return replace(poses, keypoints=points)


def test_no_difference() -> None:
    figures = compare.compare_poses([people(3), people(0)], [people(3), people(0)], WHOLE)
    found = figures.summary
    assert (found["people"], found["lost"], found["gained"], found["mean_oks"]) == (3, 0, 0, 1.0)
    assert [p["mean_px"] for p in found["parts"].values()] == [0.0] * 5
    assert gate.failures(found, Gate()) == []
    assert figures.frame_errors.tolist() == [0.0, 0.0]
    json.dumps(found)


@pytest.mark.parametrize("part", skeletons.PARTS)
def test_one_part_moves(part: str) -> None:
    figures = compare.compare_poses([people(2)], [moved(people(2), part, 4)], WHOLE)
    for name, of in figures.summary["parts"].items():
        assert of["mean_px"] == pytest.approx(4 if name == part else 0, abs=1e-4)
        assert of["p95_px"] == pytest.approx(4 if name == part else 0, abs=1e-4)
    failures = gate.failures(figures.summary, Gate())
    assert f"{part}: mean error 4.00 px is above 3" in failures
    assert gate.excess(figures.summary, Gate()) >= 4 / 3 - 1e-4
    assert (figures.summary["mean_oks"] < 1) == (part == "body")


def test_oks_is_that_of_coco() -> None:
    """By its equation, keypoint by keypoint, with the box around what is believed as area."""
    truth, found = people(1), moved(people(1, 0), "body", 3)
    scores = truth.scores.copy()
    scores[:, 100:] = 0.3  # not believed: counts neither for the area nor for the distance
    truth = replace(truth, scores=scores)
    points = truth.keypoints[0, :100].astype(np.float64)
    area = np.prod(points.max(0) - points.min(0))
    near = [np.exp(-9 / (2 * area * (2 * float(s)) ** 2)) for s in WHOLE.sigmas[:17]]
    value = compare.body_oks(truth, found, WHOLE)[0]
    assert value == pytest.approx(np.mean(near), rel=1e-5)


def test_lost_hand_fails_though_the_body_is_fine() -> None:
    found = people(2)
    scores = found.scores.copy()
    scores[0, WHOLE.parts["left_hand"]] = 0
    found = replace(found, scores=scores)
    figures = compare.compare_poses([people(2)], [found], WHOLE).summary
    assert figures["mean_oks"] == 1.0
    assert gate.failures(figures, Gate()) == [
        "left_hand: share of keypoints found 0.5000 is below 0.97"
    ]


def test_lost_and_gained_people() -> None:
    truth, found = people(4), people(4).take(np.array([0, 2, 3]))
    figures = compare.compare_poses([truth, people(1)], [found, people(2)], WHOLE)
    assert [figures.summary[k] for k in ("people", "lost", "gained")] == [5, 1, 1]
    assert figures.frame_errors.tolist() == [1.0, 1.0]
    lines = gate.failures(figures.summary, Gate())
    assert "share of people found 0.8000 is below 0.97" in lines
    assert "share of people that FP32 finds too 0.8000 is below 0.97" in lines


def test_a_keypoint_that_is_no_longer_there_counts_as_far() -> None:
    found = people(1)
    scores = found.scores.copy()
    scores[0, 5] = 0
    value = compare.body_oks(people(1), replace(found, scores=scores), WHOLE)[0]
    assert value == pytest.approx(16 / 17, abs=1e-6)


def test_nobody_anywhere_proves_nothing() -> None:
    figures = compare.compare_poses([people(0)], [people(0)], WHOLE).summary
    assert gate.failures(figures, Gate())
    boxes = compare.compare_detections([Detections.empty()], [Detections.empty()]).summary
    assert "share of people found: there is none" in gate.failures(boxes, Gate())


def test_detections() -> None:
    boxes = people(3).boxes
    truth = Detections(boxes, np.array([0.9, 0.8, 0.7], np.float32))
    found = Detections(boxes[[2, 0]] + 5, np.array([0.6, 0.9], np.float32))
    figures = compare.compare_detections([truth, truth], [found, truth]).summary
    assert [figures[k] for k in ("people", "lost", "gained")] == [6, 1, 0]
    assert figures["score_drift"] == pytest.approx(-0.1 / 5, abs=1e-6)
    overlap = 95 * 195 / (2 * 100 * 200 - 95 * 195)
    assert figures["mean_iou"] == pytest.approx((2 * overlap + 3) / 5, rel=1e-5)


def trials(limits: Dict[str, str]) -> Any:
    """An attempt that fails while a network's file is one of those in `limits`."""
    tried: List[Files] = []

    def attempt(files: Files) -> Attempt:
        tried.append(files)
        bad = [n for n, path in files.items() if path.name in limits.get(n, "")]
        px = 4.0 * len(bad)
        part = {"mean_px": px, "p95_px": px, "keypoints": 1, "recall": 1.0}
        summary = {"recall": 1.0, "precision": 1.0, "parts": {"body": part}}
        nothing = Predictions(None, [], [])
        return Attempt(files, nothing, Comparison(summary, np.zeros(0)), [f"{n} bad" for n in bad])

    return attempt, tried


def files(suffix: str) -> Files:
    return {n: Path(f"{n}{suffix}") for n in ("body", "hand", "face")}


@pytest.mark.parametrize(
    ("limits", "floating", "relaxed", "tries"),
    [
        ({}, [], [], 1),
        ({"hand": "hand.int8"}, [], ["hand"], 5),
        ({"hand": "hand.int8 hand.0.45"}, [], ["hand"], 6),
        ({"hand": "hand.int8 hand.0.45 hand.0.65"}, ["hand"], ["hand"], 7),
        (
            {"hand": "hand.int8 hand.0.45 hand.0.65", "face": "face.int8"},
            ["hand"],
            ["hand", "face"],
            8,
        ),
    ],
)
def test_only_the_guilty_step_back(
    limits: Dict[str, str], floating: List[str], relaxed: List[str], tries: int
) -> None:
    attempt, tried = trials(limits)
    floats = files(".fp32")
    outcome = search(files(".int8"), floats, Gate(), attempt, lambda n, share: Path(f"{n}.{share}"))
    assert outcome.attempt.failures == []
    assert (outcome.floating, outcome.requantized) == (floating, relaxed)
    assert len(tried) == tries


def test_without_a_way_to_relax_networks_go_back_whole() -> None:
    attempt, _ = trials({"hand": "hand.int8"})
    nothing: Any = lambda name, share: None  # noqa: E731
    outcome = search(files(".int8"), files(".fp32"), Gate(), attempt, nothing)
    assert (outcome.floating, outcome.requantized) == (["hand"], [])
    assert outcome.attempt.files["hand"] == Path("hand.fp32")
    assert outcome.attempt.files["face"] == Path("face.int8")


def test_layers_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a network is quantized again, its layers are measured only once."""
    asked: List[Any] = []
    shutil.copytree(MODELS / "standing", tmp_path / "standing")
    candidate_file = tmp_path / "standing" / "model.int8.onnx"
    candidate_file.write_bytes(b"before")
    (tmp_path / "gym" / "crops" / "standing").mkdir(parents=True)

    def quantize(job: QuantizeJob) -> None:
        options = job.options
        asked.append((job.networks, options.sensitivity, options.floating, options.max_float))
        losses = {"c": 0.3, "a[0]": 0.2, "b": 0.1} if options.sensitivity else {}
        macs = {"c": 30, "a[0]": 20, "b": 40, "head": 10}
        text = json.dumps({"layer_error": losses, "layer_macs": macs})
        candidate_file.with_name("model.ranges.json").write_text(text, encoding="utf-8")

    monkeypatch.setattr(requantize, "quantize_model", quantize)
    recipe = load_recipe(tmp_path / "standing")
    again = requantize.Requantizer(tmp_path / "standing", recipe, tmp_path, "gym", quiet=True)
    for share in (0.45, 0.65):
        assert again("main", share) == candidate_file
    assert asked == [
        (["main"], True, (), -1),
        (["main"], False, ["c"], 0),
        (["main"], False, ["c", "a[[]0]"], 0),
    ]


def test_a_network_that_cannot_be_quantized_again_is_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(MODELS / "standing", tmp_path / "standing")
    candidate_file = tmp_path / "standing" / "model.int8.onnx"
    candidate_file.write_bytes(b"before")
    recipe = load_recipe(tmp_path / "standing")
    again = requantize.Requantizer(tmp_path / "standing", recipe, tmp_path, "gym", quiet=True)
    assert again("main", 0.45) is None
    assert candidate_file.read_bytes() == b"before"
    assert "standing/main: cannot be quantized again" in capsys.readouterr().err


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models, and a set of noise with frames held out."""
    place = tmp_path_factory.mktemp("a place")
    shutil.copytree(MODELS, place / "models")
    stills = place / "stills"
    stills.mkdir()
    rng = np.random.default_rng(0)
    for index in range(30):
        noise = rng.integers(0, 256, (9, 12, 3), np.uint8)
        cv2.imwrite(str(stills / f"{index}.png"), cv2.resize(noise, (320, 240), None, 0, 0, 0))
    words = ["gym", "--from", stills, "--frames", "8", "--heldout", "4", "--json"]
    words += ["--models", place / "models", "--sets", place / "sets"]
    words += ["--detect", "twobox", "--pose", "standing"]
    assert main(["calibrate", *map(str, words)]) == 0
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "models", tmp_path / "models")
    shutil.copytree(made / "sets", tmp_path / "sets")
    return tmp_path


def candidate(place: Path, model: str, change: Optional[str] = None, by: float = 0) -> Path:
    """An INT8 file that is FP32 with one constant changed."""
    path = place / "models" / model / "model.onnx"
    network = onnx.load(path)
    network.doc_string = "candidate"
    for tensor in network.graph.initializer:
        if tensor.name == change:
            value = numpy_helper.to_array(tensor)
            value = np.roll(value, int(by), -1) if model == "standing" else value + np.float32(by)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    goal = path.with_suffix(".int8.onnx")
    onnx.save(network, goal)
    return goal


def verify(place: Path, model: str, *words: Any) -> int:
    fixed = ["--set", "gym", "--models", place / "models", "--sets", place / "sets"]
    return main(["verify", model, *map(str, [*words, *fixed])])


@pytest.mark.parametrize("model", ["standing", "twobox"])
def test_a_good_candidate_passes(place: Path, capsys: Any, model: str) -> None:
    goal = candidate(place, model)
    before = goal.read_bytes()
    assert verify(place, model) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == f"{model} int8: passes its gate as int8"
    assert "8 people in 4 held-out frames of gym: 0 lost, 0 gained" in said
    proof = json.loads((place / f"models/{model}/model.int8.gate.json").read_text(encoding="utf-8"))
    assert (proof["precision"], proof["passed"], proof["frames"]) == ("int8", True, 4)
    assert goal.read_bytes() == before
    assert cv2.imread(str(place / f"models/{model}/{model}.verify.png")).shape == (1920, 1280, 3)


def test_a_bad_candidate_goes_back_and_stays_there(place: Path, capsys: Any) -> None:
    goal = candidate(place, "standing", "simcc_x_c", 12)
    refused = goal.read_bytes()
    assert verify(place, "standing", "--json") == 0
    proof = json.loads(capsys.readouterr().out)
    assert (proof["result"], proof["float_networks"], proof["passed"]) == ("float", ["main"], True)
    assert any("mean error" in step for step in proof["steps"])
    float_network = (place / "models/standing/model.onnx").read_bytes()
    assert goal.read_bytes() == float_network
    assert goal.with_suffix(".refused.onnx").read_bytes() == refused
    record = json.loads(Path(proof["records"][0]).read_text(encoding="utf-8"))
    assert record["precision"] == "float"
    assert record["sha256"] == record["fp32_sha256"]
    assert verify(place, "standing") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("passes its gate as float")
    assert goal.with_suffix(".refused.onnx").read_bytes() == refused


def test_a_network_that_cannot_be_given_back_stays(tmp_path: Path) -> None:
    path = tmp_path / "net.int8.onnx"
    path.write_bytes(b"refused")
    with pytest.raises(OSError, match="No such file"):  # as a full disk does: nothing is copied
        restore_fp32(path, tmp_path / "net.onnx")
    assert path.read_bytes() == b"refused"


def test_where_fp32_sees_no_one_nobody_is_to_blame(place: Path, capsys: Any) -> None:
    candidate(place, "twobox", "scores_c", -1.0).rename(place / "models/twobox/model.onnx")
    goal = candidate(place, "twobox")
    before = goal.read_bytes()
    assert verify(place, "twobox") == 65
    assert "finds no person in the held-out frames" in capsys.readouterr().err
    assert goal.read_bytes() == before
    assert not list(place.rglob("*.gate.json"))


def test_a_detector_that_loses_people(place: Path, capsys: Any) -> None:
    goal = candidate(place, "twobox", "scores_c", -0.5)
    before = goal.read_bytes()
    assert verify(place, "twobox", "--no-gate", "--json") == 0
    proof = json.loads(capsys.readouterr().out)
    assert proof["passed"] is False
    assert proof["figures"]["lost"] == 4  # 0.8 - 0.5 < 0.35 <= 0.9 - 0.5
    assert goal.read_bytes() == before
    assert not list(place.rglob("*.gate.json"))


def test_one_file_is_judged_and_left_alone(place: Path, capsys: Any) -> None:
    goal = candidate(place, "standing", "simcc_y_c", 20)
    other = place / "mine.onnx"
    goal.rename(other)
    assert verify(place, "standing", "--file", f"main={other}") == 1
    assert "FAILS its gate" in capsys.readouterr().out
    assert verify(place, "standing", "--file", place / "models/standing/model.onnx") == 0
    assert not list(place.rglob("*.gate.json"))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 66, "edge-tools quantize standing"),
        (["--precision", "fp16"], 66, "model.fp16.onnx"),
        (["--precision", "engine"], 78, "--file"),
        (["--file", "other=x.onnx"], 78, "the model has: main"),
        (["--file", "x.onnx"], 66, "x.onnx: no such file"),
    ],
)
def test_nothing_to_verify(
    place: Path, capsys: Any, words: List[str], code: int, says: str
) -> None:
    assert verify(place, "standing", *words) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("harm", "code", "says"),
    [
        ("model", 66, "no such model"),
        ("set", 66, "no such calibration set"),
        ("picture", 65, "is missing or was changed"),
        ("none held out", 65, "holds out no frames"),
        ("candidate", 65, "model.int8.onnx"),
    ],
)
def test_what_is_needed_is_broken(
    place: Path, capsys: Any, harm: str, code: int, says: str
) -> None:
    candidate(place, "standing")
    gym = place / "sets/gym"
    if harm == "set":
        shutil.rmtree(gym)
    elif harm == "picture":
        next((gym / "heldout").iterdir()).write_bytes(b"")
    elif harm == "none held out":
        text = (gym / "set.toml").read_text(encoding="utf-8").replace('"held-out"', '"calibration"')
        (gym / "set.toml").write_text(text, encoding="utf-8")
    elif harm == "candidate":
        (place / "models/standing/model.int8.onnx").write_bytes(b"not a network")
    assert verify(place, "sitting" if harm == "model" else "standing") == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
