"""A snapshot shows nobody: whole people are painted over, however they lie and whoever saw them."""

from __future__ import annotations

import base64
import dataclasses
import threading
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import cv2
import numpy as np
import pytest

from edge import skeletons
from edge.commands import snapshot
from edge.commands.frame_tap import FrameTap
from edge.commands.handlers import SnapshotArguments, take_picture
from edge.errors import TempError
from edge.structures import Detections, Frame, Poses
from edge.view import View

WIDTH, HEIGHT = 800, 400
Box = Tuple[float, float, float, float]
# A person's box, and where the head is in it, at its edge: whole people, parts and very near ones.
PEOPLE = {
    "standing": ((100, 50, 250, 390), (140, 45, 210, 120)),
    "lying to the left": ((100, 200, 700, 340), (95, 220, 200, 320)),
    "lying to the right": ((100, 200, 700, 340), (600, 220, 705, 320)),
    "upside down": ((100, 10, 250, 350), (140, 280, 210, 355)),
    "bent to the floor": ((300, 150, 520, 390), (310, 320, 380, 395)),
    "half out of the picture": ((-80, 100, 60, 380), (0, 95, 50, 170)),
    "tiny": ((400, 200, 408, 222), (401, 199, 407, 206)),
    "very near": ((0, 0, 800, 400), (200, 0, 600, 400)),
    "larger than the picture": ((-500, -300, 1500, 900), (0, 0, 800, 400)),
}


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def person(box: Box, skeleton: str = "coco17") -> Poses:
    """One published person without keypoints."""
    boxes = Detections(np.array([box], np.float32), np.ones(1, np.float32))
    return Poses.of_boxes(boxes, len(skeletons.get(skeleton)), skeleton)


def nobody() -> Poses:
    return Poses.empty(17, "coco17")


def share(before: np.ndarray, after: np.ndarray, place: Box) -> float:
    """The share of a place that is painted over: of noise no pixel keeps its neighbours' order."""
    x1, y1, x2, y2 = (max(int(v), 0) for v in place)
    changed = (before != after).any(2)[y1:y2, x1:x2]
    return float(changed.mean())


@pytest.mark.parametrize("who", list(PEOPLE))
@pytest.mark.parametrize("published", [True, False])
def test_the_head_of_everybody_is_hidden_wholly(who: str, published: bool) -> None:
    box, head = PEOPLE[who]
    image, before = noise(), noise()
    others = np.zeros((0, 4), np.float32) if published else np.array([box], np.float32)
    snapshot.hide_people(image, person(box) if published else nobody(), others)
    assert share(before, image, head) > 0.99


@pytest.mark.parametrize("skeleton", skeletons.names())
def test_a_skeleton_that_lies_the_wrong_way_round_shows_no_head(skeleton: str) -> None:
    """Networks see a lying or an upside-down body with its head at the feet."""
    box, head = PEOPLE["lying to the left"]
    one = person(box, skeleton)
    wrong = np.full_like(one.keypoints, 0)
    wrong[..., 0], wrong[..., 1] = 650, 270
    image, before = noise(), noise()
    sure = dataclasses.replace(one, keypoints=wrong, scores=np.ones_like(one.scores))
    snapshot.hide_people(image, sure, np.zeros((0, 4), np.float32))
    assert share(before, image, head) > 0.99


def test_weak_keypoints_outside_the_box_hide_a_head_too() -> None:
    """A box may hold the legs only, and the network may hardly be sure of the head."""
    one = person((100, 250, 200, 390))
    points, scores = one.keypoints.copy(), one.scores.copy()
    points[0, :5], scores[0, :5] = (150, 100), 0.05
    image, before = noise(), noise()
    legs = dataclasses.replace(one, keypoints=points, scores=scores)
    snapshot.hide_people(image, legs, np.zeros((0, 4), np.float32))
    assert share(before, image, (135, 85, 165, 115)) > 0.99


def test_the_rest_of_the_picture_is_shown() -> None:
    image, before = noise(), noise()
    snapshot.hide_people(image, person((100, 50, 250, 390)), np.zeros((0, 4), np.float32))
    assert (image[:, 300:] == before[:, 300:]).all()
    assert (image[:, :60] == before[:, :60]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_people_of_nonsense_are_no_crash(bad: float) -> None:
    one = person((100, 50, 250, 390))
    one = dataclasses.replace(one, scores=np.ones_like(one.scores))
    for field in ("keypoints", "boxes"):
        wrong = getattr(one, field).copy()
        wrong[0, 0] = bad
        nonsense = dataclasses.replace(one, **{field: wrong})
        snapshot.hide_people(noise(), nonsense, np.full((2, 4), bad, np.float32))
        snapshot.crops(noise(), nonsense)


class Finder:
    """Gives boxes as the loop would, and notes for which pictures it was asked."""

    def __init__(self, tracked: List[Box], found: List[Box]) -> None:
        self._tracked, self._found = tracked, found
        self.asked: List[Tuple[str, bytes]] = []

    def tracked(self, camera: str) -> np.ndarray:
        return np.array(self._tracked, np.float32).reshape(-1, 4)

    def find(self, image: np.ndarray, camera: str, timeout_s: float) -> np.ndarray:
        self.asked.append((camera, image.tobytes()))
        return np.array(self._found, np.float32).reshape(-1, 4)


class Blind(Finder):
    """A finder that cannot look."""

    def find(self, image: np.ndarray, camera: str, timeout_s: float) -> np.ndarray:
        raise TempError("the loop did not look for people in 5 s; try again")


@pytest.fixture
def shown() -> Iterator[Any]:
    """Shows a picture of blocks to a tap until the test ends: JPEG keeps what it is."""
    stop = threading.Event()
    blocks = np.random.default_rng(1).integers(0, 255, (HEIGHT // 20, WIDTH // 20, 3), np.uint8)
    image = blocks.repeat(20, 0).repeat(20, 1)
    threads: List[threading.Thread] = []

    def show(tap: FrameTap, view: Optional[View] = None) -> np.ndarray:
        def run() -> None:
            while not stop.wait(0.002):
                tap([Frame(image, 0, 1, "door", view=view)], [nobody()])

        threads.append(threading.Thread(target=run))
        threads[0].start()
        return image

    yield show
    stop.set()
    for thread in threads:
        thread.join()


def picture(tap: FrameTap) -> np.ndarray:
    result = take_picture(tap, SnapshotArguments("door", 800))
    data = np.frombuffer(base64.b64decode(result["jpeg"]), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)).astype(float)


@pytest.mark.parametrize("where", ["tracked", "found"])
def test_who_is_not_published_is_hidden(shown: Any, where: str) -> None:
    """Tracked: seen too seldom, or of a low score. Found: a newcomer of this very frame."""
    box = (200.0, 100.0, 300.0, 300.0)
    finder = Finder([box] * (where == "tracked"), [box] * (where == "found"))
    tap = FrameTap(finder)
    image = shown(tap)
    seen = picture(tap)
    assert np.abs(seen[100:300, 200:300] - image[100:300, 200:300]).mean() > 20
    assert np.abs(seen[:, 400:] - image[:, 400:]).mean() < 12
    assert finder.asked == [("door", image.tobytes())], "it looked at the very picture"


def test_a_camera_that_hangs_on_its_side_hides_the_same_people(shown: Any) -> None:
    """Boxes are those of the upright picture, and so is the picture that is shown."""
    box = (100.0, 500.0, 300.0, 600.0)  # of the upright picture, 400 wide and 800 high
    finder = Finder([], [box])
    tap = FrameTap(finder)
    image = shown(tap, View(turn=90))
    upright = np.rot90(image, -1)
    seen = picture(tap)
    assert seen.shape == upright.shape
    assert np.abs(seen[500:600, 100:300] - upright[500:600, 100:300]).mean() > 20
    assert np.abs(seen[:400] - upright[:400]).mean() < 12
    assert finder.asked == [("door", upright.tobytes())]


def test_without_a_look_there_is_no_picture(shown: Any, tmp_path: Path) -> None:
    tap = FrameTap(Blind([], []))
    shown(tap)
    with pytest.raises(TempError, match="did not look for people"):
        picture(tap)
