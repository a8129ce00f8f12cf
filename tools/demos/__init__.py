"""Demos: the daemon on clips that people can look at, with a broker and a subscriber.

A file for each field has `plan`, which fetches or draws its clips and says what the daemon is told.
tools/demo.py runs a plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Tuple

from tools.demos.files import Files

DEVICE = "demo"


@dataclass(frozen=True)
class Plan:
    """What a demo shows.

    Attributes:
        said: lines for the screen before it begins: what is shown, and what of it is drawn.
        detect: name of the detector.
        pose: name of the pose model.
        models: their folder.
        clips: name and video of each camera.
        tables: the rules, scenes and sensors of the configuration (TOML).
        pages: makes pages of what was told; gives their files by what they are.
        most_frames: of each camera; 0 = the whole clip.
    """

    said: Tuple[str, ...]
    detect: str
    pose: str
    models: Path
    clips: List[Tuple[str, Path]]
    tables: str
    pages: Callable[[Files], Dict[str, Path]]
    most_frames: int = 0
