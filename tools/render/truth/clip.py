"""Clips: a video and the truth of each of its frames.

`NAME.mp4` plays like any recording. `NAME.truth.jsonl` has a first line about the clip (schema,
frame rate, camera, people, what happens when) and then one line for each frame: `t_ns` and for each
person who is seen the id, the box x1 y1 x2 y2 in px, 133 keypoints [x, y, v] in px and in metres.
v: 2 seen, 1 hidden, 0 outside the picture.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import cv2
import numpy as np

from edge.durable import READABLE, write_whole
from edge.errors import TempError
from tools.render.body.files import LICENCE
from tools.render.scene.stage import Stage
from tools.render.truth import depth
from tools.render.truth.coco import camera_record, person_record
from tools.render.truth.labels import Label, labels_of

SCHEMA = "edge-truth/1"
SUFFIX = ".truth.jsonl"


def write_clip(
    folder: Path,
    name: str,
    stage: Stage,
    split: str,
    step: Callable[[], None],
    with_depth: bool = False,
) -> Dict[str, Any]:
    """Draw a clip and write its two files.

    Args:
        folder: of the set.
        name: of the files, without a suffix.
        stage: the scene.
        split: tune | report.
        step: called after each frame.
        with_depth: write the folder NAME.depth as well (tools.render.truth.depth).

    Returns:
        The first line of the truth.

    Raises:
        TempError: the video cannot be written.
    """
    recipe = stage.recipe
    head = clip_record(name, stage, split)
    lines = [json.dumps(head)]
    count = max(1, round(recipe.seconds * recipe.fps))
    size = (stage.camera.width, stage.camera.height)
    images = folder / f"{name}.depth"
    if with_depth:
        depth.start(images, stage.camera, recipe.fps)
    with _video(folder / f"{name}.mp4", recipe.fps, size) as write:
        for frame in range(count):
            t_s = frame / recipe.fps
            shot = stage.shoot(t_s, frame)
            write(shot.image)
            if with_depth:
                depth.write(images, frame, shot)
            lines.append(json.dumps(frame_record(frame, t_s, labels_of(shot))))
            step()
    write_whole(folder / f"{name}{SUFFIX}", ("\n".join(lines) + "\n").encode(), READABLE)
    return head


def clip_record(name: str, stage: Stage, split: str) -> Dict[str, Any]:
    """The first line of a truth."""
    recipe = stage.recipe
    people = []
    for index, actor in enumerate(stage.actors):
        events = [
            {"kind": e.kind, "start_s": round(e.start_s, 3), "end_s": round(e.end_s, 3)}
            for e in actor.act.events(recipe.seconds)
        ]
        people.append({**person_record(stage, index), "id": index, "events": events})
    return {
        "schema": SCHEMA,
        "video": f"{name}.mp4",
        "split": split,
        "fps": recipe.fps,
        "frames": max(1, round(recipe.seconds * recipe.fps)),
        "skeleton": "wholebody133",
        "camera": camera_record(stage.camera),
        "people": people,
        "description": recipe.description,
        "licence": LICENCE,
    }


def frame_record(frame: int, t_s: float, labels: List[Label]) -> Dict[str, Any]:
    """One line of a truth: the people who are seen in a frame."""
    people = [
        {
            "id": label.index,
            "box": np.round(label.box, 2).tolist(),
            "area_px": round(label.area_px, 1),
            "keypoints": np.round(
                np.concatenate([label.keypoints, label.visible[:, None]], axis=1), 2
            ).tolist(),
            "keypoints_m": np.round(label.space, 4).tolist(),
        }
        for label in labels
    ]
    return {"frame": frame, "t_ns": round(t_s * 1e9), "people": people}


@contextlib.contextmanager
def _video(path: Path, fps: float, size: Any) -> Iterator[Callable[[np.ndarray], object]]:
    """A video whose file appears when the block ends without an error."""
    part = path.with_name(f".{path.stem}.new.mp4")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    if not writer.isOpened():
        raise TempError(f"{path}: OpenCV cannot write this video")
    try:
        yield writer.write
        writer.release()
        if not part.is_file() or part.stat().st_size == 0:
            raise TempError(f"{path}: nothing was written; is the disk full?")
        part.replace(path)
    finally:
        writer.release()
        part.unlink(missing_ok=True)
