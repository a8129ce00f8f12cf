"""A detector whose input has the cameras' shape finds who the square one finds, for less work."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np
import onnx
import pytest

from edge import geometry
from edge.models import ModelOptions, input_shapes, load_model
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Detections, Frame
from tools.benches.memory import read_video
from tools.fetch.by_name import ensure_model, ensure_set
from tools.macs import macs

EVERY = 40  # frames of a clip that are looked at


def folder_of(name: str) -> Path:
    return ensure_model(name, quiet=True)


def detected(name: str, frames: List[Frame]) -> List[Detections]:
    recipe = load_recipe(folder_of(name))
    path = folder_of(name) / recipe.networks["main"].file
    runner = open_runner(path, input_shapes(recipe)["main"], RunnerOptions())
    detector = load_model(recipe, {"main": runner}, ModelOptions())
    return detector(frames)  # type: ignore[call-arg,return-value]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("yolov4-tiny-tall", "multiperson/cam01.mp4"),
        ("yolov4-tiny-tall", "multiperson/cam02.mp4"),
        ("yolov4-tiny-tall", "singleperson/cam04.mp4"),
        ("yolov4-tiny-wide", "walker/demo.mp4"),
    ],
)
def test_the_same_people_are_found(name: str, clip: str) -> None:
    media, file = clip.split("/")
    pictures = read_video(ensure_set(media, quiet=True) / file, 2 * EVERY + 1)[::EVERY]
    frames = [Frame(np.ascontiguousarray(p), i, i, "cam") for i, p in enumerate(pictures)]
    people = 0
    for square, shaped in zip(detected("yolov4-tiny", frames), detected(name, frames)):
        shared = geometry.iou(square.boxes, shaped.boxes)
        assert shared.shape == (len(square.boxes),) * 2
        assert (shared.max(1) > 0.9).all()
        people += len(square.boxes)
    assert people >= 3


@pytest.mark.parametrize("name", ["yolov4-tiny-tall", "yolov4-tiny-wide"])
def test_it_is_less_work(name: str) -> None:
    square, shaped = (
        macs(onnx.load(str(folder_of(n) / "yolov4-tiny.onnx"))) for n in ("yolov4-tiny", name)
    )
    assert (shaped or 0) / (square or 1) == pytest.approx(256 / 416)
