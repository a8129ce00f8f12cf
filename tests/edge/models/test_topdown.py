"""SimCC and heat map families on recorded outputs, and the contract of top-down models."""

from __future__ import annotations

import logging
from typing import Any, Dict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import geometry, skeletons
from edge.errors import ConfigError, DataError
from edge.models import _heatmap, _simcc, _softargmax
from tests.edge.models.model_fakes import frame, model, people

SIZE = (192, 256)


def test_simcc_equals_the_reference(recorded: Any) -> None:
    z = recorded("simcc_s0")
    split = float(z["simcc_split_ratio"])
    for name in ("random", "noisy"):
        logits = (z[f"{name}_simcc_x"], z[f"{name}_simcc_y"])
        keypoints, scores = _simcc.decode(*logits, split)
        np.testing.assert_array_equal(keypoints, z[f"{name}_keypoints"])
        np.testing.assert_array_equal(scores, z[f"{name}_scores"])


def test_simcc_dark_equals_the_reference(recorded: Any) -> None:
    """The two keypoints planted on the border are where the reference itself is far off."""
    z = recorded("simcc_s0")
    kernels = _simcc.dark_kernel(z["sigma"].tolist())
    assert list(kernels) == z["dark_blur_kernel"].tolist()
    axes = (z["noisy_simcc_x"], z["noisy_simcc_y"])
    bins, _ = _simcc.maxima(*axes, "min")
    fine = [_simcc.refine_dark(a, bins[..., i], kernels[i]) for i, a in enumerate(axes)]
    off = np.abs(np.stack(fine, -1) / 2 - z["dark_keypoints"]).max(-1)
    assert off[0, :2].max() < 2e-2
    off[0, :2] = 0
    assert off.max() < 1e-3


def test_simcc_family_equals_rtmlib(recorded: Any) -> None:
    z = recorded("rtmpose_preprocess_s0")
    boxes = z["boxes_xyxy"][: len(z["simcc_x"])]
    logits = {"simcc_x": z["simcc_x"], "simcc_y": z["simcc_y"]}
    pose, runner = model("simcc", logits, SIZE, "coco17", {"score": "mean"}, min_score=0)
    found = pose([frame(640, 480)], [people(boxes, 17, "coco17")])[0]
    np.testing.assert_allclose(found.keypoints, z["post_keypoints"], atol=2e-3)
    np.testing.assert_allclose(found.scores, np.clip(z["post_scores"], 0, 1), atol=1e-6)
    assert runner.runs == 1


def test_simcc_maxima_found_in_the_graph_are_the_same_people(recorded: Any) -> None:
    z = recorded("simcc_s0")
    logits = {"simcc_x": z["noisy_simcc_x"], "simcc_y": z["noisy_simcc_y"]}
    keypoints, scores = _simcc.decode(*logits.values(), 2.0)  # type: ignore[call-arg]
    parts = {"keypoints": keypoints, "keypoint_scores": scores}
    more = 17 - keypoints.shape[1]  # fewer keypoints were kept than any skeleton has
    logits = {n: np.pad(a, ((0, 0), (0, more), (0, 0))) for n, a in logits.items()}
    parts["keypoints"] = np.pad(keypoints, ((0, 0), (0, more), (0, 0)), constant_values=-0.5)
    parts["keypoint_scores"] = np.pad(scores, ((0, 0), (0, more)))
    candidates = people([[50, 60, 150, 300]] * len(scores), 17, "coco17")
    found = [
        model("simcc", outputs, SIZE, "coco17", min_score=0)[0]([frame(320, 320)], [candidates])
        for outputs in (logits, parts)
    ]
    np.testing.assert_allclose(found[0][0].keypoints, found[1][0].keypoints, atol=1e-4)
    np.testing.assert_array_equal(found[0][0].scores, found[1][0].scores)


def planted(places: np.ndarray, heights: np.ndarray, split: float = 2.0) -> Dict[str, np.ndarray]:
    """SimCC logits [B,K,W] with one bin up for each place [B,K,2] in input px."""
    logits = {}
    for i, (name, length) in enumerate((("simcc_x", SIZE[0]), ("simcc_y", SIZE[1]))):
        axis = np.full((*places.shape[:2], int(length * split)), -5, np.float32)
        bins = np.rint(places[..., i] * split).astype(int)
        np.put_along_axis(axis, bins[..., None], heights[..., None].astype("f4"), -1)
        logits[name] = axis
    return logits


@pytest.mark.parametrize("skeleton", ["coco17", "halpe26", "wholebody133", "halpe136"])
def test_keypoints_of_all_frames_come_back_to_their_people(skeleton: str) -> None:
    count = len(skeletons.get(skeleton))
    rng = np.random.default_rng(count)
    boxes = np.array([[20, 30, 90, 200], [200, 40, 300, 220], [5, 5, 60, 100]], np.float32)
    places = np.rint(rng.uniform(5, 180, (3, count, 2)) * 2) / 2
    heights = rng.uniform(0.4, 1.6, (3, count))
    pose, runner = model("simcc", planted(places, heights), SIZE, skeleton)
    here, there = people(boxes[:2], count, skeleton), people(boxes[2:], count, skeleton)
    here.ids[:] = [7, 4]
    frames = [frame(320, 240), frame(99, 99, "b"), frame(200, 200, "c")]
    found = pose(frames, [here, people([], count, skeleton), there])
    assert [len(f) for f in found] == [2, 0, 1]
    assert (runner.runs, len(runner.fed)) == (1, 3)
    centres, sizes = geometry.crop_regions(boxes, SIZE)
    expected = places / SIZE * sizes[:, None] + centres[:, None] - sizes[:, None] / 2
    np.testing.assert_allclose(found[0].keypoints, expected[:2], atol=1e-3)
    np.testing.assert_allclose(found[2].keypoints, expected[2:], atol=1e-3)
    np.testing.assert_allclose(found[0].scores, np.clip(heights[:2], 0, 1), atol=1e-6)
    assert found[0].ids.tolist() == [7, 4]
    assert found[0].boxes.tolist() == boxes[:2].tolist()
    assert {f.skeleton for f in found} == {skeleton}


def test_nobody_to_look_for_runs_nothing() -> None:
    pose, runner = model("simcc", planted(np.ones((1, 17, 2)), np.ones((1, 17))), SIZE, "coco17")
    assert [len(f) for f in pose([frame(9, 9)], [people([], 17, "coco17")])] == [0]
    assert pose([], []) == []
    assert runner.runs == 0


def test_a_person_is_as_sure_as_the_body_and_may_fall_below_the_threshold() -> None:
    heights = np.full((2, 133), 0.9)
    heights[0, :17], heights[1, :17] = 0.1, 0.05
    heights[0, 3:6] = 0.5
    pose, _ = model("simcc", planted(np.full((2, 133, 2), 50.0), heights), SIZE, "wholebody133")
    candidates = people([[0, 0, 50, 90], [60, 0, 110, 90]], 133, "wholebody133")
    candidates.ids[:] = [1, 2]
    found = pose([frame(120, 100)], [candidates])[0]
    assert found.ids.tolist() == [1]
    np.testing.assert_allclose(found.person_scores, [0.5], atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_missing_keypoints(
    bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    logits = planted(np.full((1, 17, 2), 40.0), np.full((1, 17), 0.8))
    logits["simcc_x"][0, 3, 9] = bad
    logits["simcc_y"][0, 5, 100] = bad
    pose, _ = model("simcc", logits, SIZE, "coco17")
    with caplog.at_level(logging.WARNING):
        found = pose([frame(80, 80)], [people([[5, 5, 70, 70]], 17, "coco17")])[0]
    assert np.isfinite(found.keypoints).all()
    assert np.isfinite(found.scores).all()
    missing = {3, 5} if np.isnan(bad) else set()  # min(inf, 0.8) is a score
    assert set(np.flatnonzero(found.scores[0] == 0)) == missing
    assert len(caplog.records) == len(missing) / 2


@pytest.mark.parametrize("far", [np.inf, -np.inf, np.nan])
def test_keypoints_that_are_nowhere_are_missing_without_a_warning(
    far: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a decoder makes of a broken network's outputs."""
    pose, _ = model("simcc", planted(np.ones((1, 17, 2)), np.ones((1, 17))), SIZE, "coco17")
    keypoints = np.full((1, 17, 2), 40, np.float32)
    keypoints[0, 3] = far, 40
    keypoints[0, 5] = far, -far
    monkeypatch.setattr(pose, "_decode", lambda outputs: (keypoints, np.ones((1, 17), np.float32)))
    found = pose([frame(80, 80)], [people([[5, 5, 70, 70]], 17, "coco17")])[0]
    assert np.flatnonzero(found.scores[0] == 0).tolist() == [3, 5]
    assert np.isfinite(found.keypoints).all()


def test_a_candidate_without_a_finite_box_is_left_out() -> None:
    pose, runner = model("simcc", planted(np.ones((2, 17, 2)), np.ones((2, 17))), SIZE, "coco17")
    candidates = people([[np.nan, 0, 9, 9], [0, 0, 40, 40], [0, 0, np.inf, 9]], 17, "coco17")
    candidates.ids[:] = [1, 2, 3]
    assert pose([frame(50, 50)], [candidates])[0].ids.tolist() == [2]
    assert len(runner.fed) == 1


def maps_at(places: np.ndarray, sigma: float = 2.0, shape: Any = (64, 48)) -> np.ndarray:
    """Gaussians [B,K,h,w] around places [B,K,2] in map px."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    d2 = (x - places[..., 0, None, None]) ** 2 + (y - places[..., 1, None, None]) ** 2
    return np.exp(-d2 / (2 * sigma**2)).astype(np.float32)


def test_heat_maps_equal_the_reference(recorded: Any) -> None:
    z = recorded("heatmap_s0")
    size, cells = z["input_size_wh"], z["heatmap_size_wh"]
    peaks, best = _heatmap.argmax(z["msra_heatmaps"][None])
    np.testing.assert_array_equal(peaks[0], z["argmax_locs"])
    np.testing.assert_array_equal(best[0], z["argmax_vals"])
    cases = {
        "msra": (_heatmap.quarter, size / cells, 1e-4),
        "msra_dark": (lambda m: _heatmap.dark(m, 11), size / cells, 2e-3),
        "udp": (lambda m: _heatmap.udp(m, 11), size / (cells - 1), 2e-3),
        "udp_combined": (
            lambda m: _heatmap.udp_combined(m, 11, 0.0546875),
            size / (cells - 1),
            2e-3,
        ),
    }
    for name, (decode, scale, limit) in cases.items():
        points, scores = decode(z[f"{name}_heatmaps"][None])
        np.testing.assert_allclose(points * scale, z[f"{name}_keypoints"], atol=limit)
        np.testing.assert_allclose(scores, z[f"{name}_scores"], atol=1e-6)


def test_integral_equals_the_reference(recorded: Any) -> None:
    z = recorded("integral_regression_s0")
    cells = np.array(z["logits"].shape[:1:-1])
    for name, beta, debias in (("plain", 1, 0), ("beta10", 10, 0), ("debias", 1, 1)):
        points, scores = _softargmax.integral(z["logits"], beta, bool(debias))
        np.testing.assert_allclose(points / cells, z[f"{name}_coords"], atol=1e-6)
        scale = z["input_size_wh"] / cells
        np.testing.assert_allclose(points * scale, z[f"{name}_keypoints"], atol=1e-3)
        assert ((scores > 0) & (scores <= 1 + 1e-6)).all()


WAYS: Dict[str, Any] = {
    "argmax": (0.51, 1.0),
    "quarter": (0.3, 1.0),
    "dark": (0.02, 1.0),
    "udp": (0.02, 1.0),
    "integral": (0.1, None),
    "sikr": (0.05, None),
}


@pytest.mark.parametrize("decode", list(WAYS))
@given(st.floats(8, 39), st.floats(8, 55))
def test_every_decoder_finds_a_gaussian(decode: str, x: float, y: float) -> None:
    """Within the accuracy of its kind, in map px."""
    limit, _ = WAYS[decode]
    place = np.array([[[x, y]]])
    maps = maps_at(place)
    if decode in ("integral", "sikr"):
        maps = np.log(np.maximum(maps, 1e-9))
    if decode == "sikr":
        maps = np.log(np.exp(maps) / np.maximum(1 - np.exp(maps), 1e-4)).astype(np.float32)
    ways = {
        "argmax": _heatmap.argmax,
        "quarter": _heatmap.quarter,
        "dark": lambda m: _heatmap.dark(m, 11),
        "udp": lambda m: _heatmap.udp(m, 11),
        "integral": _softargmax.integral,
        "sikr": lambda m: _softargmax.sikr(m, 7),
    }
    points, scores = ways[decode](maps)  # type: ignore[operator]
    assert np.abs(points - place).max() < limit
    assert 0.5 < scores[0, 0] <= 1 + 1e-6


@pytest.mark.parametrize("decode", ["argmax", "quarter", "dark", "udp", "integral", "sikr"])
def test_the_family_brings_heat_maps_back_to_the_frame(decode: str) -> None:
    rng = np.random.default_rng(8)
    places = rng.uniform(8, 40, (2, 17, 2))
    maps = maps_at(places)
    if decode in ("integral", "sikr"):
        maps = np.log(maps / np.maximum(1 - maps, 1e-4) + 1e-9).astype("f4")
    pose, _ = model("heatmap", {"heatmap": maps}, SIZE, "coco17", {"decode": decode}, min_score=0)
    boxes = np.array([[20, 30, 90, 200], [200, 40, 300, 220]], np.float32)
    found = pose([frame(320, 240)], [people(boxes, 17, "coco17")])[0]
    centres, sizes = geometry.crop_regions(boxes, SIZE)
    cells = np.array([47, 63]) if decode == "udp" else np.array([48, 64])
    expected = places / cells * sizes[:, None] + centres[:, None] - sizes[:, None] / 2
    assert np.abs(found.keypoints - expected).max() < 0.55 * sizes.max() / 64 * 1.4
    assert len(found) == 2


def test_udp_crops_and_decoding_agree_about_where_a_px_is() -> None:
    """A point of the frame, mapped into a UDP crop and its map, is decoded to itself."""
    boxes = np.array([[20, 30, 90, 200]], np.float32)
    truth = np.array([[[40.0, 70.0], [70.0, 150.0], [55.0, 110.0]]], np.float32)
    crop = geometry.apply(geometry.crop_affine(boxes, SIZE, udp=True), truth)
    maps = maps_at(crop * (np.array([47, 63]) / (np.array(SIZE) - 1)))
    maps = np.concatenate((maps, np.zeros((1, 14, 64, 48), np.float32)), 1)
    pose, _ = model("heatmap", {"heatmap": maps}, SIZE, "coco17", {"decode": "udp"}, min_score=0)
    found = pose([frame(320, 240)], [people(boxes, 17, "coco17")])[0]
    np.testing.assert_allclose(found.keypoints[0, :3], truth[0], atol=0.05)
    assert not found.scores[0, 3:].any()


def test_nan_in_heat_maps_is_a_missing_keypoint() -> None:
    for decode in ("argmax", "quarter", "dark", "udp", "integral", "sikr"):
        maps = maps_at(np.full((1, 17, 2), 20.0))
        maps[0, 4, 3, 3] = np.nan
        pose, _ = model(
            "heatmap", {"heatmap": maps}, SIZE, "coco17", {"decode": decode}, min_score=0
        )
        found = pose([frame(80, 80)], [people([[5, 5, 70, 70]], 17, "coco17")])[0]
        assert np.isfinite(found.keypoints).all()
        assert np.flatnonzero(found.scores[0] == 0).tolist() == [4], decode


def test_maps_of_one_value_are_legal() -> None:
    for value in (0.0, -3.0, 1.0):
        maps = np.full((1, 17, 64, 48), value, np.float32)
        for decode in ("argmax", "quarter", "dark", "udp", "integral", "sikr"):
            pose, _ = model(
                "heatmap", {"heatmap": maps}, SIZE, "coco17", {"decode": decode}, min_score=0
            )
            found = pose([frame(80, 80)], [people([[5, 5, 70, 70]], 17, "coco17")])[0]
            assert np.isfinite(found.keypoints).all(), (decode, value)


def test_combined_maps_give_place_and_a_score_like_others() -> None:
    """A disc of 1 for the class, and offsets that point at its true middle."""
    y, x = np.mgrid[:64, :48]
    true_x, true_y, radius = 20.3, 30.6, 0.0546875 * 64
    disc = np.hypot(x - true_x, y - true_y) <= radius
    parts = np.stack((disc, (true_x - x) / radius * disc, (true_y - y) / radius * disc))
    maps = np.tile(parts, (17, 1, 1))[None].astype(np.float32)
    pose, _ = model("heatmap", {"heatmap": maps}, SIZE, "coco17", {"decode": "udp_combined"})
    found = pose([frame(80, 80)], [people([[5, 5, 70, 70]], 17, "coco17")])[0]
    centres, sizes = geometry.crop_regions(np.array([[5, 5, 70, 70]], np.float32), SIZE)
    expected = np.array([true_x / 47, true_y / 63]) * sizes + centres - sizes / 2
    np.testing.assert_allclose(found.keypoints[0], np.tile(expected, (17, 1)), atol=0.05)
    assert 0.9 < found.scores.min() <= 1


FUSED = {"keypoints": np.zeros((1, 17, 2), "f4"), "keypoint_scores": np.zeros((1, 17), "f4")}
MAPS = {"heatmap": np.zeros((1, 17, 64, 48), np.float32)}
BROKEN = [
    ("simcc", FUSED, "", {}, ConfigError, "skeleton: is missing; 17 keypoints fit: coco17"),
    ("simcc", FUSED, "coco17x", {}, ConfigError, "coco17"),
    ("simcc", FUSED, "halpe26", {}, ConfigError, "halpe26 has 26 keypoints, the network gives 17"),
    ("simcc", FUSED, "coco17", {"score": "max"}, ConfigError, "options.score"),
    ("simcc", FUSED, "coco17", {"pading": 1.2}, ConfigError, "did you mean 'padding'"),
    (
        "simcc",
        {**FUSED, "keypoint_scores": np.zeros((1, 16), "f4")},
        "coco17",
        {},
        DataError,
        "'keypoint_scores' is [?, 16], expected [batch, 17]",
    ),
    ("simcc", MAPS, "coco17", {}, DataError, "no output 'simcc_x'; it gives heatmap [?, 17, 64"),
    (
        "simcc",
        {"simcc_x": np.zeros((1, 17, 384), "f4"), "simcc_y": np.zeros((1, 17, 384), "f4")},
        "coco17",
        {},
        DataError,
        "384 x 384 bins do not fit an input of 192 x 256",
    ),
    ("heatmap", MAPS, "coco17", {"kernel": 10}, ConfigError, "options.kernel: 10 is even"),
    ("heatmap", MAPS, "coco17", {"decode": "udp_combined"}, DataError, "three maps"),
    ("heatmap", MAPS, "coco17", {"decode": "soft"}, ConfigError, "options.decode"),
    ("heatmap", FUSED, "coco17", {}, DataError, "no output 'heatmap'"),
]


@pytest.mark.parametrize(("family", "outputs", "skeleton", "options", "error", "text"), BROKEN)
def test_what_does_not_fit_is_refused_in_one_line(
    family: str, outputs: Any, skeleton: str, options: Any, error: Any, text: str
) -> None:
    with pytest.raises(error) as caught:
        model(family, outputs, SIZE, skeleton, options)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_that_gives_other_keypoints_than_it_said_is_told_of() -> None:
    pose, runner = model("heatmap", MAPS, SIZE, "coco17")
    runner.arrays = {"heatmap": np.zeros((1, 16, 64, 48), np.float32)}
    with pytest.raises(DataError, match="gave 16 keypoints, the skeleton coco17 has 17"):
        pose([frame(80, 80)], [people([[5, 5, 70, 70]], 17, "coco17")])
