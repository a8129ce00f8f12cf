"""How much each person matters to the rules: whom the limits on hands and faces leave out last."""

from __future__ import annotations

from typing import FrozenSet, Optional, Sequence

import numpy as np

from edge.structures import Poses


def importance(
    poses: Poses, named: FrozenSet[int], rules: Sequence[object]
) -> Optional[np.ndarray]:
    """[N] f32 0..1: 1 for people whom a rule names, else how near they are to a zone.

    Args:
        poses: [N] people with ids.
        named: ids of people whom a rule names (RuleSummary.labels), such as those who fell.
        rules: of their camera. A rule with places has `nearness(poses)`, which gives [N] 0..1 and
            None if it has none after all.

    Returns:
        None if all people matter alike.
    """
    if not len(poses):
        return None
    weights = np.isin(poses.ids, list(named)).astype(np.float32)
    for rule in rules:
        nearness = getattr(rule, "nearness", None)
        near = None if nearness is None else nearness(poses)
        if near is not None:
            weights = np.maximum(weights, near)
    return weights.astype(np.float32) if weights.any() else None
