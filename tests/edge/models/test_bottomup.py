"""Grouping of keypoints to people, on recorded references and on people drawn into maps."""

from __future__ import annotations

import logging
import re
from typing import Any, Dict, Tuple

import numpy as np
import pytest

from edge import skeletons
from edge.errors import ConfigError, DataError
from edge.models._bottomup.limbs import part_affinity
from edge.models._bottomup.peaks import peaks_of, resized
from edge.models._bottomup.tags import associative_embedding
from tests.edge.models.model_fakes import frame, model

ORDER = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]


def test_associative_embedding_equals_the_reference(recorded: Any) -> None:
    z = recorded("associative_embedding_s0")
    found = associative_embedding(z["ae_heatmaps"], z["ae_tags"], z["keypoint_order"])
    np.testing.assert_allclose(found.keypoints * 4, z["ae_keypoints"], atol=1e-2)
    np.testing.assert_allclose(found.scores, z["ae_keypoint_scores"], atol=1e-5)
    np.testing.assert_allclose(found.person_scores, z["ae_instance_scores"], atol=1e-5)


def test_udp_refinement_equals_the_reference_where_keypoints_were_found(recorded: Any) -> None:
    """The others it takes from maps it has already blurred and logged: scores below 0."""
    z = recorded("associative_embedding_s0")
    args = (z["udp_heatmaps"], z["udp_tags"], z["keypoint_order"])
    found = associative_embedding(*args, udp=True, ties=True)
    there = z["udp_keypoint_scores"] > 0
    off = np.abs(found.keypoints * (255 / 63) - z["udp_keypoints"]).max(-1)
    assert off[there].max() < 1e-2
    assert (off[~there] < 1e-2).mean() > 0.8
    assert found.scores.min() > 0
    np.testing.assert_allclose(found.scores[there], z["udp_keypoint_scores"][there], atol=1e-5)
    np.testing.assert_allclose(found.person_scores, z["udp_instance_scores"], atol=1e-5)
    # The fourth person is made of seconds of equal maxima.
    assert len(associative_embedding(*args, udp=True).scores) == 3


def drawn(people: int, seed: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints [N,K,2] on whole px, their maps and a map of who owns each place."""
    rng = np.random.default_rng(seed)
    places = rng.integers(4, 28, (people, 17, 2)) * 2
    y, x = np.mgrid[:64, :64]
    maps, tags = np.zeros((17, 64, 64), np.float32), np.zeros((17, 64, 64), np.float32)
    for n, person in enumerate(places):
        for k, (at_x, at_y) in enumerate(person):
            bell = np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / 4)
            tags[k] = np.where(bell > maps[k], n * 3.0, tags[k])
            maps[k] = np.maximum(maps[k], bell * (0.9 + 0.01 * n))
    return places, maps, tags


@pytest.mark.parametrize("seed", range(5))
def test_drawn_people_are_found_again(seed: int) -> None:
    places, maps, tags = drawn(3, seed)
    apart = np.abs(places[:, None] - places[None]).max(-1)[np.triu_indices(3, 1)]
    clear = (apart > 4).all(0)  # keypoints whose maxima do not hide one another
    found = associative_embedding(maps, tags, ORDER)
    assert len(found.keypoints) == 3
    for person in places:
        off = np.abs(found.keypoints[:, clear] - person[clear]).max((1, 2))
        assert off.min() <= 0.25


def test_empty_maps_hold_no_one() -> None:
    nothing = np.zeros((17, 16, 16), np.float32)
    for udp in (False, True):
        found = associative_embedding(nothing, nothing, ORDER, udp=udp)
        assert found.keypoints.shape == (0, 17, 2)
        assert found.scores.shape == (0, 17)
        assert found.person_scores.shape == (0,)


def test_no_more_people_than_thirty() -> None:
    rng = np.random.default_rng(0)
    maps = np.zeros((17, 64, 64), np.float32)
    maps[:, 3::6, 3::6] = rng.uniform(0.5, 1, (17, 11, 11))
    tags = np.arange(64 * 64, dtype=np.float32).reshape(1, 64, 64).repeat(17, 0) * 2
    found = associative_embedding(maps, tags, ORDER)
    assert len(found.keypoints) == 30
    assert np.isfinite(found.keypoints).all()


def test_a_tag_of_two_numbers_tells_people_apart_who_share_the_first() -> None:
    _, maps, tags = drawn(2, 3)
    both = np.stack((np.zeros_like(tags), tags))
    one = associative_embedding(maps, tags, ORDER)
    two = associative_embedding(maps, both, ORDER)
    np.testing.assert_array_equal(one.keypoints, two.keypoints)


# Limbs -------------------------------------------------------------------------------------------

BODY = skeletons.get("coco17")


def fields_of(people: np.ndarray, size: Tuple[int, int], edges: Any = BODY.edges) -> np.ndarray:
    """Fields [E,2,h,w] of people [N,K,2]: the unit vector within 1.5 px of each limb."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    fields = np.zeros((len(edges), 2, *size), np.float32)
    for person in people:
        for e, (a, b) in enumerate(edges):
            step = person[b] - person[a]
            length = max(float(np.hypot(*step)), 1e-6)
            ux, uy = step / length
            along = (x - person[a][0]) * ux + (y - person[a][1]) * uy
            across = np.abs((x - person[a][0]) * uy - (y - person[a][1]) * ux)
            near = (along >= -1) & (along <= length + 1) & (across <= 1.5)
            fields[e, 0][near], fields[e, 1][near] = ux, uy
    return fields


def standing(*at: Tuple[float, float]) -> np.ndarray:
    """People [N,17,2] of the same stature, each with the nose at a place."""
    shape = [(0, 0), (2, -2), (-2, -2), (4, 0), (-4, 0), (8, 10), (-8, 10), (12, 20), (-12, 20)]
    shape += [(14, 30), (-14, 30), (5, 30), (-5, 30), (6, 45), (-6, 45), (6, 60), (-6, 60)]
    return np.array(at, np.float32)[:, None] + np.array(shape, np.float32)


def maps_of(people: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    maps = np.zeros((people.shape[1], *size), np.float32)
    for person in people:
        square = (x - person[:, 0, None, None]) ** 2 + (y - person[:, 1, None, None]) ** 2
        maps = np.maximum(maps, 0.9 * np.exp(-square / 4))
    return maps.astype(np.float32)


def same_people(found: np.ndarray, people: np.ndarray, px: float) -> bool:
    off = np.abs(found[:, None] - people[None]).max((-2, -1))
    return found.shape == people.shape and bool((off.min(0) <= px).all())


def test_people_who_overlap_are_told_apart_by_their_limbs() -> None:
    people = standing((30, 10), (46, 14), (90, 8))
    size = (80, 120)
    found = part_affinity(maps_of(people, size), fields_of(people, size), BODY.edges)
    assert same_people(found.keypoints, people, 0.3)
    np.testing.assert_allclose(found.person_scores, 0.9, atol=1e-5)


def test_a_person_without_a_hidden_knee_loses_the_leg_below() -> None:
    """The component ends where no limb leads on; the ankle alone is no person."""
    people = standing((40, 8))
    maps, fields = maps_of(people, (80, 80)), fields_of(people, (80, 80))
    maps[13] = 0
    found = part_affinity(maps, fields, BODY.edges)
    assert len(found.scores) == 1
    assert np.flatnonzero(found.scores[0] == 0).tolist() == [13, 15]
    assert found.person_scores[0] == pytest.approx(0.9 * 15 / 17, abs=1e-5)


def test_a_false_limb_does_not_join_two_people() -> None:
    """A field from one's shoulder to the other's hip is weaker than the true ones."""
    people = standing((30, 10), (80, 10))
    maps, fields = maps_of(people, (80, 120)), fields_of(people, (80, 120))
    mixed = people[:1].copy()
    mixed[0, 11] = people[1, 11]
    fields += 0.5 * fields_of(mixed, (80, 120)) * (fields == 0)
    found = part_affinity(maps, fields, BODY.edges)
    assert same_people(found.keypoints, people, 0.3)


def test_fields_without_people_and_people_without_fields() -> None:
    nothing = part_affinity(
        np.zeros((17, 16, 24), "f4"), np.ones((19, 2, 16, 24), "f4"), BODY.edges
    )
    assert nothing.keypoints.shape == (0, 17, 2)
    maps = maps_of(standing((40, 8)), (80, 80))
    alone = part_affinity(maps, np.zeros((19, 2, 80, 80), "f4"), BODY.edges)
    assert alone.scores.shape == (0, 17)


def test_of_equal_neighbours_one_is_a_maximum() -> None:
    maps = np.zeros((2, 12, 12), np.float32)
    maps[0, 3:5, 3:5] = maps[0, 9, 9] = 0.7
    maps[1] = 1
    places, values = peaks_of(maps, 0.1)
    assert places[0].tolist() == [[3, 3], [9, 9]]
    assert values.tolist() == [pytest.approx([0.7, 0.7]), [1, 0]]


def test_maps_are_enlarged_as_pytorch_does() -> None:
    """From 2 to 4 px: 0, .25, .75, 1 (torch.nn.functional.interpolate, bilinear)."""
    found = resized(np.array([[[0.0, 1.0]]], np.float32), (1, 4))
    np.testing.assert_allclose(found, [[[0, 0.25, 0.75, 1]]])
    same = np.ones((2, 3, 5), np.float32)
    assert resized(same, (3, 5)) is same


# The family --------------------------------------------------------------------------------------

SIZE = (256, 192)  # of the input; maps have a quarter


def raw(people: np.ndarray) -> Dict[str, np.ndarray]:
    """What HigherHRNet would give for people in px of the maps: `low` and `high`."""
    owner = np.zeros((17, 48, 64), np.float32)
    x = np.mgrid[:48, :64][1]
    for n, person in enumerate(people):
        owner = np.where(np.abs(x - person[:, 0, None, None]) <= 3, np.float32(4 * n), owner)
    low = np.concatenate((maps_of(people, (48, 64)), owner))
    high = maps_of(people * 2 + 0.5, (96, 128))
    return {"low": low[None], "high": high[None]}


def small(*at: Tuple[float, float]) -> np.ndarray:
    """People whose body fits into maps of 48 px."""
    shape = (standing((0, 0)) * 0.6).round()
    return shape + np.array(at, np.float32).reshape(-1, 1, 2)


def limb_outputs(people: np.ndarray) -> Dict[str, np.ndarray]:
    fields = fields_of(people, (48, 64)).reshape(1, 38, 48, 64)
    return {"heatmaps": maps_of(people, (48, 64))[None], "pafs": fields}


def tag_outputs(people: np.ndarray) -> Dict[str, np.ndarray]:
    low = raw(people)["low"]
    return {"heatmaps": low[:, :17], "tags": low[:, 17:]}


@pytest.mark.parametrize("outputs_of", [raw, limb_outputs, tag_outputs])
@pytest.mark.parametrize("scale", [1, 4])
def test_the_family_finds_people_whatever_the_outputs_and_the_size_of_the_frame(
    outputs_of: Any, scale: int
) -> None:
    people = small((16, 6), (42, 5))
    pose, runner = model("bottomup", outputs_of(people), SIZE, "coco17")
    width, height = SIZE[0] * scale, SIZE[1] * scale
    found = pose([frame(width, height)], [])[0]
    assert runner.runs == 1
    assert same_people(found.keypoints, people * 4 * scale, 2.0 * scale)
    assert (found.ids == -1).all()
    inside = (found.boxes[:, None, :2] <= found.keypoints) & (
        found.keypoints <= found.boxes[:, None, 2:]
    )
    assert inside.all()


@pytest.mark.parametrize("outputs_of", [limb_outputs, tag_outputs])
def test_mirrored_maps_hold_the_mirrored_people(outputs_of: Any) -> None:
    people = small((16, 6), (42, 5))
    mirrored = people[:, BODY.flip] * [-1, 1] + [63, 0]
    plain = model("bottomup", outputs_of(people), SIZE, "coco17")[0]([frame(*SIZE)], [])[0]
    other = model("bottomup", outputs_of(mirrored), SIZE, "coco17")[0]([frame(*SIZE)], [])[0]
    back = other.keypoints[:, BODY.flip] * [-1, 1] + [63 * 4, 0]
    assert same_people(back, plain.keypoints, 2.1)  # a quarter px to either side of the maximum


@pytest.mark.parametrize("outputs_of", [raw, limb_outputs, tag_outputs])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_places_that_are_not_finite_hold_no_one(
    outputs_of: Any, bad: float, caplog: pytest.LogCaptureFixture
) -> None:
    outputs = outputs_of(small((16, 6), (42, 5)))
    for array in outputs.values():
        array[..., : array.shape[-1] // 2] = bad
    pose, _ = model("bottomup", outputs, SIZE, "coco17")
    with caplog.at_level(logging.WARNING):
        found = pose([frame(*SIZE)], [])[0]
    assert len(found) == 1
    assert np.isfinite(found.keypoints).all()
    assert np.abs(found.keypoints[0] - small((42, 5))[0] * 4).max() <= 2.0
    assert "not finite" in caplog.text
    for array in outputs.values():
        array[:] = bad
    assert len(pose([frame(*SIZE)], [])[0]) == 0


def test_a_batch_of_none_one_and_two_people() -> None:
    crowds = [small(), small((16, 6)), small((16, 6), (42, 5))]
    outputs = [raw(c.reshape(-1, 17, 2)) for c in crowds]
    joined = {n: np.concatenate([o[n] for o in outputs]) for n in ("low", "high")}
    pose, _ = model("bottomup", joined, SIZE, "coco17")
    assert [len(p) for p in pose([frame(*SIZE)] * 3, [])] == [0, 1, 2]
    assert pose([], []) == []


def test_openpose_has_a_neck_that_the_skeleton_lacks_and_a_background() -> None:
    """The neck joins both shoulders and hips but is not told; the last channel is not read."""
    people = small((16, 6), (42, 5))
    all18 = np.concatenate((people, people[:, 5:7].mean(1, keepdims=True).round()), 1)
    names = [*BODY.names, "neck"]
    joined = {(5, 6), (11, 12), (5, 11), (6, 12), (3, 5), (4, 6)}
    edges = [(a, b) for a, b in BODY.edges.tolist() if (a, b) not in joined]
    edges += [(17, 5), (17, 6), (17, 11), (17, 12), (17, 0)]
    maps = np.concatenate((maps_of(all18, (48, 64)), np.ones((1, 48, 64), np.float32)))
    fields = fields_of(all18, (48, 64), edges).reshape(1, -1, 48, 64)
    limbs = [f"{names[a]}-{names[b]}" for a, b in edges]
    options = {"points": names, "limbs": limbs}
    outputs = {"heatmaps": maps[None], "pafs": fields}
    pose, _ = model("bottomup", outputs, SIZE, "coco17", options)
    found = pose([frame(*SIZE)], [])[0]
    assert same_people(found.keypoints, people * 4, 2.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limbs": ["nose-tail"]}, "options.limbs: nose-tail is not two of the keypoints nose"),
        ({"limbs": ["nose"]}, "options.limbs: nose is not two"),
        ({"points": ["nose", "nose"]}, "options.points: a keypoint is named twice"),
        ({"points": ["tail"], "limbs": ["tail-tail"]}, "options.points: none of them is a"),
        ({"decode": "dark"}, "options.decode"),
        ({"points": [*BODY.names, "neck", "tail"]}, "skeleton: needs 19 keypoints, but heatmaps"),
    ],
)
def test_a_wrong_recipe_is_refused(options: Dict[str, Any], words: str) -> None:
    outputs = limb_outputs(small((16, 6)))
    if options.get("limbs"):
        outputs["pafs"] = outputs["pafs"][:, : 2 * len(options["limbs"])]
    with pytest.raises(ConfigError, match=re.escape(words)):
        model("bottomup", outputs, SIZE, "coco17", options)


def test_a_network_without_tags_and_fields_is_refused() -> None:
    outputs = {"heatmaps": np.zeros((1, 17, 48, 64), np.float32)}
    with pytest.raises(DataError, match="no output 'tags'"):
        model("bottomup", outputs, SIZE, "coco17")
