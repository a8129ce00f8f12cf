"""Fake networks that know their crops: each pixel of a frame holds its own position.

Blue is x, green is y of the frame in quarters of px; each fake network works out from its crop
which square of the frame it is shown, picks the person whose body, hand or face is nearest to the
middle, and answers with that person's true points in px of the crop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from edge.models import ModelOptions, load_model
from edge.models._blazepose import points
from edge.recipe import Network, Recipe
from edge.runtime import Runner, TensorSpec
from edge.structures import Frame, Poses

SIZES = {"body": 256, "hand": 224, "face": 192}
SHAPES = {
    "body": {"landmarks": (195,), "score": (1,)},
    "hand": {"landmarks": (63,), "presence": (1,), "handedness": (1,)},
    "face": {"landmarks": (1404,), "score": (1,)},
}
SIDE = 1000  # px of a frame
_STEP = 4  # px for each grey value


@dataclass
class Person:
    """Truth, in px of the frame."""

    body: np.ndarray  # [33,2]
    hands: np.ndarray  # [2,21,2] left, right
    mesh: np.ndarray  # [468,2]

    def moved(self, x: float, y: float, turn: float = 0.0) -> Person:
        """Turned clockwise about the hips, then shifted."""
        middle = self.body[[23, 24]].mean(0)
        cos, sin = np.cos(turn), np.sin(turn)
        turned = np.array([[cos, sin], [-sin, cos]])
        parts = (self.body, self.hands, self.mesh)
        return Person(*[(p - middle) @ turned + middle + (x, y) for p in parts])

    @property
    def keypoints(self) -> np.ndarray:
        """[133,2]"""
        return np.concatenate(
            (
                self.body[points.BODY_FEET_SOURCE],
                self.mesh[points.MESH_68],
                *self.hands,
            )
        ).astype(np.float32)

    @property
    def box(self) -> np.ndarray:
        """[4], a little larger than the body."""
        low, high = self.body.min(0) - 15, self.body.max(0) + 15
        return np.concatenate((low, high)).astype(np.float32)


def standing(x: float = 500.0, y: float = 500.0) -> Person:
    """A person of 400 px who faces the camera, hips at (x, y): their left is on the right."""
    half: List[Tuple[float, float]] = [(0, -180)]
    body = np.zeros((33, 2))
    body[0] = half[0]
    for right, place in {
        4: (6, -190),
        5: (12, -190),
        6: (18, -190),
        8: (24, -185),
        10: (8, -165),
        12: (45, -130),
        14: (65, -70),
        16: (70, -10),
        18: (80, 15),
        20: (70, 20),
        22: (62, 10),
        24: (25, 0),
        26: (28, 90),
        28: (30, 180),
        30: (28, 195),
        32: (38, 205),
    }.items():
        body[right] = (-place[0], place[1])
        body[{4: 1, 5: 2, 6: 3}.get(right, right - 1)] = place
    hands = np.stack([_hand(body[15], body[19], body[17]), _hand(body[16], body[20], body[18])])
    ring = np.linspace(0, 2 * np.pi, 468, endpoint=False)
    mesh = body[0] + np.stack((26 * np.cos(ring), 30 * np.sin(ring)), -1)
    mesh[4] = body[0]  # the tip of the nose
    mesh[33], mesh[263] = body[0] + (-12, -10), body[0] + (12, -10)
    at = np.array([x, y])
    return Person(body + at, hands + at, mesh + at)


def _hand(wrist: np.ndarray, fore: np.ndarray, little: np.ndarray) -> np.ndarray:
    knuckle = (2 * fore + little) / 3
    ahead = knuckle - wrist
    across = np.array([-ahead[1], ahead[0]])
    hand = [wrist]
    for finger in range(5):
        spread = (finger - 2) * 0.2
        hand += [wrist + (0.5 + 0.35 * joint) * ahead + spread * across for joint in range(1, 5)]
    return np.array(hand)


def frame(camera: str = "a", index: int = 0, side: int = SIDE) -> Frame:
    y, x = np.mgrid[0:side, 0:side] / _STEP
    return Frame(np.stack((x, y, np.full_like(x, 255)), -1).astype(np.uint8), index, 0, camera)


def shown_square(crop: np.ndarray) -> np.ndarray:
    """[2,3] input px -> frame px, from a crop [3,h,w] of floats 0..1 (red, green, blue)."""
    crop = crop[:, ::5, ::5]
    inside = crop[0] > 0.999
    y, x = np.nonzero(inside)
    truth = np.stack((crop[2][inside], crop[1][inside]), -1) * 255 * _STEP + (_STEP - 1) / 2
    x, y = 5 * x, 5 * y
    known = np.stack((x, y, np.ones_like(x)), -1).astype(np.float64)
    return np.linalg.lstsq(known, truth, rcond=None)[0].T


@dataclass
class SeeingRunner(Runner):
    """A network of the cascade; `people` are in the one frame it is shown, or in all of them."""

    part: str
    people: List[Person]
    runs: int = 0
    sha256: str = ""
    batches: List[int] = field(default_factory=list)
    squares: List[np.ndarray] = field(default_factory=list)  # of the last run
    spoil: Callable[[Dict[str, np.ndarray]], None] = lambda outputs: None
    choose: Callable[[np.ndarray], int] = lambda distances: int(distances.argmin())

    def __post_init__(self) -> None:
        side = SIZES[self.part]
        self.inputs = {"input": TensorSpec((-1, 3, side, side), np.dtype(np.float32))}
        self.outputs = {
            n: TensorSpec((-1, *s), np.dtype(np.float32)) for n, s in SHAPES[self.part].items()
        }

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        side = SIZES[self.part]
        self.fed = np.full((batch, 3, side, side), np.nan, np.float32)
        return {"input": self.fed}

    def run(self) -> Dict[str, np.ndarray]:
        assert np.isfinite(self.fed).all(), "the whole input must be filled"
        self.runs += 1
        self.batches.append(len(self.fed))
        self.squares = [shown_square(crop) for crop in self.fed]
        outputs = {
            name: np.ones((len(self.fed), *spec.shape[1:]), np.float32)
            for name, spec in self.outputs.items()
        }
        for i, square in enumerate(self.squares):
            self._answer(square, {n: a[i] for n, a in outputs.items()})
        self.spoil(outputs)
        return outputs

    def close(self) -> None:
        pass

    def _answer(self, square: np.ndarray, outputs: Dict[str, np.ndarray]) -> None:
        middle = square @ (SIZES[self.part] / 2, SIZES[self.part] / 2, 1)
        groups = self._groups()
        apart = np.array([np.linalg.norm(g.mean(0) - middle) for g in groups])
        found = groups[self.choose(apart)]
        crop = np.linalg.solve(square[:, :2], (found - square[:, 2]).T).T
        outputs["landmarks"][:] = 0
        width = 5 if self.part == "body" else 3
        table = outputs["landmarks"].reshape(-1, width)
        table[: len(crop), :2] = crop
        if self.part == "body":
            table[:, 3:] = 4  # logits
        if self.part == "hand":
            outputs["handedness"][:] = 0.5
        if self.part == "face":
            outputs["score"][:] = 8

    def _groups(self) -> List[np.ndarray]:
        if self.part == "body":
            return [p.body for p in self.people]
        if self.part == "hand":
            return [hand for p in self.people for hand in p.hands]
        return [p.mesh for p in self.people]


def recipe(**changes: Any) -> Recipe:
    networks = {
        part: Network(file=f"{part}.onnx", width=side, height=side, std=[255.0] * 3)
        for part, side in SIZES.items()
    }
    plain = {"family": "blazepose", "networks": networks, "skeleton": "wholebody133"}
    return Recipe(**{**plain, **changes})


def cascade(*people: Person) -> Tuple[Any, Dict[str, SeeingRunner]]:
    runners = {part: SeeingRunner(part, list(people)) for part in SIZES}
    return load_model(recipe(), runners, ModelOptions(min_score=0.0)), runners


def known(*people: Person, first_id: int = 1) -> Poses:
    """Candidates with keypoints from earlier frames."""
    n = len(people)
    scores = np.full((n, 133), 0.9, np.float32)
    scores[:, points.SMALL_TOES] = 0
    return Poses(
        np.stack([p.keypoints for p in people]),
        scores,
        np.stack([p.box for p in people]),
        np.arange(first_id, first_id + n),
        np.ones(n, np.float32),
        "wholebody133",
    )


def new(*people: Person) -> Poses:
    """Candidates that have a box only."""
    poses = known(*people)
    return Poses(
        np.zeros_like(poses.keypoints),
        np.zeros_like(poses.scores),
        poses.boxes,
        np.full(len(people), -1, np.int64),
        poses.person_scores,
        poses.skeleton,
    )
