"""Runs a model folder on people whose boxes are known, through the daemon's own code.

The first look of a pose model begins with the box, each further one with the pose before: as the
daemon does with a person who stays. Only the network of the body is compared, so hands and faces
are not looked for.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import numpy as np

from edge import skeletons
from edge.errors import ConfigError
from edge.models import (
    Detector,
    Gives,
    Model,
    ModelOptions,
    PoseModel,
    halves,
    input_shapes,
    load_model,
)
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Detections, Frame, Poses
from tools.evaluation.found.record import Found, Seen, Translation, nobody
from tools.evaluation.truth import Picture, Truth
from tools.progress import Progress
from tools.training.data import frames

LOOKS = 3
_BATCH = 64


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Model]:
    """The model of a folder, executed by ONNX Runtime.

    Raises:
        EdgeError: there is none, or it cannot be used.
    """
    recipe = load_recipe(folder)
    shapes = input_shapes(recipe)
    with contextlib.ExitStack() as stack:
        runners: Dict[str, Any] = {}
        for name, network in recipe.networks.items():
            options = RunnerOptions(max_batch=_BATCH)
            runners[name] = open_runner(folder / network.file, shapes[name], options)
            stack.callback(runners[name].close)
        yield load_model(recipe, runners, ModelOptions(min_score=0.0))


@contextlib.contextmanager
def opened_pose(folder: Path) -> Iterator[PoseModel]:
    """A pose model that takes boxes. Raises ConfigError: it is another kind."""
    with opened(folder) as model:
        if model.gives is not Gives.POSES:
            raise ConfigError(f"{folder}: is no pose model that takes boxes")
        yield model


@contextlib.contextmanager
def opened_detector(folder: Path) -> Iterator[Detector]:
    """A detector. Raises ConfigError: it is another kind."""
    with opened(folder) as model:
        if model.gives is not Gives.BOXES:
            raise ConfigError(f"{folder}: is no detector")
        yield model


def run(
    folder: Path,
    truth: Truth,
    pictures: Sequence[Picture],
    label: str,
    looks: int = LOOKS,
    quiet: bool = False,
    mirrored: bool = False,
) -> Found:
    """Poses of labelled people, given their boxes.

    Args:
        folder: of a pose model that takes boxes.
        truth: the data set.
        pictures: those to look at.
        label: of the progress.
        looks: at each picture.
        quiet: show no progress.
        mirrored: look at the mirror images; the labels are of these already.
    """
    with opened_pose(folder) as model:
        look = halves(model)[0]
        names = skeletons.get(model.skeleton).names
        translate = Translation(truth.points, names)
        given = np.asarray(translate.given) & _of_body(truth)
        found: Dict[str, Seen] = {}
        with Progress(label, len(pictures), "pictures", quiet) as bar:
            for number, (picture, image) in enumerate(frames.each(truth, pictures)):
                image = image[:, ::-1] if mirrored else image
                boxes = picture.people.boxes[~picture.people.crowd].astype(np.float32)
                poses = looked(look, image, boxes, len(names), model.skeleton, number, looks)
                found[picture.key] = translate(poses)
                bar.update()
    for picture in pictures:
        found.setdefault(picture.key, nobody(len(truth.points)))
    # The small toes have a name in the model's skeleton, and never a place.
    some = [seen.scores.max(0) > 0 for seen in found.values() if len(seen)]
    if some:
        given = given & np.any(some, 0)
    return Found(folder.name, given, found)


def _of_body(truth: Truth) -> np.ndarray:
    """[K] bool: body and feet, or everything of a set that has neither."""
    which = np.concatenate((truth.points.parts["body"], truth.points.parts["feet"]))
    chosen = np.zeros(len(truth.points), bool)
    chosen[which.astype(np.int64)] = True
    return chosen if len(which) else ~chosen


def looked(
    look: Any,
    image: np.ndarray,
    boxes: np.ndarray,
    count: int,
    skeleton: str,
    number: int,
    looks: int = LOOKS,
) -> Poses:
    """The poses of boxes [N,4] in a picture after some looks.

    Args:
        look: of a pose model, or of its first half.
        image: [H,W,3] u8 BGR.
        boxes: px.
        count: of the model's keypoints.
        skeleton: of the model.
        number: of the picture; each is a camera of its own, so nothing is remembered.
        looks: at least 1.
    """
    scores = np.ones(len(boxes), np.float32)
    people = Poses.of_boxes(Detections(boxes, scores), count, skeleton)
    frame = Frame(np.ascontiguousarray(image), 0, 0, f"picture-{number}", still=True)
    for _ in range(looks):
        if not len(people):
            break
        people = _kept(look([frame], [people])[0], people)
    return people


def _kept(found: Poses, before: Poses) -> Poses:
    """The new poses; a pose that is refused in a further look stays as it was seen before."""
    rows: List[int] = []
    for row, box in enumerate(before.boxes):
        same = (found.boxes == box).all(1).any()
        if not same and bool((before.scores[row] > 0).any()):
            rows.append(row)
    plain = Poses(
        found.keypoints.copy(),
        found.scores.copy(),
        found.boxes.copy(),
        np.full(len(found), -1, np.int64),
        found.person_scores.copy(),
        found.skeleton,
    )
    return Poses.join((plain, before.take(np.array(rows, np.int64)))) if rows else plain
