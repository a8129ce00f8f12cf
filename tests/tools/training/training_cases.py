"""Small labelled recordings and a small network that tests of training use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch
from torch import nn

from edge import skeletons
from edge.capture._synthetic.draw import Canvas
from edge.capture._synthetic.scene import Scene, Setup
from tools.evaluation import point_sets
from tools.training.data import crops, samples
from tools.training.data.samples import Sample
from tools.training.data.sources import open_all
from tools.training.fit import batches, loop
from tools.training.fit.augment import Augmentation
from tools.training.fit.recipe import TrainRecipe, named
from tools.training.networks.trainee import Region, Trainee, mean_over

COCO17 = skeletons.get("coco17").names
# A person who stands and faces the camera, in shares of the box.
STANDING = np.array(
    [[0.5, 0.08], [0.54, 0.06], [0.46, 0.06], [0.6, 0.08], [0.4, 0.08], [0.7, 0.22], [0.3, 0.22]]
    + [[0.8, 0.38], [0.2, 0.38], [0.85, 0.52], [0.15, 0.52], [0.62, 0.52], [0.38, 0.52]]
    + [[0.64, 0.75], [0.36, 0.75], [0.66, 0.96], [0.34, 0.96]]
)


def standing(at: Sequence[float], size: Sequence[float] = (80, 200), seed: int = 0) -> np.ndarray:
    """[17,3] labelled points of a person whose box begins at a place."""
    noise = np.random.default_rng(seed).normal(0, 0.01, STANDING.shape)
    points = (STANDING + noise) * size + at
    return np.column_stack((points, np.full(17, 2.0)))


def picture(people: Sequence[np.ndarray], size: Tuple[int, int] = (320, 240), seed: int = 0) -> Any:
    """A picture [H,W,3] with coloured dots at the points, on noise."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 140, (size[1], size[0], 3), np.uint8)
    for points in people:
        for place, (x, y, _) in enumerate(points):
            colour = tuple(int(v) for v in np.random.default_rng(place).integers(0, 256, 3))
            cv2.circle(image, (round(x), round(y)), 5, colour, -1)
    return image


def labels(
    folder: Path,
    recordings: Sequence[str] = ("monday", "tuesday"),
    frames: int = 4,
    change: Any = lambda points, number: points,
    names: Sequence[str] = COCO17,
    **more: Any,
) -> Path:
    """A COCO file with a folder of pictures for each recording; one person a picture."""
    images: List[Dict[str, Any]] = []
    rows: List[Dict[str, Any]] = []
    for recording in recordings:
        (folder / recording).mkdir(parents=True, exist_ok=True)
        for frame in range(frames):
            number = len(images) + 1
            points = standing((60 + 8 * frame, 20), seed=number)
            name = f"{recording}/{frame:03d}.jpg"
            cv2.imwrite(str(folder / name), picture([points], seed=number))
            marks = np.asarray(change(points.copy(), number))
            images.append({"id": number, "file_name": name, "width": 320, "height": 240})
            box = [*(points[:, :2].min(0) - 8).tolist(), 76.0, 200.0]
            rows.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": box,
                    "area": 8000.0,
                    "keypoints": marks.ravel().tolist(),
                    **more,
                }
            )
    category = {"id": 1, "name": "person", "keypoints": list(names)}
    content = {"images": images, "annotations": rows, "categories": [category]}
    path = folder / "labels.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def drawn(folder: Path, recordings: Sequence[str] = ("a", "b"), frames: int = 3) -> Path:
    """As `labels`, of people that BlazePose finds: those of synthetic://walk; a COCO file."""
    images: List[Dict[str, Any]] = []
    rows: List[Dict[str, Any]] = []
    for seed, recording in enumerate(recordings, 1):
        scene = Scene(Setup(people=1, motion="walk", seed=seed, distance_m=3.0), 320, 240)
        canvas = Canvas(scene)
        (folder / recording).mkdir(parents=True, exist_ok=True)
        for frame in range(frames):
            number, name = len(images) + 1, f"{recording}/{frame:03d}.jpg"
            image = np.zeros((240, 320, 3), np.uint8)
            canvas.draw(10 * frame, image)
            cv2.imwrite(str(folder / name), image)
            truth = scene.poses(10 * frame, "coco17")
            images.append({"id": number, "file_name": name, "width": 320, "height": 240})
            x1, y1, x2, y2 = truth.boxes[0].tolist()
            seen = np.ceil(2 * truth.scores[0])
            rows.append(
                {
                    "id": number,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "keypoints": np.column_stack((truth.keypoints[0], seen)).ravel().tolist(),
                }
            )
    category = {"id": 1, "name": "person", "keypoints": list(COCO17)}
    path = folder / "labels.json"
    content = {"images": images, "annotations": rows, "categories": [category]}
    path.write_text(json.dumps(content), "utf-8")
    return path


class Tiny(Trainee):
    """A network of two layers that learns COCO's points in crops of 32 px."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.module = nn.Sequential(
            nn.Conv2d(3, 8, 5, 4, 2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * 64, 34),
        )
        self.points = point_sets.named("coco17")
        self.flip = skeletons.get("coco17").flip
        self.size = (32, 32)
        self.channels, self.mean, self.std = "rgb", (128.0,) * 3, (64.0,) * 3

    def region(self, points: np.ndarray, box: np.ndarray, frame: np.ndarray, lot: float) -> Region:
        return Region((box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max()) * 1.25, 0.0)

    def forward(self, images: torch.Tensor) -> Dict[str, torch.Tensor]:
        return {"places": self.module(images).reshape(-1, 17, 2) * 4 + 16}

    def places(self, outputs: Dict[str, torch.Tensor]) -> torch.Tensor:
        return outputs["places"]

    def losses(self, outputs: Any, old: Any, goal: Any) -> Dict[str, torch.Tensor]:
        gap = (outputs["places"] - goal.points).abs().sum(-1)
        return {"places": mean_over(gap, goal.weights)}


def people(path: Path, trainee: Trainee) -> List[Sample]:
    return samples.gather(open_all([path]), trainee.points)


def tiny_run(
    folder: Path, path: Path, steps: int = 30, recipe: Optional[TrainRecipe] = None, **more: Any
) -> loop.Run:
    """A run of the tiny network over a label file."""
    trainee = Tiny()
    parts = samples.split(people(path, trainee), [])
    there = crops.ensure(folder, "train", parts.train, 32, quiet=True)
    test = crops.ensure(folder, "test", parts.test, 32, quiet=True)
    chosen = recipe or named("tune")
    feed = batches.Batches(trainee, there, None, 0.0, 4, Augmentation(), seed=3)
    given = {
        "judged": batches.plain(trainee, test, 4),
        "plan": {"seed": 3},
        "quiet": True,
        "save_every_s": 0.0,
        **more,
    }
    return loop.Run(
        trainee=trainee,
        old=None,
        batches=feed,
        recipe=chosen,
        steps=steps,
        folder=folder,
        **given,
    )
