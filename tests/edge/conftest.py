"""What tests of edge share: data recorded from public reference implementations."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List

import numpy as np
import pytest

THIN = Path(__file__).resolve().parent / "golden" / "reference"
WHOLE = Path(__file__).resolve().parents[2] / "../shared/data/reference"
Recorded = Callable[[str], List[Dict[str, np.ndarray]]]


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    """Arrays of a file such as `decoders/simcc_s0`: the small copy, then the whole if it is here.

    Both have the same names; the small copy lacks some and holds fewer keypoints, boxes or levels.
    """

    def read(name: str) -> List[Dict[str, np.ndarray]]:
        paths = [THIN / f"{Path(name).name}.npz", WHOLE / f"{name}.npz"]
        found = []
        for path in paths:
            if path.is_file():
                with np.load(path) as z:
                    found.append(dict(z.items()))
        return found

    return read
