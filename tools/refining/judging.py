"""The filter with and without the temporal network on motion that nothing was trained on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import onnxruntime

from edge.people.temporal import FEATURES, UNITS
from edge.settings.config import Smooth
from tools.benches import smoothing
from tools.benches._mocap import REPORT
from tools.refining import network, residuals, sequences

RATES_HZ = (10, 15, 30, 60)
SIDES_DEG = (0, 70, 160, 250)
LONG_S = 6.0
FIGURES = ("RMSE", "95 %", "jitter", "lag")
_ROUNDS = 30


def judge(
    net: network.TemporalNet, sets: Optional[Path], tracks: Sequence[residuals.Track], seed: int
) -> List[Dict[str, Any]]:
    """Mean errors in H for each rate and noise: measured, filtered, and with the network.

    Args:
        net: trained on other clips.
        sets: folder of the motion capture.
        tracks: residuals of clips that were not trained on; none = the benches' noise alone.
        seed: of the noise.
    """
    rows = []
    for rate_hz in RATES_HZ:
        truth = sequences.truths(sets, REPORT, rate_hz, LONG_S, SIDES_DEG)
        for noise, library in (("real residuals", tracks), ("stated", [])):
            if noise == "stated" or library:
                rng = np.random.default_rng([seed, rate_hz])
                found, scores = sequences.seen(truth, rate_hz, library, rng)
                rows += _rows(net, truth, found, scores, rate_hz, noise)
    return rows


def _rows(
    net: network.TemporalNet,
    truth: np.ndarray,
    found: np.ndarray,
    scores: np.ndarray,
    rate_hz: float,
    noise: str,
) -> List[Dict[str, Any]]:
    smooth, told = sequences.filtered(found, scores, rate_hz, Smooth())
    tall = np.stack([one.heights_px for one in told])[:, :, None, None]
    data = sequences.sequences(truth, found, scores, rate_hz, Smooth())
    added = network.added(net, data).reshape(truth.shape) * tall
    sight = smoothing.Sight(np.arange(len(truth)) / rate_hz, truth, found, scores)
    rows = []
    sides = {"measured": found, "filter": smooth, "filter + network": smooth + added}
    for name, out in sides.items():
        quality = smoothing.judged(sight, out)
        values = {figure: float(np.mean(v)) for figure, v in zip(FIGURES, quality)}
        rows.append({"rate_hz": rate_hz, "noise": noise, "side": name, **values})
    return rows


def costs(files: Dict[str, bytes], people: int, keypoints: int, seed: int) -> Dict[str, Any]:
    """Size, time of one frame and largest difference from the first file, of each ONNX file.

    Args:
        files: by name; the first is the reference.
        people: of a frame.
        keypoints: of a person.
        seed: of the inputs.
    """
    rng = np.random.default_rng(seed)
    rows = people * keypoints
    fed = {"told": rng.normal(0, 0.7, (rows, FEATURES)).astype(np.float32)}
    fed.update({n: rng.normal(0, 0.5, (rows, UNITS)).astype(np.float32) for n in ("h", "c")})
    found: Dict[str, Any] = {}
    reference: Optional[np.ndarray] = None
    for name, data in files.items():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        add = session.run(["add"], fed)[0]
        reference = add if reference is None else reference
        spent = []
        for _ in range(_ROUNDS):
            start_s = time.process_time()
            session.run(None, fed)
            spent.append(time.process_time() - start_s)
        found[name] = {
            "bytes": len(data),
            "ms": 1e3 * float(np.median(spent)),
            "largest_difference_h": float(np.abs(add - reference).max()),
        }
    return found
