"""What tests of edge share: data recorded from public reference implementations."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict

import numpy as np
import pytest

GOLDEN = Path(__file__).resolve().parent / "golden" / "reference"
Recorded = Callable[[str], Dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    """Arrays of a recording such as `simcc_s0`; `thin_reference.py` says where they come from."""

    def read(name: str) -> Dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz") as z:
            return dict(z.items())

    return read
