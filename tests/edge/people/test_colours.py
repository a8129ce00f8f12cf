"""Colours of clothes: the same in every layout, at every place and size, and told apart."""

import numpy as np
import pytest

from edge.people.colours import SIZE, colours_of, unlikeness
from edge.skeletons import get
from edge.structures import Frame, Poses
from edge.view import View
from tests.edge.models.test_preprocess import in_layout
from tests.edge.people.track_scenes import STANDING

BODY17 = get("coco17").body17
RED, BLUE, BLACK = (40, 40, 200), (200, 60, 40), (25, 25, 25)  # B, G, R


def people(*x, tall=120.0, score=0.9):
    points = STANDING[None] * tall + np.stack((np.float32(x), np.full(len(x), 200)), -1)[:, None]
    points = points.astype(np.float32)
    boxes = np.concatenate((points.min(1), points.max(1)), 1)
    scores = np.full(points.shape[:2], score, np.float32)
    return Poses(points, scores, boxes, np.arange(len(x)), scores[:, 0].copy(), "coco17")


def picture(*clothes, tall=120.0):
    """A grey picture [240,400,3] of somebody at 60, 160, 260, ... in these clothes."""
    image = np.full((240, 400, 3), 110, np.uint8)
    for i, colour in enumerate(clothes):
        x, low, high = 60 + 100 * i, int(200 - tall), 200
        image[low:high, x - int(tall / 5) : x + int(tall / 5)] = colour
    return image


def found(image, poses, **view):
    return colours_of(Frame(image, 0, 0, "a", **view), poses, BODY17)


def test_each_histogram_adds_up_to_one_and_nobody_gives_none():
    seen = found(picture(RED, BLUE), people(60, 160))
    assert seen.shape == (2, SIZE)
    np.testing.assert_allclose(seen.reshape(2, 3, -1).sum(2), 1, rtol=1e-5)
    assert found(picture(), people()).shape == (0, SIZE)


def test_one_person_is_alike_in_another_place_and_size_and_another_is_not():
    here = found(picture(RED, BLUE, BLACK), people(60, 160, 260))
    there = found(picture(BLUE, RED, tall=60), people(60, 160, tall=60))
    assert unlikeness(here[0], there[1]) < 0.1 > unlikeness(here[1], there[0])
    assert unlikeness(here[0], there[0]) > 0.5 < unlikeness(here[2], there[0])


@pytest.mark.parametrize("score", [0.9, 0.1])
def test_without_a_torso_the_middle_of_the_box_is_taken(score):
    seen = found(picture(RED), people(60, score=score))
    assert unlikeness(seen, found(picture(RED), people(60)))[0] < 0.1


@pytest.mark.parametrize("layout", ["bgr", "rgb", "nv12", "yuyv"])
def test_every_layout_gives_the_same(layout):
    image = picture(RED, BLUE)
    frame = in_layout(layout, image) if layout not in ("bgr", "rgb") else None
    if layout == "rgb":
        frame = Frame(np.ascontiguousarray(image[..., ::-1]), 0, 0, "a", layout="rgb")
    seen = colours_of(frame or Frame(image, 0, 0, "a"), people(60, 160), BODY17)
    assert (unlikeness(seen, found(image, people(60, 160))) < 0.25).all()


def test_a_turned_camera_gives_the_same():
    image = picture(RED, BLUE)
    turned = np.ascontiguousarray(image[::-1, ::-1])
    seen = found(turned, people(60, 160), view=View(turn=180))
    np.testing.assert_allclose(seen, found(image, people(60, 160)), atol=0.05)


def test_who_is_out_of_the_picture_or_not_finite_is_unknown():
    poses = people(60, 900, 160)
    poses.keypoints[2] = np.nan
    seen = found(picture(RED, BLUE), poses)
    assert seen[0].sum() > 2
    assert not seen[1:].any()
    assert np.isnan(unlikeness(seen[0], seen[1]))
    assert np.isfinite(seen).all()
