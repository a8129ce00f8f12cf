"""How many keypoints are right under and beside an occluder."""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np

from edge.structures import VISIBLE
from tools.evaluation.figures.pairing import Pairs

RIGHT_SHARE = 0.1  # of the longer side of the person's box: PCK .1


def counts(pairs: Pairs, hidden: np.ndarray, which: np.ndarray, oks: np.ndarray) -> Dict[str, Any]:
    """Counts of one part and one share in one data set.

    Args:
        pairs: labelled people and who was found for them.
        hidden: [G,K] bool, keypoints under an occluder.
        which: keypoint indices that count, the body's.
        oks: [G] of each person, 0 if not found, NaN if nothing counts.
    """
    size = (pairs.boxes[:, 2:] - pairs.boxes[:, :2]).max(1)
    apart = np.sqrt(np.square(pairs.found - pairs.truth).sum(-1))
    right = (np.nan_to_num(apart, nan=np.inf) < RIGHT_SHARE * size[:, None])[:, which]
    counted, under = pairs.counted[:, which], hidden[:, which] & pairs.counted[:, which]
    right &= counted
    known = np.isfinite(oks)
    return {
        "people": len(size),
        "found": int((pairs.found_rows >= 0).sum()),
        "oks": float(oks[known].sum()),
        "judged": int(known.sum()),
        "keypoints": int(counted.sum()),
        "right": int(right.sum()),
        "hidden": int(under.sum()),
        "hidden_right": int((right & under).sum()),
        "hidden_told": int(((pairs.scores[:, which] > VISIBLE) & under).sum()),
    }


def shares(sets: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """The figures of several data sets together, as JSON values; None where nothing counts."""
    total = {name: sum(one[name] for one in sets) for name in sets[0]}
    clear = total["keypoints"] - total["hidden"]
    return {
        "people": total["people"],
        "people_found": _share(total["found"], total["people"]),
        "oks": _share(total["oks"], total["judged"]),
        "keypoints": total["keypoints"],
        "right": _share(total["right"], total["keypoints"]),
        "hidden": total["hidden"],
        "hidden_right": _share(total["hidden_right"], total["hidden"]),
        "hidden_told": _share(total["hidden_told"], total["hidden"]),
        "clear_right": _share(total["right"] - total["hidden_right"], clear),
    }


def _share(part: float, total: int) -> Any:
    return part / total if total else None
