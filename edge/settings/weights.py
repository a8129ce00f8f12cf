"""Weights of the small networks of rules: files beside the rules, which are pure and read none."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import numpy as np

RULES = Path(__file__).resolve().parents[1] / "rules"


def load(name: str) -> Dict[str, np.ndarray]:
    """Arrays f32 of a file (.npz, nothing pickled) of the package.

    Args:
        name: path below edge/rules.
    """
    with np.load(RULES / name, allow_pickle=False) as file:
        return {key: file[key].astype(np.float32) for key in file.files}
