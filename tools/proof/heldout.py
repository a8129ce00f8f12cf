"""Held-out frames through a model, with the daemon's own code."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

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
from tools.proof.compare import Figures

Files = Dict[str, Path]  # network -> its file


@dataclass
class Results:
    """What a model gave for each frame, in arrays of their own."""

    skeleton: Optional[str]  # None: of a detector
    people: List[Detections]
    poses: List[Poses]


@dataclass
class Held:
    """Frames to verify with, and who is in them as FP32 sees it."""

    folder: Path
    pictures: List[selection.Picture]
    people: List[Detections]  # of the FP32 detector; empty records for one-stage models

    def image(self, index: int) -> np.ndarray:
        """[H,W,3] u8 BGR."""
        return read_picture(self.folder / self.pictures[index].file)


def load_held(folder: Path) -> Held:
    """The held-out frames of a set, checked.

    Raises:
        NoInputError, DataError, ConfigError: no set, changed pictures, none held out.
    """
    pictures = selection.load(folder).of(selection.HELD_OUT)
    if not pictures:
        raise DataError(f"{folder}: holds no frames out; `edge-tools calibrate` with --heldout")
    selection.require_pictures(folder, pictures)
    return Held(folder, pictures, [Detections.empty() for _ in pictures])


def float_files(folder: Path, recipe: Recipe) -> Files:
    """The FP32 file of each network."""
    return {name: folder / network.file for name, network in recipe.networks.items()}


class Opened:
    """A model with chosen files in place of its networks."""

    def __init__(self, recipe: Recipe, files: Files) -> None:
        runtime = config.Runtime()
        shapes = input_shapes(recipe)
        limits = RunnerOptions(runtime.threads, runtime.max_batch)
        self._runners: Dict[str, Runner] = {}
        try:
            for name, path in files.items():
                self._runners[name] = open_runner(path, shapes[name], limits)
            self.model = self._load(recipe)
        except BaseException:
            self.close()
            raise
        self.skeleton = None if self.model.gives is Gives.BOXES else self.model.skeleton

    def _load(self, recipe: Recipe) -> Model:
        """With the options that the daemon gives to models of its kind."""
        detect = config.Detect()
        options = ModelOptions(0.0, detect.nms_iou, detect.max_people)
        model = load_model(recipe, self._runners, options)
        if model.gives is not Gives.BOXES:
            return model
        options = dataclasses.replace(options, min_score=detect.min_score)
        return load_model(recipe, self._runners, options)

    def close(self) -> None:
        """Close its networks."""
        for runner in self._runners.values():
            runner.close()


def look_for_people(held: Held, models: Path, detector: str, quiet: bool) -> None:
    """Fill in who is there, by the FP32 detector."""
    recipe = load_recipe(models / detector)
    opened = Opened(recipe, float_files(models / detector, recipe))
    try:
        held.people = _results(held, opened, f"{detector} fp32", quiet).people
    finally:
        opened.close()


def run(held: Held, recipe: Recipe, files: Files, label: str, quiet: bool) -> Results:
    """All held-out frames through a model; arrays of their own."""
    opened = Opened(recipe, files)
    try:
        return _results(held, opened, label, quiet)
    finally:
        opened.close()


def _results(held: Held, opened: Opened, label: str, quiet: bool) -> Results:
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
            sure = found.person_scores >= config.Pose().min_score  # the rest is not published
            poses.append(found.take(np.flatnonzero(sure)))
    return Results(opened.skeleton, people, poses)


def compared(truth: Results, found: Results, sure: Optional[List[np.ndarray]] = None) -> Figures:
    """FP32 against a candidate, whatever the model gives; `sure` as in `compare.poses`."""
    if truth.skeleton is None:
        return compare.detections(truth.people, found.people)
    return compare.poses(truth.poses, found.poses, skeletons.get(truth.skeleton), sure)
