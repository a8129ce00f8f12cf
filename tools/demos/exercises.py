"""What the demos of exercises share: drawn people, one camera each, and the page of a session."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence, Tuple

from tools.demos import Plan
from tools.demos.rendered import ensure_clip
from tools.demos.session_page import session_page
from tools.fetch.by_name import ensure_model

DETECT, POSE = "hybrid", "blazepose"
SIZE = (480, 640)
CAMERA = {"camera_m": 1.2, "distance_m": 3.2, "fov_deg": 45.0}
Shown = Tuple[str, str, float, float]  # camera, motion, seconds, side from which it is seen in deg


def exercise_plan(
    demo: str,
    title: str,
    said: Tuple[str, ...],
    shown: Sequence[Shown],
    tables: str,
    models: Optional[Path],
    sets: Optional[Path],
) -> Plan:
    """A plan of drawn exercises.

    Args:
        demo: name of the demo.
        title: of its page.
        said: lines for the screen.
        shown: its cameras.
        tables: rules of the configuration (TOML).
        models: folder of models; None = the usual.
        sets: folder of sets; None = the usual.
    """
    folders = [ensure_model(name, models) for name in (DETECT, POSE)]
    clips = [
        (name, ensure_clip(demo, name, sets, [motion], seconds, SIZE, azimuth_deg=side, **CAMERA))
        for name, motion, seconds, side in shown
    ]
    return Plan(said, DETECT, POSE, folders[0].parent, clips, tables, session_page(title))
