"""Pictures: what is drawn is where the truth says, and nothing is left of the frame before."""

import tracemalloc

import cv2
import numpy as np
import pytest

from edge.capture._synthetic.draw import Canvas, mark
from edge.capture._synthetic.gaits import MOTIONS
from edge.capture._synthetic.scene import Scene, Setup

pytestmark = pytest.mark.one_python


def drawn(scene, index, **options):
    canvas = Canvas(scene, **options)
    image = np.empty(canvas.shape, np.uint8)
    canvas.draw(index, image)
    return image, canvas


def people_mask(scene, index):
    image, canvas = drawn(scene, index)
    return (image != canvas.empty).any(-1)


def test_markers_are_exactly_on_the_keypoints():
    """The centre of gravity of each drawn dot is its keypoint, to a twentieth of a pixel."""
    scene = Scene(Setup(people=3, motion="walk,wave,sit", seed=4))
    far = []
    for index in (0, 40, 80):
        truth = scene.poses(index)
        points = truth.keypoints[truth.scores > 0]
        points = points[((points > 4) & (points < (635, 475))).all(1)]
        for point in points[::5]:
            image = np.zeros((480, 640, 3), np.uint8)
            mark(image, point[None], np.ones(1, np.float32))
            weight = image[..., 1].astype(float)
            rows, columns = np.nonzero(weight)
            w = weight[rows, columns]
            centre = np.array([(columns * w).sum(), (rows * w).sum()]) / w.sum()
            far.append(np.hypot(*(centre - point)))
    assert len(far) > 100
    assert np.mean(far) < 0.05
    assert np.max(far) < 0.25  # OpenCV draws small circles no better


def test_markers_are_drawn_on_top():
    scene = Scene(Setup(people=3))
    plain, marked = drawn(scene, 10)[0], drawn(scene, 10, markers=True)[0]
    truth = scene.poses(10)
    for (x, y), score in zip(truth.keypoints[:, :17].reshape(-1, 2), truth.scores[:, :17].ravel()):
        if 3 < x < 636 and 3 < y < 476:
            pixel = marked[round(float(y)), round(float(x))].tolist()
            assert pixel[0] < 30
            assert max(pixel) > 200
            assert score == 0.5 or pixel[1] > 200 or pixel[2] > 200
    assert (plain != marked).any()


@pytest.mark.parametrize("view", range(4))
@pytest.mark.parametrize("motion", ["walk", "squat", "lie", "wave"])
def test_bodies_are_drawn_where_the_truth_says(motion, view):
    """Every body keypoint is on the drawn person, limbs' joints in the middle of their limbs."""
    scene = Scene(Setup(people=1, motion=motion, distance_m=4), 640, 480, view)
    for index in (0, 25):
        mask = people_mask(scene, index)
        truth = scene.poses(index)
        solid = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
        for point, score in zip(truth.keypoints[0, 5:17], truth.scores[0, 5:17]):
            if score > 0:
                x, y = np.clip(np.rint(point), 0, (639, 479)).astype(int)
                assert solid[y, x] >= 2


def test_raised_arms_have_their_joints_in_the_middle():
    """Across a free arm the joint is half-way between the two drawn edges, within half a pixel."""
    scene = Scene(Setup(people=1, motion="reach", distance_m=3, seed=2), 960, 720)
    phase = scene._people.at(0).traits[0].own[0]
    index = round((0.24 - phase) % 1 * 4 * 30)  # arms about level
    mask, truth = people_mask(scene, index), scene.poses(index)
    errors = []
    for shoulder, elbow, wrist in ((5, 7, 9), (6, 8, 10)):
        a, b, c = (truth.keypoints[0, k].astype(float) for k in (shoulder, elbow, wrist))
        along = (c - a) / np.linalg.norm(c - a)
        across = np.array([-along[1], along[0]])
        for point in (b, (b + c) / 2):
            steps = np.arange(-40, 40, 0.1)
            line = np.rint(point + steps[:, None] * across).astype(int)
            on = steps[mask[line[:, 1], line[:, 0]]]
            on = on[np.abs(on) < 25]
            errors.append((on.min() + on.max()) / 2)
    assert np.abs(errors).max() < 1.0
    assert np.abs(np.mean(errors)) < 0.5


@pytest.mark.parametrize("motion", MOTIONS)
def test_boxes_enclose_what_is_drawn(motion):
    scene = Scene(Setup(people=1, motion=motion, seed=3))
    for index in (0, 70):
        truth = scene.poses(index)
        rows, columns = np.nonzero(people_mask(scene, index))
        if not len(truth):
            assert len(rows) == 0
            continue
        seen = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
        assert np.abs(seen - truth.boxes[0]).max() <= 3


def test_nothing_is_left_of_the_frame_before():
    scene = Scene(Setup(people=5))
    canvas = Canvas(scene)
    used, fresh = np.empty(canvas.shape, np.uint8), np.full(canvas.shape, 255, np.uint8)
    for index in (0, 90, 7):
        canvas.draw(index, used)
    Canvas(Scene(Setup(people=5))).draw(7, fresh)
    np.testing.assert_array_equal(used, fresh)


def test_nearer_people_are_drawn_over_farther_ones():
    scene = Scene(Setup(people=2, motion="stand", seed=3))
    scene._people._places = np.array([[0.0, -0.3], [0.0, 1.3]])
    image, _ = drawn(scene, 0)
    near = scene.see(0).cast.traits[0].colours.astype(float)
    truth = scene.poses(0)
    x, y = truth.keypoints[0, [5, 6, 11, 12]].mean(0)
    pixel = image[round(float(y)), round(float(x))].astype(float)
    shirt = near[2]
    assert np.abs(pixel / shirt - (pixel / shirt).mean()).max() < 0.08  # that shirt, shaded


def test_nobody():
    scene = Scene(Setup(people=0))
    image, canvas = drawn(scene, 0, markers=True)
    np.testing.assert_array_equal(image, canvas.empty)
    assert len(scene.poses(0)) == 0
    assert canvas.empty.std() > 3  # a room, not a flat colour


def test_no_frame_is_allocated_in_the_steady_state():
    canvas = Canvas(Scene(Setup(people=3), 1280, 720))
    image = np.empty(canvas.shape, np.uint8)
    for index in range(3):
        canvas.draw(index, image)
    tracemalloc.start()
    for index in range(3, 20):
        canvas.draw(index, image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes / 5


def test_people_differ_from_each_other_and_from_the_room():
    scene = Scene(Setup(people=4, motion="stand"))
    image, canvas = drawn(scene, 0)
    share = (image != canvas.empty).any(-1).mean()
    assert 0.02 < share < 0.5
    shirts = {tuple(t.colours[2].tolist()) for t in scene.see(0).cast.traits}
    assert len(shirts) == 4


@pytest.mark.parametrize("size", [(32, 32), (64, 200), (1920, 1080), (641, 479)])
def test_any_size(size):
    scene = Scene(Setup(people=2), *size)
    image, _ = drawn(scene, 5)
    assert image.shape == (size[1], size[0], 3)
    assert len(scene.poses(5)) >= 1
