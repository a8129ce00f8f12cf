"""Whether this program is the installed package of a box; imports nothing heavy."""

from __future__ import annotations

import sys
from pathlib import Path

VENV = Path("/usr/lib/edge/venv")
RECIPES = Path("/usr/share/edge/engines")
# Commands whose libraries or data the package does not bring.
WORKSTATION = (
    *("accuracy", "bench", "calibrate-cameras", "demo", "evaluate", "export", "fit-anchors"),
    *("export-poses", "reference", "share", "view"),
    *("average", "federated-trial"),
    *(
        "draw",
        "fit-fall",
        "fit-strikes",
        "fit-temporal",
        "ground",
        "fleet",
        "fleet-demo",
        "distill",
        "export-labels",
        "import",
        "kernels",
        "occlusion",
        "pick",
        "predict",
        "prune",
        "quantize",
        "rules-test",
        "sbom",
        "synth",
        "template",
        "train",
    ),
)


def on_box() -> bool:
    """Whether this program runs in the environment that the package makes."""
    return Path(sys.prefix) == VENV
