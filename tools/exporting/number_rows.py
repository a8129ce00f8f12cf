"""Numbers as text, fast: by the JSON encoder where it is there."""

from __future__ import annotations

import json
from typing import List

import numpy as np

try:
    import orjson
except ImportError:  # only faster
    orjson = None  # type: ignore[assignment]


def number_rows(values: np.ndarray, separator: bytes = b",") -> List[bytes]:
    """Each row of an array [N,M] f64, M >= 1, as text; NaN is empty."""
    if not len(values):
        return []
    if orjson:
        text = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    else:
        text = json.dumps(values.tolist(), separators=(",", ":")).encode().replace(b"NaN", b"null")
    rows = text[2:-2].replace(b"null", b"").split(b"],[")
    return rows if separator == b"," else [row.replace(b",", separator) for row in rows]
