"""The camera's own motion, and what becomes of tracks under it."""

import cv2
import numpy as np
import pytest

from edge.people import motion
from edge.people.camera_motion import CameraMotion
from edge.people.carry import carry
from edge.people.tracker import Tracker
from edge.settings.config import Track
from edge.skeletons import get
from edge.structures import Frame
from edge.view import View
from tests.edge.people.test_tracker import STEP, standing

NOBODY = np.zeros((0, 4), np.float32)
ANYWHERE = np.array([[0, 0, 1], [639, 0, 1], [200, 470, 1.0]]).T


@pytest.fixture(scope="module")
def wide():
    """A picture of smooth random texture, larger than a frame."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 255, (75, 100, 3), np.uint8)
    return cv2.resize(small, (1200, 900), interpolation=cv2.INTER_CUBIC)


def seen(wide, matrix, **frame):
    return Frame(cv2.warpAffine(wide, matrix, (640, 480)), 0, 0, "a", **frame)


def at(x=0.0, y=0.0, turn_deg=0.0, scale=1.0):
    """How the wide picture lies in a frame."""
    c, s = (scale * f(np.radians(turn_deg)) for f in (np.cos, np.sin))
    return np.array([[c, -s, x - 250], [s, c, y - 200]])


@pytest.mark.parametrize(
    "step", [{"x": 9, "y": -4}, {"x": -25}, {"turn_deg": 1.0}, {"scale": 1.02}], ids=str
)
def test_pan_turn_and_zoom_are_found(wide, step):
    camera = CameraMotion()
    assert camera(seen(wide, at()), NOBODY) is None
    found = camera(seen(wide, at(**step)), NOBODY)
    true = np.vstack((at(**step), [0, 0, 1])) @ np.linalg.inv(np.vstack((at(), [0, 0, 1])))
    np.testing.assert_allclose(found @ ANYWHERE, true[:2] @ ANYWHERE, atol=0.8)


def test_a_slow_pan_adds_up(wide):
    camera, total = CameraMotion(), np.eye(3)
    for f in range(25):
        found = camera(seen(wide, at(x=0.4 * f)), NOBODY)
        if found is not None:
            total = np.vstack((found, [0, 0, 1])) @ total
    assert total[0, 2] == pytest.approx(0.4 * 24, abs=1.5)


def test_a_camera_that_stands_still_gives_nothing(wide):
    """Neither noise nor a change of exposure is motion, nor are people who walk."""
    rng, camera, frame = np.random.default_rng(0), CameraMotion(), seen(wide, at()).image
    for f in range(6):
        image = cv2.convertScaleAbs(frame, alpha=0.9 + 0.02 * f)
        image = cv2.add(image, rng.integers(0, 6, image.shape, np.uint8))
        x = 200 + 12 * f
        image[100:400, x : x + 100] = frame[50:350, 20:120]
        boxes = np.float32([[x, 100, x + 100, 400]]) if f % 2 else NOBODY
        assert camera(Frame(image, f, f, "a"), boxes) is None


def test_a_blank_picture_and_another_size_give_nothing(wide):
    camera = CameraMotion()
    for image in (np.zeros((480, 640, 3), np.uint8), np.full((480, 640, 3), 200, np.uint8)):
        assert camera(Frame(image, 0, 0, "a"), NOBODY) is None
    assert camera(Frame(np.ascontiguousarray(wide), 0, 0, "a"), NOBODY) is None
    assert camera(seen(wide, at()), NOBODY) is None


@pytest.mark.parametrize("view", [View(turn=90), View(turn=180), View(flip="h")], ids=str)
def test_a_turned_camera_moves_in_the_upright_picture(wide, view):
    camera, plain = CameraMotion(), CameraMotion()
    for step in (at(), at(x=8, y=3)):
        found = camera(seen(wide, step, view=view), NOBODY)
        upright = np.ascontiguousarray(view.upright(seen(wide, step).image))
        true = plain(Frame(upright, 0, 0, "a"), NOBODY)
    np.testing.assert_allclose(found, true, atol=0.3)


def test_tracks_move_with_the_camera():
    pose = standing([400])
    tracks = motion.new_tracks(pose, np.float32([300]), 1, 0)
    tracks.velocity[:] = 10
    carry(tracks, np.array([[0, -2, 50], [2, 0, 7.0]]))  # a quarter turn, twice as large
    x, y = pose.keypoints[0, 0]
    np.testing.assert_allclose(tracks.points[0, 0], 50 - 2 * y + (7 + 2 * x) * 1j, rtol=1e-5)
    assert tracks.velocity[0, 0] == pytest.approx(20j)
    assert tracks.heights[0] == pytest.approx(600)
    size = tracks.boxes[0, 2:] - tracks.boxes[0, :2]
    np.testing.assert_allclose(size, 2 * (pose.boxes[0, 2:] - pose.boxes[0, :2]), rtol=1e-5)


@pytest.mark.parametrize("told", [True, False])
def test_people_keep_their_ids_when_the_camera_jerks(told):
    """Two people a step apart, and the camera jerks by that step."""
    track, apart = Tracker(Track(min_hits=1), get("coco17")), 90.0
    for f in range(10):
        track.update(standing([400, 400 + apart]), f * STEP)
    if told:
        track.move(np.array([[1, 0, apart], [0, 1, 0.0]]))
    out = track.update(standing([400 + apart, 400 + 2 * apart]), 10 * STEP)
    assert (out.ids.tolist() == [1, 2]) == told
