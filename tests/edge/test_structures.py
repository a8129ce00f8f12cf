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
