"""Predictions: the fit against published times, steps of the loop, the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.prediction_graphs import residual_net
from tools.__main__ import main
from tools.prediction.boards import BOARDS, MODES, modes
from tools.prediction.capacity import MOST_PEOPLE, most_people
from tools.prediction.fit import JoinedLoads, fit, left_out, solve, typical
from tools.prediction.fitted import BAND, EFFICIENCIES, MEDIAN
from tools.prediction.graph import layers_of
from tools.prediction.layers import table
from tools.prediction.loop_step import LOOP_SHARE, Case, engine_s, predict, sparsest
from tools.prediction.networks import find
from tools.prediction.published import measurements
from tools.prediction.roofline import element_bytes, load, seconds
from tools.prediction.shapes import shapes

ORIN = MODES["agx-orin-64:MAXN"]
XAVIER = MODES["agx-xavier:MAXN"]
NOWHERE = Path("no-models-here")


def test_peaks_are_the_published_ones() -> None:
    # NVIDIA's modules: sparse INT8 TOPS of the GPU alone; Xavier has no sparsity.
    published = {
        "agx-xavier:MAXN": 22,
        "agx-orin-64:MAXN": 170 / 2,
        "orin-nano-8:15W": 40 / 2,
        "orin-nano-8:MAXN-SUPER": 67 / 2,
        "orin-nx-16:MAXN": 60 / 2,
    }
    for key, tops in published.items():
        assert MODES[key].int8_tops() == pytest.approx(tops, rel=0.03), key
    memory = {
        "agx-xavier:MAXN": 136.5,
        "agx-orin-64:MAXN": 204.8,
        "orin-nano-8:15W": 68,
        "orin-nx-16:MAXN": 102.4,
    }
    for key, gb_s in memory.items():
        assert MODES[key].memory_gb_s == pytest.approx(gb_s, rel=0.01), key


def test_fit_is_what_the_measurements_give() -> None:
    found = fit([m for m in measurements() if m.fitted])
    for name, value in found._asdict().items():
        assert getattr(EFFICIENCIES, name) == pytest.approx(value, rel=2e-3), name
    assert all(0.05 < v < 1 for v in found[:4]), "shares of a peak"


def test_error_on_networks_never_seen_is_what_is_claimed() -> None:
    published = measurements()
    assert len(published) >= 60
    assert sum(not m.fitted for m in published) >= 6
    compared = left_out(published, "network")
    size = typical(compared)
    assert size["p90"] == pytest.approx(BAND, abs=0.01)
    assert size["median"] == pytest.approx(MEDIAN, abs=0.01)
    pose = next(c for c in compared if c.measurement.source == "trt_pose")
    assert abs(pose.error) < 0.1, "a pose network on AGX Xavier that no fit has seen"


def test_growth_with_the_batch_is_the_published_one() -> None:
    # Nothing is fitted above a batch of 1; tkDNN's own overheads cancel in the ratio.
    part = find("yolov4-tiny", NOWHERE).parts[0]
    for precision, one_ms, four_ms in (("fp16", 3.48334, 10.535), ("int8", 3.13312, 9.343)):
        ratio = engine_s(part, XAVIER, precision, 4) / engine_s(part, XAVIER, precision, 1)
        assert ratio == pytest.approx(four_ms / one_ms, rel=0.1)


def test_left_out_measurements_do_not_reach_the_fit() -> None:
    published = [m for m in measurements() if m.fitted][:20]
    wrong = [m._replace(ms=m.ms * 50) if m.network == "resnet50" else m for m in published]
    before = {c.measurement.network: c.predicted_ms for c in left_out(published, "network")}
    after = {c.measurement.network: c.predicted_ms for c in left_out(wrong, "network")}
    assert after["resnet50"] == pytest.approx(before["resnet50"])
    assert after["vgg16"] != pytest.approx(before["vgg16"], rel=0.01)


def test_fit_finds_efficiencies_that_made_the_times() -> None:
    published = [m for m in measurements() if m.fitted]
    true = EFFICIENCIES._replace(volta_fp16=0.3, ampere_int8=0.5, ampere_launch=15.0)
    joined = JoinedLoads(published)
    joined.measured_s = joined.seconds(true)
    assert np.abs(np.exp(joined.residuals(solve(joined))) - 1).max() < 0.05


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(MODES)), st.sampled_from(["fp16", "int8", "mixed"]), st.integers(1, 40)
)
def test_more_work_never_takes_less_time(mode: str, precision: str, batch: int) -> None:
    layers = shapes()["rtmpose-m-wholebody"]
    at = MODES[mode]
    times = [seconds(load(layers, at, precision, batch + n), EFFICIENCIES) for n in (0, 1)]
    assert 0 < times[0] <= times[1]
    more = seconds(load([*layers, layers[0]], at, precision, batch), EFFICIENCIES)
    assert more > times[0]


@pytest.mark.parametrize("board", sorted(BOARDS))
def test_modes_of_a_board_are_in_order_of_their_speed(board: str) -> None:
    # NVIDIA's 25 W mode of Orin NX has more multiprocessors than its 15 W mode, at a lower clock.
    part = find("yolox-s", NOWHERE).parts[0]
    times = [engine_s(part, mode, "fp16", 1) for mode in modes(board)]
    assert times == sorted(times)


def test_mixed_keeps_the_ends_and_all_but_convolutions_in_fp16() -> None:
    layers = layers_of(residual_net())
    assert element_bytes(table(layers), "mixed").tolist() == [2, 1, 2, 2, 2]
    assert element_bytes(table(layers), "int8").tolist() == [1] * 5
    part = find("rtmpose-l-wholebody", NOWHERE).parts[0]
    times = [engine_s(part, ORIN, p, 8) for p in ("int8", "mixed", "fp16")]
    assert times == sorted(times)


def test_step_is_pose_plus_a_share_of_the_detector_plus_the_loop() -> None:
    pose, detector = find("rtmpose-m-wholebody", NOWHERE), find("yolov4-tiny", NOWHERE)
    step = predict(Case(ORIN, pose, detector, 5, "fp16", 4, cameras=2))
    assert step.pose_ms == pytest.approx(1e3 * engine_s(pose.parts[0], ORIN, "fp16", 8))
    assert step.detector_ms == pytest.approx(1e3 * engine_s(detector.parts[0], ORIN, "fp16", 2))
    networks = step.pose_ms + step.detector_ms / 5
    assert step.ms == pytest.approx(networks / (1 - LOOP_SHARE))


def test_crowds_above_the_largest_batch_run_in_chunks_and_cascades_count_both_hands() -> None:
    pose = find("blazepose", NOWHERE)
    assert {p.name: p.runs for p in pose.parts} == {"body": 1, "hand": 2, "face": 1}
    step = predict(Case(XAVIER, pose, None, 1, "fp16", 20))
    body, hand, face = pose.parts
    expected = engine_s(body, XAVIER, "fp16", 20) + engine_s(face, XAVIER, "fp16", 20)
    expected += engine_s(hand, XAVIER, "fp16", 32) + engine_s(hand, XAVIER, "fp16", 8)
    assert step.pose_ms == pytest.approx(1e3 * expected)


def test_verdict_needs_the_margin_of_the_error_band() -> None:
    pose, detector = find("rtmpose-m-wholebody", NOWHERE), find("yolov4-tiny", NOWHERE)
    step = predict(Case(ORIN, pose, detector, 1, "fp16", 1))
    assert step.verdict(step.fps / BAND * 0.99) == "yes"
    assert step.verdict(step.fps / BAND * 1.01) == "perhaps"
    assert step.verdict(step.fps * 1.01) == "no"
    best = sparsest(ORIN, pose, detector, (1, 3, 5), "fp16", 1, 1, target_fps=30.0)
    assert best.case.every == 1, "no sparser than needed"


def test_command_without_a_model_says_what_reaches_its_goal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", "--models", str(NOWHERE), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["prediction"] is True
    verdicts = {
        (g["board"], g["pose"], g["precision"], g["people"]): g["verdict"] for g in found["goals"]
    }
    assert verdicts["agx-xavier", "rtmpose-m-wholebody", "fp16", 5] == "yes"
    assert verdicts["agx-orin-64", "rtmpose-m-wholebody", "fp16", 5] == "yes"
    assert verdicts["agx-xavier", "rtmw-l-384x288", "fp16", 20] == "no"
    assert verdicts["agx-orin-64", "rtmw-l-384x288", "mixed", 20] == "no"
    assert main(["predict", "--models", str(NOWHERE)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("PREDICTION, not a measurement")
    assert "30 FPS on agx-xavier" in text
    assert "100 FPS on agx-orin-64" in text


def test_command_with_a_file_prints_draws_and_explains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, picture = tmp_path / "net.onnx", tmp_path / "bars.png"
    onnx.save(residual_net(), str(file))
    words = [
        "predict",
        str(file),
        "--detector",
        "none",
        "--people",
        "1",
        "5",
        "--layers",
        "--board",
        "agx-xavier",
        "--plot",
        str(picture),
    ]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "PREDICTION, not a measurement" in text
    assert text.count("agx-xavier MAXN ") == 2
    assert "launches" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main([*words[:-2], "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert len(steps) == 4 * 2
    assert all(s["fps_low"] < s["fps"] < s["fps_high"] for s in steps)


def test_check_prints_every_published_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--check"]) == 0
    text = capsys.readouterr().out
    assert "PREDICTION" in text
    for m in measurements():
        assert f"{m.ms:.2f} ms" in text
    for part in ("network", "source", "mode"):
        assert f"each {part}" in text


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["yolox-z"], 78, "did you mean yolox-"),
        (["nothing.onnx"], 66, "no such file"),
        (["rtmpose-m-wholebody", "--board", "nano"], 78, "--board nano: unknown"),
        (["rtmpose-m-wholebody", "--people", "0"], 78, "--people 0"),
        (["rtmpose-m-wholebody", "--cameras", "-1"], 78, "--cameras -1"),
        (["rtmpose-m-wholebody", "--detector", "blazepose"], 78, "is not a detector"),
        (["--plot", "x.png"], 78, "--plot"),
    ],
)
def test_mistakes_are_one_line(
    words: List[str], code: int, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--models", str(NOWHERE), *words]) == code
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_graph_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cut.onnx"
    file.write_bytes(residual_net().SerializeToString()[:100])
    assert main(["predict", str(file)]) == 65
    assert str(file) in capsys.readouterr().err


def test_the_table_of_boards_in_the_papers_is_the_prediction(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["predict", "blazepose", "--capacity"]) == 0
    label, *table = capsys.readouterr().out.strip().splitlines()
    assert label.startswith("PREDICTION, not a measurement")
    assert len(table) == 2 + len(MODES)
    page = (Path(__file__).resolve().parents[2] / "docs/hardware.md").read_text(encoding="utf-8")
    assert "\n".join(table) in page


def test_capacity_is_the_most_people_that_hold_the_rate() -> None:
    pose, detector = find("blazepose", NOWHERE), find("yolov4-tiny", NOWHERE)
    case = Case(ORIN, pose, detector, 3, "fp16", 1)
    for band in (1.0, BAND):
        most = most_people(case, 30.0, band)
        assert predict(case._replace(people=most)).fps >= 30 * band
        assert predict(case._replace(people=most + 1)).fps < 30 * band
    assert most_people(case, 1e6) == 0
    assert most_people(case, 0.001) == MOST_PEOPLE


def test_capacity_refuses_what_it_cannot_tell() -> None:
    for wrong in (["--json"], ["--fps", "0"], ["--fps", "nan"]):
        assert main(["predict", "blazepose", "--capacity", *wrong]) == 78
    assert main(["predict", "yolov4-tiny", "--capacity"]) == 78
