"""Sites that would spoil the average: labels with left and right swapped, and noise as weights."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import List

import numpy as np

from edge import skeletons
from tools.federated.file import Moved


def swap_labels(source: Path, target: Path) -> None:
    """Copy clips of `synth`; in their truth left and right are exchanged.

    Args:
        source: folder of clips.
        target: new folder.
    """
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(source, new)
    for path in new.glob("*.truth.jsonl"):
        head, *frames = path.read_text("utf-8").splitlines()
        flip = skeletons.get(json.loads(head)["skeleton"]).flip.tolist()
        lines = [head, *(_swapped(line, flip) for line in frames)]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    new.rename(target)


def _swapped(line: str, flip: List[int]) -> str:
    frame = json.loads(line)
    for person in frame["people"]:
        for name in ("keypoints", "keypoints_m"):
            person[name] = [person[name][i] for i in flip]
    return json.dumps(frame)


def noise_like(honest: Moved, times: float, seed: int) -> Moved:
    """A move in a random direction, as long as an honest one times a factor."""
    step = np.random.default_rng(seed).normal(0, 1, honest.moved.shape)
    step *= times * honest.norm / np.linalg.norm(step)
    return dataclasses.replace(honest, site="evil", moved=step.astype(np.float32))
