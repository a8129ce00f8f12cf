"""Standing figures at given places, as a tracker would give them."""

import numpy as np

from edge.structures import Poses

# COCO order, in heights, feet at 0, y down.
STANDING = np.array(
    [
        (0, -0.93),
        (0.02, -0.95),
        (-0.02, -0.95),
        (0.045, -0.94),
        (-0.045, -0.94),
        (0.11, -0.82),
        (-0.11, -0.82),
        (0.14, -0.63),
        (-0.14, -0.63),
        (0.15, -0.47),
        (-0.15, -0.47),
        (0.09, -0.52),
        (-0.09, -0.52),
        (0.09, -0.28),
        (-0.09, -0.28),
        (0.09, -0.0),
        (-0.09, -0.0),
    ]
)
TALL = 200.0


def people(places, score=0.9):
    """{id: (x, y) of the feet} -> Poses."""
    ids = np.array(list(places), np.int64)
    at = np.array(list(places.values()), float).reshape(-1, 2)
    kp = (STANDING * TALL + at[:, None]).astype(np.float32)
    half = np.array([0.2 * TALL, TALL, 0.2 * TALL, 0.0])
    boxes = np.concatenate((at - half[:2], at + half[2:]), 1).astype(np.float32)
    n = len(ids)
    return Poses(
        kp, np.full((n, 17), 0.8, np.float32), boxes, ids, np.full(n, score, np.float32), "coco17"
    )


def events_of(rule, frames, fps=10.0, start_ns=10**9):
    """Run {id: place} dicts; events as (s, person, action, people)."""
    out = []
    for i, places in enumerate(frames):
        t_ns = start_ns + round(i / fps * 1e9)
        for e in rule(people(places), "door", t_ns):
            out.append((round(i / fps, 2), e.person, e.data["action"], e.data["people"]))
            assert e.t_ns == t_ns
            assert e.camera == "door"
    return out
