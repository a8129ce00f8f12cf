"""Rendered people for the scoreboard: small sets of `edge-tools synth`, of the report split."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Dict, List

from edge.errors import UnavailableError

SEED = 1
# Recipe -> what differs from it: pictures or clips, and seconds of a clip.
SETS: Dict[str, Dict[str, float]] = {
    "rendered-clean": {"count": 30},
    "rendered-people": {"count": 30},
    "rendered-clinic": {"count": 15},
    "rendered-crowds": {"count": 6},
    "rendered-groups": {"count": 10},
    "rendered-walks": {"count": 1, "seconds": 2.5},
}


def draw(out: Path, quiet: bool = False) -> List[Path]:
    """Draw the sets into folders of `out`; those of an earlier run are replaced.

    Raises:
        UnavailableError: what draws is not installed. EdgeError: as `edge-tools synth`.
    """
    if importlib.util.find_spec("numba") is None:
        raise UnavailableError(
            "rendered people: need the packages of pip install 'edge-pose[synth]'"
        )
    # Loads what only this part needs.
    from tools.render import make, recipe
    from tools.render.motion.acts import REPORT

    found: List[Path] = []
    for name, changes in SETS.items():
        chosen = recipe.changed(recipe.load(name), **changes)
        order = make.Order(
            name=name,
            recipe=chosen,
            folder=out / name,
            split=REPORT,
            seed=SEED,
            workers=make.default_workers(),
            quiet=quiet,
        )
        make.make(order)
        found.append(out / name)
    return found
