"""Run the held-out frames through a model with the code of the daemon."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional

import numpy as np

from edge import skeletons
from edge.errors import DataError
from edge.models import Gives, Model, ModelOptions, input_shapes, load_model
from edge.recipe import Recipe, load_recipe
from edge.runtime import Runner, RunnerOptions, open_runner
from edge.settings import config
from edge.structures import Detections, Frame, Poses
from tools.calib import selection
from tools.calib.record import pose_twice
from tools.calib.report import read_picture
from tools.progress import track
from tools.proof import compare
from tools.proof.compare import Comparison

Files = Dict[str, Path]  # network -> its file
How = Mapping[str, RunnerOptions]  # network -> its runtime; others run in ONNX Runtime


@dataclass
class Predictions:
    """What a model found in each frame; the arrays are copies.

    Attributes:
        skeleton: of the poses; None for a detector.
        people: of a detector, else empty.
        poses: of a pose model, else empty.
    """

    skeleton: Optional[str]
    people: List[Detections]
    poses: List[Poses]


@dataclass
class HeldOutFrames:
    """Frames to verify with.

    Attributes:
        folder: of the calibration set.
        pictures: the held-out frames.
        people: boxes of the FP32 detector in each frame; empty for one-stage models.
    """

    folder: Path
    pictures: List[selection.Picture]
    people: List[Detections]

    def image(self, index: int) -> np.ndarray:
        """One picture, [H,W,3] u8 BGR."""
        return read_picture(self.folder / self.pictures[index].file)


def load_frames(folder: Path) -> HeldOutFrames:
    """The held-out frames of a set.

    Raises:
        NoInputError: no such set. ConfigError: set.toml is wrong.
        DataError: the set holds out no frames, or a picture is missing or was changed.
    """
    pictures = selection.load(folder).of(selection.HELD_OUT)
    if not pictures:
        raise DataError(f"{folder}: holds out no frames; run `edge-tools calibrate` with --heldout")
    selection.require_pictures(folder, pictures)
    return HeldOutFrames(folder, pictures, [Detections.empty() for _ in pictures])


def float_files(folder: Path, recipe: Recipe) -> Files:
    """Network -> its FP32 file."""
    return {name: folder / network.file for name, network in recipe.networks.items()}


class OpenedModel:
    """A model whose networks are loaded from given files."""

    def __init__(self, recipe: Recipe, files: Files, how: Optional[How] = None) -> None:
        runtime = config.Runtime()
        shapes = input_shapes(recipe)
        plain = RunnerOptions(runtime.threads, runtime.max_batch)
        self._runners: Dict[str, Runner] = {}
        try:
            for name, path in files.items():
                options = (how or {}).get(name, plain)
                self._runners[name] = open_runner(path, shapes[name], options)
            self.model = self._load(recipe)
        except BaseException:
            self.close()
            raise
        self.skeleton = None if self.model.gives is Gives.BOXES else self.model.skeleton

    def _load(self, recipe: Recipe) -> Model:
        """Load the model with the daemon's options for its kind."""
        detect = config.Detect()
        options = ModelOptions(0.0, detect.nms_iou, detect.max_people)
        model = load_model(recipe, self._runners, options)
        if model.gives is not Gives.BOXES:
            return model
        options = dataclasses.replace(options, min_score=detect.min_score)
        return load_model(recipe, self._runners, options)

    def close(self) -> None:
        """Close the networks."""
        for runner in self._runners.values():
            runner.close()


def detect_people(held: HeldOutFrames, models: Path, detector: str, quiet: bool) -> None:
    """Set `held.people` to what the FP32 detector finds."""
    recipe = load_recipe(models / detector)
    opened = OpenedModel(recipe, float_files(models / detector, recipe))
    try:
        held.people = _predictions(held, opened, f"{detector} fp32", quiet).people
    finally:
        opened.close()


def run(
    held: HeldOutFrames,
    recipe: Recipe,
    files: Files,
    label: str,
    quiet: bool,
    how: Optional[How] = None,
) -> Predictions:
    """Run a model on all held-out frames."""
    opened = OpenedModel(recipe, files, how)
    try:
        return _predictions(held, opened, label, quiet)
    finally:
        opened.close()


def _predictions(held: HeldOutFrames, opened: OpenedModel, label: str, quiet: bool) -> Predictions:
    people: List[Detections] = []
    poses: List[Poses] = []
    for index in track(range(len(held.pictures)), label, unit="frames", quiet=quiet):
        image = held.image(index)
        model = opened.model
        if model.gives is Gives.BOXES:
            seen = model([Frame(image, 0, 0, f"picture{index}")])[0]
            people.append(seen.take(np.arange(len(seen))))
        else:
            found = pose_twice(model, config.Config(), image, index, held.people[index])
            published = found.person_scores >= config.Pose().min_score
            poses.append(found.take(np.flatnonzero(published)))
    return Predictions(opened.skeleton, people, poses)


def compared(
    fp32: Predictions, candidate: Predictions, stable: Optional[List[np.ndarray]] = None
) -> Comparison:
    """Compare a candidate with FP32; `stable` as in `compare.compare_poses`."""
    if fp32.skeleton is None:
        return compare.compare_detections(fp32.people, candidate.people)
    skeleton = skeletons.get(fp32.skeleton)
    return compare.compare_poses(fp32.poses, candidate.poses, skeleton, stable)
