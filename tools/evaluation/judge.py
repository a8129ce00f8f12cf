"""Labels and predictions to one result: all figures as JSON values, and what the page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import numpy as np

from tools.evaluation import video
from tools.evaluation.figures import accuracy, intervals, precision, sizes
from tools.evaluation.figures.pairing import Pairs, pair
from tools.evaluation.found.record import Found
from tools.evaluation.truth import Truth

Figures = Dict[str, Any]  # JSON values


@dataclass(frozen=True, eq=False)
class Result:
    """An evaluation."""

    truth: Truth
    found: Found
    pairs: Pairs
    figures: Figures


def judge(truth: Truth, found: Found) -> Result:
    """All figures of predictions."""
    pairs = pair(truth, found)
    figures: Dict[str, Any] = {
        "data": truth.name,
        "format": truth.kind,
        "keypoints": truth.points.name,
        "sigmas": truth.points.sigma_source,
        "predictions": found.name,
        "left_out": left_out(truth, found),
        "notes": [*truth.notes, *found.notes],
        **accuracy.figures(pairs, truth.points),
        "precision": precision.figures(truth, found),
        "sizes": sizes.figures(truth, pairs),
    }
    of_video = video.figures(truth, found, pairs)
    if of_video:
        figures["video"] = of_video
    figures["pictures"] = pictures(truth, pairs)
    return Result(truth, found, pairs, figures)


def left_out(truth: Truth, found: Found) -> List[str]:
    """Labelled keypoints that such predictions cannot have; no figure counts them."""
    labelled = np.zeros(len(truth.points), bool)
    for picture in truth.pictures:
        labelled |= picture.people.labelled.any(0)
    return [truth.points.names[i] for i in np.flatnonzero(labelled & ~found.given)]


def pictures(truth: Truth, pairs: Pairs) -> List[Dict[str, Any]]:
    """Of each picture the OKS of its people, and how many were false."""
    each = pairs.oks(truth.points.sigmas, body_of(truth))
    rows: List[Dict[str, Any]] = [
        {"picture": p.key, "file": p.file, "oks": [], "missed": 0, "false": int(false)}
        for p, false in zip(truth.pictures, pairs.false)
    ]
    for place, value, hit in zip(pairs.pictures.tolist(), each, pairs.found_rows >= 0):
        rows[place]["oks"].append(None if np.isnan(value) else round(float(value), 4))
        rows[place]["missed"] += int(not hit)
    return rows


def body_of(truth: Truth) -> np.ndarray:
    """The keypoints that a picture is ranked by: the body's, or all of a set without a body."""
    body = truth.points.parts["body"]
    return body if len(body) else truth.points.all


def compared(ours: Result, theirs: Result, margin: float) -> Dict[str, Any]:
    """Our figures against others', and those that are worse by more than the margin."""
    rows = intervals.compare(ours.truth, (ours.found, ours.pairs), (theirs.found, theirs.pairs))
    worse = [name for name, row in rows.items() if row["difference"] < -margin]
    return {
        "against": theirs.found.name,
        "margin": margin,
        "level": intervals.LEVEL,
        "rows": rows,
        "worse": worse,
    }


def mean(figures: Figures, part: str = "body") -> Optional[float]:
    """Mean OKS of a part; None if nobody has a label there."""
    row = figures["oks"].get(part)
    return None if row is None else row["mean"]
