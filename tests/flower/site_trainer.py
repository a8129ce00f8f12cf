"""A site's training command of the test: three steps of least squares on its own numbers."""

import sys
from pathlib import Path

import numpy as np

WEIGHTS, STEPS, RATE = 24, 3, 0.02


def move(step: np.ndarray, site: int) -> np.ndarray:
    """How far this site's numbers move weights [P]."""
    rng = np.random.default_rng(site)
    inputs = rng.normal(0, 1, (examples(site), WEIGHTS))
    wanted = inputs @ np.linspace(-1, 1, WEIGHTS) + rng.normal(0, 0.01, len(inputs))
    now = step.astype(np.float64)
    for _ in range(STEPS):
        now = now - RATE * inputs.T @ (inputs @ now - wanted) / len(inputs)
    return (now - step).astype(np.float32)


def examples(site: int) -> int:
    """Sites differ in size."""
    return 20 + 10 * site


if __name__ == "__main__":
    SITE, GIVEN, MOVED = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    np.save(MOVED, move(np.load(GIVEN), SITE))
    sys.stdout.write(f"{examples(SITE)}\n")
