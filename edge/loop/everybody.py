"""Where anybody may be in a picture, for pictures that may leave the box.

The loop publishes people of whom it is sure. A picture must hide the others too: those of a low
score, those not yet seen often enough, and those who came after the detector's last look.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import List, Optional, Tuple

import numpy as np

from edge.errors import TempError
from edge.loop.assemble import Models
from edge.loop.parts import Running
from edge.structures import Frame

# The ways to look at a picture: quarter turns, px from one sample to the next, least score.
# Networks know whole, upright people best. So they see the picture in each orientation, and they
# see it smaller, because a face in front of the camera then looks like one at a distance. Boxes of
# lower scores are noise: they would cover the whole picture.
LOOKS = ((0, 1, 0.05), (1, 1, 0.15), (2, 1, 0.15), (3, 1, 0.15), (0, 2, 0.05), (0, 3, 0.05))
_GREY = 114  # of the bars that detectors are trained with


@dataclass
class _Look:
    """One picture that the loop's thread looks at."""

    image: np.ndarray  # [H,W,3] u8 BGR
    camera: str
    done: threading.Event = field(default_factory=threading.Event)
    boxes: Optional[np.ndarray] = None
    error: Optional[Exception] = None


class EverybodyFinder:
    """Finds everybody in a picture with the networks of a running loop.

    Args:
        running: the loop; its thread runs the networks, between two steps.
    """

    def __init__(self, running: Running) -> None:
        self._running = running

    def tracked(self, camera: str) -> np.ndarray:
        """Boxes [N,4] f32 px of everybody who is followed now, published or not; a copy."""
        stages = self._running.pipeline.stages.get(camera)
        if stages is None:
            return np.zeros((0, 4), np.float32)
        return np.array(stages.tracker.boxes, np.float32).reshape(-1, 4)

    def find(self, image: np.ndarray, camera: str, timeout_s: float) -> np.ndarray:
        """Boxes [N,4] f32 px of everybody in a picture; from any thread but the loop's.

        Args:
            image: [H,W,3] u8 BGR; borrowed.
            camera: whose picture it is.
            timeout_s: how long to wait for the loop.

        Raises:
            TempError: the loop did not look in time. Other errors are those of the networks.
        """
        look = _Look(image, camera)
        self._running.pipeline.between_steps(lambda: self._look(look))
        if not look.done.wait(timeout_s):
            raise TempError(f"the loop did not look for people in {timeout_s:g} s; try again")
        if look.error is not None:
            raise look.error
        assert look.boxes is not None
        return look.boxes

    def _look(self, look: _Look) -> None:
        """Run in the loop's thread, where an error would end the program."""
        try:
            found = networks_boxes(self._running.models, look.image)
            look.boxes = np.concatenate((found, self.tracked(look.camera)))
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            look.error = error
        look.done.set()


def networks_boxes(models: Models, image: np.ndarray) -> np.ndarray:
    """Boxes [N,4] f32 px of whom the detector or a one-stage model gives, in any of LOOKS.

    Args:
        models: the networks; nobody else may use them meanwhile.
        image: [H,W,3] u8 BGR.
    """
    height, width = image.shape[:2]
    found: List[np.ndarray] = [np.zeros((0, 4), np.float32)]
    for quarters, step, floor in LOOKS:
        turned = np.ascontiguousarray(np.rot90(image, quarters))
        shown, corner = _smaller(turned, step)
        for model in (models.detect, models.pose):
            (people,) = model.everybody([Frame(shown, 0, 0, "")], floor)
            boxes = (people.boxes - np.array(corner * 2, np.float32)) * np.float32(step)
            found.append(turned_back(boxes, quarters, width, height))
    return np.concatenate(found)


def _smaller(image: np.ndarray, step: int) -> Tuple[np.ndarray, Tuple[int, int]]:
    """Every step-th pixel in the middle of a grey picture of the same size, and its corner x, y."""
    if step == 1:
        return image, (0, 0)
    part = image[::step, ::step]
    x, y = ((whole - some) // 2 for whole, some in zip(image.shape[1::-1], part.shape[1::-1]))
    canvas = np.full_like(image, _GREY)
    canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas, (x, y)


def turned_back(boxes: np.ndarray, quarters: int, width: int, height: int) -> np.ndarray:
    """Boxes in a picture that `np.rot90` turned, as boxes in the picture before.

    Args:
        boxes: [N,4] px of the turned picture.
        quarters: quarter turns against the clock, 0..3.
        width: of the picture before, px.
        height: of the picture before, px.
    """
    x1, y1, x2, y2 = boxes.T
    corners = (
        (x1, y1, x2, y2),
        (width - y2, x1, width - y1, x2),
        (width - x2, height - y2, width - x1, height - y1),
        (y1, height - x2, y2, height - x1),
    )
    return np.stack(corners[quarters], -1)
