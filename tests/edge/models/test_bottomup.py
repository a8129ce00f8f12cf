"""Grouping of keypoints to people, on recorded references and on people drawn into maps."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest

from edge.models import _bottomup

ORDER = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]


def test_associative_embedding_equals_the_reference(recorded: Any) -> None:
    z = recorded("associative_embedding_s0")
    found = _bottomup.associative_embedding(z["ae_heatmaps"], z["ae_tags"], z["keypoint_order"])
    np.testing.assert_allclose(found.keypoints * 4, z["ae_keypoints"], atol=1e-2)
    np.testing.assert_allclose(found.scores, z["ae_keypoint_scores"], atol=1e-5)
    np.testing.assert_allclose(found.person_scores, z["ae_instance_scores"], atol=1e-5)


def test_udp_refinement_equals_the_reference_where_keypoints_were_found(recorded: Any) -> None:
    """The others it takes from maps it has already blurred and logged: scores below 0."""
    z = recorded("associative_embedding_s0")
    found = _bottomup.associative_embedding(
        z["udp_heatmaps"], z["udp_tags"], z["keypoint_order"], udp=True
    )
    there = z["udp_keypoint_scores"] > 0
    off = np.abs(found.keypoints * (255 / 63) - z["udp_keypoints"]).max(-1)
    assert off[there].max() < 1e-2
    assert (off[~there] < 1e-2).mean() > 0.8
    assert found.scores.min() > 0
    np.testing.assert_allclose(found.scores[there], z["udp_keypoint_scores"][there], atol=1e-5)
    np.testing.assert_allclose(found.person_scores, z["udp_instance_scores"], atol=1e-5)


def test_structured_pose_equals_the_reference(recorded: Any) -> None:
    """Two roots are equally high: their order is undefined."""
    z = recorded("spr_s0")
    found = _bottomup.structured_pose(z["heatmaps"], z["displacements"])
    np.testing.assert_allclose(found.person_scores, z["root_scores"], atol=1e-5)
    ours = np.lexsort((found.keypoints[:, 0, 0], -found.person_scores))
    theirs = np.lexsort((z["keypoints"][:, 0, 0], -z["root_scores"]))
    np.testing.assert_allclose(found.keypoints[ours] * 4, z["keypoints"][theirs], atol=1e-3)
    np.testing.assert_allclose(found.scores[ours], z["keypoint_scores"][theirs], atol=1e-5)


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
    found = _bottomup.associative_embedding(maps, tags, ORDER)
    assert len(found.keypoints) == 3
    for person in places:
        off = np.abs(found.keypoints[:, clear] - person[clear]).max((1, 2))
        assert off.min() <= 0.25


def test_structured_people_are_found_again() -> None:
    places, maps, _ = drawn(2, 1)
    roots = np.array([[10, 20], [40, 44]])
    y, x = np.mgrid[:64, :64]
    root = sum(np.exp(-((x - r[0]) ** 2 + (y - r[1]) ** 2) / 4) for r in roots)
    steps = np.zeros((34, 64, 64), np.float32)
    for person, (at_x, at_y) in zip(places, roots):
        steps[:, at_y, at_x] = (person - [at_x, at_y]).ravel()
    found = _bottomup.structured_pose(np.concatenate((maps, root[None])).astype("f4"), steps, 0.5)
    assert len(found.keypoints) == 2
    for person in places:
        assert np.abs(found.keypoints - person).max((1, 2)).min() < 1e-4


def test_empty_maps_hold_no_one() -> None:
    nothing = np.zeros((17, 16, 16), np.float32)
    for udp in (False, True):
        found = _bottomup.associative_embedding(nothing, nothing, ORDER, udp=udp)
        assert found.keypoints.shape == (0, 17, 2)
        assert found.scores.shape == (0, 17)
        assert found.person_scores.shape == (0,)
    found = _bottomup.structured_pose(np.zeros((18, 16, 16), "f4"), np.zeros((34, 16, 16), "f4"))
    assert found.keypoints.shape == (0, 17, 2)


def test_no_more_people_than_thirty() -> None:
    rng = np.random.default_rng(0)
    maps = np.zeros((17, 64, 64), np.float32)
    maps[:, 3::6, 3::6] = rng.uniform(0.5, 1, (17, 11, 11))
    tags = np.arange(64 * 64, dtype=np.float32).reshape(1, 64, 64).repeat(17, 0) * 2
    found = _bottomup.associative_embedding(maps, tags, ORDER)
    assert len(found.keypoints) == 30
    assert np.isfinite(found.keypoints).all()
