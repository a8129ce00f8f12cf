"""Records refuse arrays that do not belong together."""

from dataclasses import replace

import numpy as np
import pytest

from edge.structures import Detections, Poses

TWO = Poses.of_boxes(Detections(np.zeros((2, 4), np.float32), np.ones(2, np.float32)), 17, "coco17")


@pytest.mark.parametrize(
    "places",
    [np.zeros((1, 33, 3), np.float32), np.zeros((2, 33, 3), np.float64), np.zeros((), np.float32)],
)
def test_places_have_a_row_for_each_person(places: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^Poses\.places: expected"):
        replace(TWO, places=places)
    good = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert replace(TWO, places=good).take(np.array([1])).places.tolist() == [[3, 4, 5]]


def some(*ids: int, places: bool = False) -> Poses:
    """People whose numbers are all their id."""
    n = len(ids)
    number = np.array(ids, np.float32)
    return Poses(
        np.ones((n, 2, 2), np.float32) * number[:, None, None],
        np.ones((n, 2), np.float32) * number[:, None],
        np.ones((n, 4), np.float32) * number[:, None],
        np.array(ids, np.int64),
        number,
        "coco17",
        np.ones((n, 3), np.float32) * number[:, None] if places else None,
    )


def test_joined_people_are_in_the_order_of_their_records() -> None:
    whole = Poses.join([some(3, 1, places=True), some(), some(2, places=True)])
    assert whole.skeleton == "coco17"
    wanted = some(3, 1, 2, places=True)
    for name, array in vars(wanted).items():
        np.testing.assert_array_equal(getattr(whole, name), array, err_msg=name)


def test_joined_places_are_those_of_everybody_or_none() -> None:
    assert Poses.join([some(1, places=True), some(2)]).places is None
    assert Poses.join([some(1), some(2)]).places is None
    assert Poses.join([some(), some(1, places=True)]).places is not None


def test_a_joined_record_has_arrays_of_its_own() -> None:
    one = some(1, places=True)
    copy = Poses.join([one])
    arrays = [name for name in vars(one) if name != "skeleton"]
    assert not [n for n in arrays if np.shares_memory(getattr(one, n), getattr(copy, n))]


def test_nobody_joined_with_nobody_is_nobody() -> None:
    nobody = Poses.empty(17, "coco17")
    whole = Poses.join([nobody, nobody])
    assert whole.keypoints.shape == (0, 17, 2)
    assert whole.skeleton == "coco17"


def test_sightings_have_a_row_for_each_person_and_stay_with_it() -> None:
    """They are taken and joined as `places` are, and come from the keypoints of detections."""
    keypoints = np.arange(2 * 17 * 3, dtype=np.float32).reshape(2, 17, 3)
    boxes, scores = np.zeros((2, 4), np.float32), np.ones(2, np.float32)
    found = Detections(boxes, scores, keypoints)
    assert found.take(np.array([1])).keypoints is not None
    people = Poses.of_boxes(found.take(np.array([1, 0])), 17, "coco17")
    assert people.sightings is not None
    np.testing.assert_array_equal(people.sightings, keypoints[::-1])
    taken = people.take(np.array([False, True])).sightings
    assert taken is not None
    np.testing.assert_array_equal(taken[0], keypoints[0])
    joined = Poses.join([people, people.take(slice(0, 1))]).sightings
    assert joined is not None
    np.testing.assert_array_equal(joined, keypoints[[1, 0, 1]])
    bare = Poses.of_boxes(Detections(boxes, scores), 17, "coco17")
    assert Poses.join([people, bare]).sightings is None
    for wrong in (keypoints[:1], keypoints[..., :2], keypoints.astype(np.float64)):
        with pytest.raises(ValueError, match=r"^Detections\.keypoints: expected"):
            Detections(boxes, scores, wrong)
        with pytest.raises(ValueError, match=r"^Poses\.sightings: expected"):
            replace(people, sightings=wrong)
