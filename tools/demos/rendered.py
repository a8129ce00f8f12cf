"""Clips that a demo draws because nobody was filmed: made once, kept beside the other sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from tools import places
from tools.render import make, recipe

FPS = 25.0
_SEED = 3


def ensure_clip(
    demo: str,
    name: str,
    sets: Optional[Path],
    motions: List[str],
    seconds: float,
    size: Tuple[int, int],
    **view: float,
) -> Path:
    """The video of one camera; drawn if it is missing or was drawn by another recipe.

    Args:
        demo: name of the demo.
        name: of the camera.
        sets: folder of sets; None = the source tree's.
        motions: what people do, as `edge-tools synth --list` shows.
        seconds: length.
        size: width and height in px.
        **view: as in the recipe of a set, each a number instead of a range.

    Raises:
        EdgeError: as `make.make`.
    """
    ranges: Dict[str, Any] = {key: [value, value] for key, value in view.items()}
    table = {
        "description": f"{demo}, {name}",
        "kind": "clips",
        "count": 1,
        "seconds": seconds,
        "fps": FPS,
        "people": [1, 1],
        "motions": motions,
        "lights": ["day"],
        "hard": 0.05,
        "props": 0.0,
        "backdrops": ["room"],
        "view": {"width": size[0], "height": size[1], "lenses": ["pinhole"], **ranges},
    }
    folder = (sets or places.sets()) / f"demo-{demo}" / name
    order = make.Order(
        name,
        recipe.of_table(table, f"demo {demo}"),
        folder,
        "report",
        _SEED,
        workers=make.default_workers(),
    )
    told = folder / make.RECORD
    if not told.is_file() or told.read_bytes() != make.record(order, finished=True):
        make.make(order)
    return folder / f"{name}-000.mp4"
