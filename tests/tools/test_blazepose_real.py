"""The cascade with its real networks on real video: people wear their skeletons.

Places were read off the pictures by eye, in px of 1088x1920 frames; 25 px is half a hand.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import cv2
import numpy as np
import pytest

from edge import skeletons
from edge.models import ModelOptions, input_shapes, load_model
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Detections, Frame, Poses
from tools.fetch.by_name import ensure_model, ensure_set

NAMES = skeletons.get("wholebody133").names
WOMAN, MAN, ONLOOKER = [484, 784, 1002, 1816], [226, 318, 592, 1112], [6, 286, 141, 778]
SEEN: Dict[str, List[Dict[str, Tuple[int, int]]]] = {
    "cam01": [
        {
            "left_shoulder": (768, 1019),
            "right_shoulder": (932, 1040),
            "left_wrist": (613, 1298),
            "left_hip": (716, 1311),
            "left_ankle": (592, 1677),
            "right_ankle": (705, 1638),
            "left_big_toe": (498, 1645),
            "left_heel": (590, 1730),
        },
        {
            "left_shoulder": (564, 526),
            "right_shoulder": (420, 484),
            "right_wrist": (287, 680),
            "left_wrist": (578, 747),
            "left_knee": (459, 935),
            "right_knee": (370, 908),
            "left_ankle": (418, 1093),
            "right_ankle": (332, 1003),
            "left_big_toe": (438, 1165),
        },
        {
            "left_shoulder": (119, 390),
            "right_shoulder": (37, 381),
            "left_knee": (77, 629),
            "right_knee": (35, 625),
            "left_ankle": (73, 721),
            "right_ankle": (38, 713),
        },
    ],
    "cam04": [
        {
            "nose": (681, 479),
            "left_shoulder": (784, 504),
            "right_shoulder": (669, 544),
            "left_elbow": (836, 586),
            "right_elbow": (683, 630),
            "left_wrist": (861, 659),
            "right_wrist": (704, 705),
            "left_hip": (816, 666),
            "right_hip": (749, 691),
        },
    ],
}
BOXES = {"cam01": [WOMAN, MAN, ONLOOKER], "cam04": [[626, 403, 928, 917]]}
UNTIL = {"cam01": 10, "cam04": 20}


@pytest.fixture(scope="module")
def cascade() -> Iterator[Tuple[Any, Dict[str, Any]]]:
    folder = ensure_model("blazepose", quiet=True)
    recipe = load_recipe(folder)
    shapes = input_shapes(recipe)
    runners = {
        name: open_runner(folder / network.file, shapes[name], RunnerOptions())
        for name, network in recipe.networks.items()
    }
    yield load_model(recipe, runners, ModelOptions(min_score=0.0)), runners
    for runner in runners.values():
        runner.close()


def frames_of(video: Path, first: int, last: int) -> List[np.ndarray]:
    capture = cv2.VideoCapture(str(video))
    images = [capture.read()[1] for _ in range(last + 1)]
    capture.release()
    return images[first:]


def follow(model: Any, camera: str) -> List[Poses]:
    """Five frames from boxes alone; then each frame's candidates are the people of the last."""
    video = ensure_set("multiperson", quiet=True) / f"{camera}.mp4"
    boxes = np.array(BOXES[camera], np.float32)
    scores = np.ones(len(boxes), np.float32)
    people = Poses.of_boxes(Detections(boxes, scores), 133, "wholebody133")
    people = replace(people, ids=np.arange(len(boxes)))
    found = []
    for i, image in enumerate(frames_of(video, UNTIL[camera] - 5, UNTIL[camera])):
        (people,) = model([Frame(image, i, i, camera)], [people])
        found.append(people)
    return found


@pytest.mark.parametrize("camera", sorted(SEEN))
def test_people_wear_their_skeletons(cascade: Tuple[Any, Dict[str, Any]], camera: str) -> None:
    model, runners = cascade
    before = {name: runner.runs for name, runner in runners.items()}
    steps = follow(model, camera)
    assert all(p.ids.tolist() == list(range(len(BOXES[camera]))) for p in steps)
    assert {name: r.runs - before[name] for name, r in runners.items()} == dict.fromkeys(runners, 6)
    for row, places in enumerate(SEEN[camera]):
        for name, place in places.items():
            found = steps[-1].keypoints[row, NAMES.index(name)]
            assert np.hypot(*(found - place)) < 25, f"{row} {name}: {found}"
            assert steps[-1].scores[row, NAMES.index(name)] > 0.5


def test_hands_and_face_are_where_they_belong(cascade: Tuple[Any, Dict[str, Any]]) -> None:
    people = follow(cascade[0], "cam04")[-1]
    points, scores = people.keypoints[0], people.scores[0]
    assert (scores[23:133] > 0.9).all(), "both hands and the face"
    for wrist, hand in ((9, slice(91, 112)), (10, slice(112, 133))):
        assert np.hypot(*(points[hand][0] - points[wrist])) < 12
        reach = np.hypot(*(points[hand] - points[hand][0]).T)
        assert 30 < reach.max() < 70
        assert reach[12] > reach[9] > 0, "the tip is further than the knuckle"
        thumb, little = points[hand][4], points[hand][20]
        hips = points[[11, 12]].mean(0)
        apart = [np.hypot(*(tip - hips)) for tip in (thumb, little)]
        assert apart[0] < apart[1], "hands hang with the thumbs towards the body"
    face = points[23:91]
    contour, brows, nose, eyes, mouth = np.split(face, [17, 27, 36, 48])
    down = contour[8] - face[27]  # from between the eyes to the chin
    heights = [(g - face[27]) @ down / (down @ down) for g in (brows, eyes, nose, mouth)]
    means = [float(h.mean()) for h in heights]
    assert means == sorted(means), "brows, eyes, nose, mouth from above"
    left, right = face[42:48].mean(0), face[36:42].mean(0)
    assert left[0] > right[0], "who faces us has the left eye on the right"
    assert np.hypot(*(left - points[1])) < 12
    assert np.hypot(*(right - points[2])) < 12
    assert np.hypot(*(face[30] - points[0])) < 12


def test_skeletons_are_still(cascade: Tuple[Any, Dict[str, Any]]) -> None:
    """Second differences of what a slow movement leaves, in heights of the person."""
    steps = follow(cascade[0], "cam01")
    track = np.stack([p.keypoints[:, :17] for p in steps[1:]])
    heights = np.ptp(track[-1, :, :, 1], axis=1)
    bend = track[:-2] - 2 * track[1:-1] + track[2:]
    jitter = np.median(np.hypot(bend[..., 0], bend[..., 1]), axis=(0, 2)) / heights
    assert (jitter < 0.02).all(), jitter


def test_an_empty_room_has_nobody_in_it(cascade: Tuple[Any, Dict[str, Any]]) -> None:
    video = ensure_set("multiperson", quiet=True) / "cam02.mp4"
    (image,) = frames_of(video, 0, 0)
    boxes = np.array([[60, 1500, 400, 1900], [600, 1300, 900, 1900], [560, 0, 900, 180]], "f4")
    candidates = Poses.of_boxes(Detections(boxes, np.ones(3, np.float32)), 133, "wholebody133")
    (found,) = cascade[0]([Frame(image, 0, 0, "empty")], [candidates])
    assert len(found) == 0


def test_noise_and_black_frames_do_no_harm(cascade: Tuple[Any, Dict[str, Any]]) -> None:
    noise = np.random.RandomState(0).randint(0, 256, (300, 400, 3)).astype(np.uint8)
    boxes = np.array([[50, 20, 200, 290], [0, 0, 400, 300]], np.float32)
    candidates = Poses.of_boxes(Detections(boxes, np.ones(2, np.float32)), 133, "wholebody133")
    for image in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
        (found,) = cascade[0]([Frame(image, 0, 0, "noise")], [candidates])
        assert np.isfinite(found.keypoints).all()
        assert (found.person_scores < 0.5).all()
