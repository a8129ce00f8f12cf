"""Everybody in a picture is found by the loop's networks, in its own thread, in any orientation."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any, Iterator, List, Sequence

import numpy as np
import pytest

from edge.errors import DataError, TempError
from edge.loop.build import Installed, build
from edge.loop.everybody import EverybodyFinder, networks_boxes, turned_back
from edge.loop.parts import Running
from edge.models.none import Nobody
from edge.settings import config
from edge.structures import Detections, Frame
from tests.waiting import GIVE_UP_S, until

MODELS = Path(__file__).parents[1] / "golden" / "models"


class Upright(Nobody):
    """Finds the bright place of a picture with a score of 0.2, if it is higher than wide."""

    def __init__(self) -> None:
        self.threads: List[str] = []

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        self.threads.append(threading.current_thread().name)
        return [self._one(f.image, floor) for f in frames]

    def _one(self, image: np.ndarray, floor: float) -> Detections:
        y, x = np.nonzero(image[..., 0] > 200)
        if not len(y) or np.ptp(x) > np.ptp(y) or floor > 0.2:
            return Detections.empty()
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        return Detections(np.array([box], np.float32), np.array([0.2], np.float32))


class Pair:
    """The networks of a run."""

    def __init__(self) -> None:
        self.detect, self.pose = Upright(), Nobody()


def bright(box: List[int]) -> np.ndarray:
    image = np.zeros((120, 200, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return image


@pytest.mark.parametrize("box", [[20, 10, 50, 100], [20, 30, 180, 60]])
def test_standing_and_lying_people_are_found_where_they_are(box: List[int]) -> None:
    models: Any = Pair()
    found = networks_boxes(models, bright(box))
    upright = box[3] - box[1] > box[2] - box[0]
    assert len(found) == 2 + 2 * upright, "in two of four orientations, and in smaller pictures"
    np.testing.assert_allclose(found[:2], [box] * 2)
    for smaller in found[2:]:
        np.testing.assert_allclose(smaller, box, atol=3)


class Far(Upright):
    """Finds only what is less than half as high as the picture."""

    def _one(self, image: np.ndarray, floor: float) -> Detections:
        found = super()._one(image, floor)
        return found.take(np.diff(found.boxes[:, 1::2])[:, 0] < image.shape[0] / 2)


def test_a_person_who_fills_the_picture_is_found_in_a_smaller_one() -> None:
    models: Any = Pair()
    models.detect = Far()
    box = [60, 6, 126, 96]
    found = networks_boxes(models, bright(box))
    assert len(found) == 2
    np.testing.assert_allclose(found, [box] * 2, atol=3)


@pytest.mark.parametrize("quarters", range(4))
def test_boxes_of_a_turned_picture_come_back(quarters: int) -> None:
    box = [20, 10, 50, 100]
    turned = np.rot90(bright(box), quarters)
    y, x = np.nonzero(turned[..., 0])
    there = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], np.float32)
    assert turned_back(there, quarters, 200, 120).tolist() == [box]
    assert turned_back(np.zeros((0, 4), np.float32), quarters, 200, 120).shape == (0, 4)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A loop whose people are all too weak to be published."""
    tables = {
        "cameras": [{"source": "synthetic://walk?width=64&height=48", "name": "door"}],
        "models": {"dir": str(MODELS)},
        "detect": {"model": "twobox"},
        "pose": {"model": "standing", "min_score": 1.0},
        "publish": {"sinks": [f"jsonl:{tmp_path}/out"]},
    }
    settings = config.complete(config.build(config.Config, tables))
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        running = build(settings, stack, Installed())
        running.start()
        thread = threading.Thread(target=running.pipeline.run, args=(stop.is_set,), name="loop")
        thread.start()
        yield running
        stop.set()
        thread.join()


def test_who_is_followed_but_not_published_is_known(running: Running) -> None:
    finder = EverybodyFinder(running)
    until(lambda: len(finder.tracked("door")) == 2)
    assert running.health.people.get("door", 0) == 0
    assert finder.tracked("roof").shape == (0, 4)
    image = np.zeros((48, 64, 3), np.uint8)
    found = finder.find(image, "door", GIVE_UP_S)
    assert len(found) >= 2 + 6 * 2, "those followed, and two of each look"


def test_networks_are_executed_in_the_thread_of_the_loop(running: Running) -> None:
    running.models.detect = detect = Upright()  # type: ignore[assignment]
    EverybodyFinder(running).find(np.zeros((48, 64, 3), np.uint8), "door", GIVE_UP_S)
    assert detect.threads == ["loop"] * 6


def test_an_error_of_a_network_ends_the_look_and_not_the_loop(running: Running) -> None:
    class Broken(Nobody):
        def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
            raise DataError("the network is broken")

    running.models.detect = Broken()
    steps = running.health.steps
    with pytest.raises(DataError, match="is broken"):
        EverybodyFinder(running).find(np.zeros((48, 64, 3), np.uint8), "door", GIVE_UP_S)
    until(lambda: running.health.steps > steps)


def test_a_loop_that_does_not_run_is_not_waited_for(tmp_path: Path) -> None:
    tables = {
        "cameras": [{"source": "synthetic://walk?width=64&height=48"}],
        "models": {"dir": str(MODELS)},
        "detect": {"model": "twobox"},
        "pose": {"model": "standing"},
        "publish": {"sinks": [f"jsonl:{tmp_path}/out"]},
    }
    with contextlib.ExitStack() as stack:
        idle = build(config.complete(config.build(config.Config, tables)), stack, Installed())
        with pytest.raises(TempError, match=r"in 0\.01 s"):
            EverybodyFinder(idle).find(np.zeros((48, 64, 3), np.uint8), "", 0.01)
