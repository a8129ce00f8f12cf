"""How a body moved in the last seconds, as a small network reads it.

Each person has a past of SAMPLES signals, one every STEP_S. A network of two hidden layers turns it
into two chances: that the person has just fallen, and that the person is down. Slow lying down,
kneeling and crawling were among its negative examples. `edge-tools fit-fall` trains it on motion
capture and scripts, seen by cameras that look down 0 to 62 degrees, with the noise of the benches.
"""

from __future__ import annotations

from functools import lru_cache
from typing import List, Mapping, Optional, Tuple

import numpy as np

from edge.rules._lying import ALL, SHANK, THIGH, TORSO, Shape
from edge.rules._person_memory import PersonMemory
from edge.rules._posture import HIPS, SHOULDERS, middle
from edge.settings import weights as files

SAMPLES, STEP_S = 14, 0.2
SIGNALS = 11
INPUTS = SAMPLES * SIGNALS + 1
_SHOULDER_Y, _HIP_Y = 9, 10  # signals in px
_FARTHEST = 1.5  # standing heights that shoulders or hips may have moved in the picture
_GAP_S = 1.0  # after a longer absence the past begins afresh
_EARLY_S = 1e-3  # a frame that is early by less is in time
Layers = List[Tuple[np.ndarray, np.ndarray]]
WEIGHTS = "_fall/evidence.npz"

# Fields of PersonMemory that belong to the evidence.
FIELDS = {
    "past": np.zeros((SAMPLES, SIGNALS), np.float32),
    "past_ns": -1,
    "fell_chance": 0.0,
    "down_chance": 0.0,
}


def signals(
    shape: Shape, body: np.ndarray, visible: np.ndarray, tall: np.ndarray, upright: np.ndarray
) -> np.ndarray:
    """The signals of [N] people in one frame.

    Args:
        shape: steadied.
        body: [N,17] c64 px.
        visible: [N,17] bool.
        tall: [N] px standing heights.
        upright: [N] share of its length that the picture shows of an upright body.

    Returns:
        [N,11] f32; what cannot be measured is NaN.
    """
    parts = shape.parts
    (shoulder, has_shoulder), (hip, has_hip) = (middle(body, visible, p) for p in (SHOULDERS, HIPS))
    wide = np.abs(body[:, SHOULDERS[0]] - body[:, SHOULDERS[1]]) / tall
    both = visible[:, list(SHOULDERS)].all(1)
    columns = [
        parts[:, ALL].imag / upright,
        np.abs(parts[:, ALL].real),
        parts[:, TORSO].imag / upright,
        np.abs(parts[:, TORSO].real),
        parts[:, THIGH].imag / upright,
        parts[:, SHANK].imag / upright,
        shape.known,
        shape.legs,
        np.where(both, wide, np.nan),
        np.where(has_shoulder, shoulder.imag, np.nan),
        np.where(has_hip, hip.imag, np.nan),
    ]
    return np.stack(columns, 1).astype(np.float32)


def sample(people: PersonMemory, rows: np.ndarray, now: np.ndarray, t_ns: int) -> np.ndarray:
    """Add signals to the pasts whose next sample is due.

    Args:
        people: with the fields FIELDS.
        rows: [N] of the people in view.
        now: [N,11] of `signals`.
        t_ns: time of the frame.

    Returns:
        The rows that got a sample.
    """
    past, last_ns = people["past"], people["past_ns"]
    since_s = (t_ns - last_ns[rows]) * 1e-9
    fresh = (last_ns[rows] < 0) | (since_s > _GAP_S)
    due = fresh | (since_s >= STEP_S - _EARLY_S)
    if not due.any():
        return rows[due]
    steps = np.where(fresh, SAMPLES, np.minimum(since_s / STEP_S + 0.5, SAMPLES).astype(int))
    for count in np.unique(steps[due]):  # one step but for low frame rates and new people
        some = rows[due & (steps == count)]
        value = now[due & (steps == count)]
        before = np.where(last_ns[some][:, None] < 0, np.float32(0), past[some, -1])
        value = np.where(np.isnan(value), before, value)
        past[some, : SAMPLES - count] = past[some, count:]
        past[some, SAMPLES - count :] = value[:, None]
    last_ns[rows[due]] = t_ns
    return rows[due]


def inputs(past: np.ndarray, tall: np.ndarray, upright: np.ndarray) -> np.ndarray:
    """Inputs [N,155] f32 of the network from pasts [N,14,11], heights [N] px and upright [N]."""
    window = past.copy()
    moved = past[:, -1:, _SHOULDER_Y:] - past[:, :, _SHOULDER_Y:]
    window[:, :, _SHOULDER_Y:] = np.clip(moved / tall[:, None, None], -_FARTHEST, _FARTHEST)
    flat = window.reshape(len(past), SAMPLES * SIGNALS)
    return np.concatenate((flat, upright[:, None]), 1).astype(np.float32)


def chances(given: np.ndarray, layers: Optional[Layers] = None) -> np.ndarray:
    """[N,2] f64: that these people have just fallen, that they are down.

    Args:
        given: [N,155] of `inputs`.
        layers: of `layers_of`; None = the shipped ones.
    """
    layers = layers or _shipped()
    for weight, bias in layers[:-1]:
        given = np.tanh(given @ weight + bias)
    weight, bias = layers[-1]
    out: np.ndarray = 1 / (1 + np.exp(-(given @ weight + bias).astype(np.float64)))
    return out


def layers_of(weights: Mapping[str, np.ndarray]) -> Layers:
    """Weights [in,out] and biases of each layer, from arrays named weight0, bias0, weight1 ..."""
    return [(weights[f"weight{i}"], weights[f"bias{i}"]) for i in range(len(weights) // 2)]


@lru_cache(maxsize=1)
def _shipped() -> Layers:
    return layers_of(files.load(WEIGHTS))
