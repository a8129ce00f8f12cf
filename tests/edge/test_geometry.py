"""Boxes, crops, maps, IoU and OKS compared with recorded references and formulas."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import geometry as g

SIDES = st.floats(2, 800, width=32)
PLACES = st.floats(-500, 2500, width=32)


@st.composite
def some_boxes(draw: Any, low: int = 0, high: int = 12) -> np.ndarray:
    rows = draw(st.lists(st.tuples(PLACES, PLACES, SIDES, SIDES), min_size=low, max_size=high))
    table = np.array(rows, np.float32).reshape(-1, 4)
    return np.concatenate((table[:, :2], table[:, :2] + table[:, 2:]), 1)


def names(z: Dict[str, np.ndarray]) -> List[Any]:
    return [(tuple(size), f"{size[0]}x{size[1]}_") for size in z["input_sizes_wh"].tolist()]


def test_crops_equal_the_reference(recorded: Any) -> None:
    z = recorded("topdown_affine_s0")
    for size, p in names(z):
        centres, scales = g.crop_regions(z["boxes_xyxy"], size, float(z["padding"]))
        np.testing.assert_allclose(centres, z[p + "center"], atol=1e-4)
        np.testing.assert_allclose(scales, z[p + "scale_fixed_aspect"], atol=2e-4)
        turns = np.deg2rad(z["rotation_deg"])
        for key, rotations in (("matrix", turns), ("matrix_no_rotation", None)):
            ours = g.crop_affine(z["boxes_xyxy"], size, rotations_rad=rotations)
            worst = np.abs(ours - z[p + key]).max((1, 2)) / np.abs(z[p + key]).max((1, 2))
            assert worst.max() < 1e-6, (size, key)
        moved = g.apply(
            g.crop_affine(z["boxes_xyxy"], size, rotations_rad=turns), z["image_points"]
        )
        off = np.abs(moved - z[p + "transformed_points"]).max((1, 2))
        assert np.delete(off, 1).max() < 1e-3
        assert off[1] < 1e-2, "box 1 is 1 x 2 px"


def test_ways_back_equal_the_reference(recorded: Any) -> None:
    z = recorded("topdown_affine_s0")
    for size, p in names(z):
        turned = g.crop_affine(z["boxes_xyxy"], size, rotations_rad=np.deg2rad(z["rotation_deg"]))
        expected = z[p + "inverse_matrix"]
        worst = np.abs(g.invert(turned) - expected).max((1, 2)) / np.abs(expected).max((1, 2))
        assert worst.max() < 1e-6
        straight = g.invert(g.crop_affine(z["boxes_xyxy"], size))
        np.testing.assert_allclose(
            g.apply(straight, z[p + "input_points"]), z[p + "points_back_in_image"], atol=1e-3
        )


def test_centred_letterbox_equals_the_reference(recorded: Any) -> None:
    z = recorded("bottomup_letterbox_s0")
    for i, (height, width) in enumerate(z["image_hw"].tolist()):
        matrix = g.letterbox((width, height), tuple(z["input_size_wh"].tolist()), centre=True)
        back = g.apply(g.invert(matrix)[None], z["input_points"][i : i + 1])[0]
        np.testing.assert_allclose(back, z["points_back_in_image"][i], atol=1e-3)


def test_conversions_and_iou_equal_the_reference(recorded: Any) -> None:
    z = recorded("box_conversions_s0")
    boxes = z["boxes_xyxy"]
    shape = g.cxcywh(boxes)
    np.testing.assert_allclose(shape[:, :2], z["center"], atol=1e-4)
    np.testing.assert_allclose(shape[:, 2:] * 1.25, z["scale_padding125"], atol=1e-4)
    expected = z["iou_first10_vs_last10"]
    np.testing.assert_allclose(g.iou(boxes[:10], boxes[10:]), expected, atol=1e-4)


def test_suppression_equals_the_reference(recorded: Any) -> None:
    z = recorded("rtmo_box_s0")
    for i in (0, 1):
        kept = g.nms(z["boxes_xyxy"][i], z["scores"][i], 0.65)
        np.testing.assert_array_equal(kept, z[f"nms065_keep_{i}"])
        assert g.nms(z["boxes_xyxy"][i], z["scores"][i], 0.65, 7).tolist() == kept[:7].tolist()


def slow_nms(boxes: np.ndarray, scores: np.ndarray, max_iou: float) -> List[int]:
    kept: List[int] = []
    overlaps = g.iou(boxes, boxes)
    for i in np.argsort(-scores, kind="stable").tolist():
        if all(overlaps[i, j] <= max_iou for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 500])
def test_suppression_in_blocks_is_plain_greedy_suppression(count: int) -> None:
    rng = np.random.default_rng(count)
    corner = rng.random((count, 2)) * 300
    boxes = np.concatenate((corner, corner + 20 + rng.random((count, 2)) * 80), 1).astype("f4")
    scores = np.round(rng.random(count), 2).astype(np.float32)
    assert g.nms(boxes, scores, 0.4).tolist() == slow_nms(boxes, scores, 0.4)


def test_a_box_is_suppressed_above_max_iou() -> None:
    boxes = np.array([[0, 0, 3, 1], [1, 0, 4, 1]], np.float32)
    assert g.iou(boxes[:1], boxes[1:]) == 0.5
    scores = np.array([0.9, 0.8], np.float32)
    assert g.nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert g.nms(boxes, scores, 0.49).tolist() == [0]


def test_keypoints_above_min_score_make_the_box() -> None:
    keypoints = np.array([[[1, 2], [5, 9], [50, 90]]], np.float32)
    scores = np.array([[0.75, 0.75, 0.5]], np.float32)
    assert g.boxes_of(keypoints, scores, 0.5).tolist() == [[1, 2, 5, 9]]
    assert g.boxes_of(keypoints, scores, 0.25).tolist() == [[1, 2, 50, 90]]


@given(some_boxes(), some_boxes())
def test_iou_is_symmetric_and_between_0_and_1(a: np.ndarray, b: np.ndarray) -> None:
    overlap = g.iou(a, b)
    assert overlap.shape == (len(a), len(b))
    assert overlap.dtype == np.float32
    np.testing.assert_allclose(overlap, g.iou(b, a).T, atol=1e-6)
    assert ((overlap >= 0) & (overlap <= 1 + 1e-6)).all()
    np.testing.assert_allclose(np.diag(g.iou(a, a)), 1, atol=1e-5)


def test_iou_of_an_empty_or_crossed_box_is_0() -> None:
    odd = np.array([[5, 5, 5, 5], [9, 9, 1, 1]], np.float32)
    fine = np.array([[0, 0, 10, 10]], np.float32)
    assert not g.iou(odd, fine).any()
    assert not g.iou(odd, odd).any()


@given(some_boxes(1), st.floats(-7, 7), st.booleans())
def test_a_crop_goes_there_and_back(boxes: np.ndarray, turn: float, udp: bool) -> None:
    matrices = g.crop_affine(boxes, (192, 256), rotations_rad=np.full(len(boxes), turn), udp=udp)
    points = np.broadcast_to(boxes.reshape(-1, 2, 2), (len(boxes), 2, 2))
    back = g.apply(g.invert(matrices), g.apply(matrices, points))
    np.testing.assert_allclose(back, points, atol=2e-2)
    middle = g.apply(matrices, g.cxcywh(boxes)[:, None, :2])
    wanted = [95.5, 127.5] if udp else [96, 128]
    np.testing.assert_allclose(middle[:, 0], np.tile(wanted, (len(boxes), 1)), atol=5e-2)


def test_a_whole_box_lies_in_its_crop() -> None:
    boxes = np.array([[100, 50, 180, 350], [10, 10, 400, 60]], np.float32)
    inside = g.apply(g.crop_affine(boxes, (192, 256)), boxes.reshape(-1, 2, 2))
    assert (inside > 0).all()
    assert (inside < [192, 256]).all()


def test_a_square_crop_turns_clockwise_and_the_picture_back() -> None:
    """Turned by a quarter, the crop's right edge looks down: below becomes right."""
    centre, side = np.array([[100, 100]], np.float32), np.array([50], np.float32)
    matrices = g.square_crops(centre, side, np.array([np.pi / 2]), (256, 256))
    below = g.apply(matrices, np.array([[[100, 125]]], np.float32))
    np.testing.assert_allclose(below[0, 0], [256, 128], atol=1e-3)
    plain = g.square_crops(centre, side, None, (256, 256))
    np.testing.assert_allclose(plain, g.square_crops(centre, side, np.zeros(1), (256, 256)))


def test_a_crop_of_no_size_is_one_px_and_can_be_inverted() -> None:
    boxes = np.array([[7, 7, 7, 7], [9, 9, 3, 3]], np.float32)
    for matrices in (
        g.crop_affine(boxes, (192, 256)),
        g.square_crops(boxes[:, :2], np.zeros(2), None, (64, 64)),
    ):
        assert np.isfinite(g.invert(matrices)).all()


def plain_oks(a: Any, b: Any, area: float, sigmas: Any, w: Any) -> float:
    d2 = ((a - b).astype(np.float64) ** 2).sum(-1)
    e = np.exp(-d2 / (2 * area * (2 * sigmas) ** 2))
    return float((e * w).sum() / w.sum()) if w.sum() else 0.0


@pytest.mark.parametrize("shape", [(3, 4, 17), (1, 1, 133), (0, 3, 5), (3, 0, 5), (40, 30, 133)])
def test_oks_is_its_formula(shape: Any) -> None:
    n, m, k = shape
    rng = np.random.default_rng(1)
    a, b = (rng.normal(200, 30, (rows, k, 2)).astype(np.float32) for rows in (n, m))
    areas, sigmas = rng.uniform(900, 9000, n), rng.uniform(0.02, 0.1, k)
    weights = rng.integers(0, 2, (n, k)).astype(np.float32)
    if n:
        weights[0] = 0
    plain, weighted = g.oks(a, b, areas, sigmas), g.oks(a, b, areas, sigmas, weights)
    assert plain.shape == weighted.shape == (n, m)
    for i in range(0, n, 7):
        for j in range(0, m, 5):
            expected = plain_oks(a[i], b[j], areas[i], sigmas, np.ones(k))
            assert plain[i, j] == pytest.approx(expected, abs=1e-5)
            expected = plain_oks(a[i], b[j], areas[i], sigmas, weights[i])
            assert weighted[i, j] == pytest.approx(expected, abs=1e-5)


def test_oks_weights_of_keypoints_and_of_pairs() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 9, (4, 17, 2)).astype("f4"), rng.normal(0, 9, (5, 17, 2)).astype("f4")
    areas, sigmas, w = np.full(4, 500.0), np.full(17, 0.05), rng.random(17).astype("f4")
    once = g.oks(a, b, areas, sigmas, w)
    np.testing.assert_allclose(once, g.oks(a, b, areas, sigmas, np.tile(w, (4, 1))), atol=1e-6)
    np.testing.assert_allclose(once, g.oks(a, b, areas, sigmas, np.tile(w, (4, 5, 1))), atol=1e-6)
    pairs = np.broadcast_to(areas[:, None], (4, 5))
    np.testing.assert_allclose(g.oks(a, b, pairs, sigmas), g.oks(a, b, areas, sigmas))


def test_points_as_complex_numbers_and_back() -> None:
    points = np.array([[[1, 2], [3, -4]], [[5, 6], [7, 8]]], np.float32)
    numbers = g.as_complex(points)
    assert numbers.dtype == np.complex64
    assert numbers.tolist() == [[1 + 2j, 3 - 4j], [5 + 6j, 7 + 8j]]
    np.testing.assert_array_equal(g.as_pairs(numbers), points)
    assert np.shares_memory(numbers, points)
    assert np.shares_memory(g.as_pairs(numbers), points)
    np.testing.assert_array_equal(g.as_complex(points[:, ::-1]), numbers[:, ::-1])
    assert g.as_complex(points[:0]).shape == (0, 2)


def test_boxes_of_keypoints() -> None:
    keypoints = np.array([[[1, 9], [5, 2], [99, 99]], [[3, 3], [4, 4], [5, 5]]], np.float32)
    scores = np.array([[0.9, 0.8, 0.1], [0, 0, 0]], np.float32)
    assert g.boxes_of(keypoints, scores, 0.3).tolist() == [[1, 2, 5, 9], [0, 0, 0, 0]]
    assert g.boxes_of(keypoints[:0], scores[:0], 0.3).shape == (0, 4)


@given(some_boxes())
def test_clipped_boxes_lie_in_the_frame(boxes: np.ndarray) -> None:
    clipped = g.clip_boxes(boxes, (640, 480))
    assert (clipped >= 0).all()
    assert (clipped <= np.array([640, 480, 640, 480])).all()


def test_no_one_is_legal_everywhere() -> None:
    boxes, points = np.zeros((0, 4), np.float32), np.zeros((0, 17, 2), np.float32)
    matrices = g.crop_affine(boxes, (192, 256))
    assert matrices.shape == g.invert(matrices).shape == (0, 2, 3)
    assert g.apply(matrices, points).shape == (0, 17, 2)
    assert g.square_crops(boxes[:, :2], boxes[:, 0], boxes[:, 0], (9, 9)).shape == (0, 2, 3)
    assert g.clip_boxes(boxes, (9, 9)).shape == (0, 4)
    assert g.nms(boxes, boxes[:, 0], 0.5).dtype == np.int64


def test_letterbox_of_a_tall_frame_touches_both_ends() -> None:
    matrix = g.letterbox((1080, 1920), (416, 416))
    corner = g.apply(matrix[None], np.array([[[1080, 1920]]], np.float32))[0, 0]
    np.testing.assert_allclose(corner, [234, 416], atol=1e-3)
