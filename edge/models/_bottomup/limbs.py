"""Grouping by limbs: part-affinity fields tell which keypoints belong together (Cao et al. 2017).

Candidates of keypoints are the nodes of a graph, and limbs its edges. A person is a component of
the graph.
"""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from edge.models._bottomup.peaks import People, peaks_of, refined

_SAMPLES = 10  # along a limb
_SHARE = 0.8  # of the samples that must agree with the field
_LEAST_AGREEMENT = 0.05  # of one sample with the field
_LONGEST = 0.5  # of the map's height: longer limbs lose score


def part_affinity(
    maps: np.ndarray,
    fields: np.ndarray,
    limbs: np.ndarray,
    min_value: float = 0.1,
    min_keypoints: int = 3,
    udp: bool = False,
) -> People:
    """Group keypoints by part-affinity fields.

    The score of a limb is the mean of <field, direction> over ten samples, less a penalty for
    limbs longer than half of the map's height. Limbs join candidates, the best limb first, unless
    a person would get two of one keypoint. This is the maximum spanning forest of the graph under
    that condition (Kruskal 1956). The person's score is the mean over all keypoints, 0 for those
    not found.

    Args:
        maps: [K,h,w] responses, finite.
        fields: [E,2,h,w] x and y of each limb's field, finite.
        limbs: [E,2] i64 keypoints from which and to which a limb leads.
        min_value: least value of a candidate.
        min_keypoints: a person with fewer is dropped.
        udp: refine by UDP (blur 3) instead of by a quarter px.
    """
    places, values = peaks_of(maps, min_value)
    limb, start, end = _accepted(places, values, fields, limbs)
    owner = _components(len(maps), places.shape[1], limbs[limb], start, end)
    rows, found, candidate = _people_of(owner, values, min_keypoints)
    n = int(rows.max(initial=-1)) + 1
    spots, heights = np.zeros((n, len(maps), 2), np.int64), np.zeros((n, len(maps)), np.float32)
    spots[rows, found] = places[found, candidate]
    heights[rows, found] = values[found, candidate]
    return People(refined(maps, spots, udp), heights, heights.mean(1))


def _accepted(
    places: np.ndarray, values: np.ndarray, fields: np.ndarray, limbs: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The limbs that the fields support, best first: index of limb, and candidates of both ends."""
    begin, finish = places[limbs[:, 0]], places[limbs[:, 1]]  # [E,M,2]
    step = (finish[:, None] - begin[:, :, None]).astype(np.float32)  # [E,M,M,2]
    length = np.hypot(step[..., 0], step[..., 1])
    share = np.linspace(0, 1, _SAMPLES, dtype=np.float32)
    at = np.rint(begin[:, :, None, None] + share[:, None] * step[..., None, :]).astype(np.int64)
    which = np.arange(len(limbs))[:, None, None, None]
    x, y = (fields[:, i][which, at[..., 1], at[..., 0]] for i in (0, 1))
    unit = step / np.maximum(length, 1e-6)[..., None]
    agreement = x * unit[..., None, 0] + y * unit[..., None, 1]
    longest = _LONGEST * fields.shape[-2]
    score = agreement.mean(-1) + np.minimum(longest / np.maximum(length, 1e-6) - 1, 0)
    real = (values[limbs[:, 0]] > 0)[:, :, None] & (values[limbs[:, 1]] > 0)[:, None]
    agrees = (agreement > _LEAST_AGREEMENT).mean(-1) >= _SHARE
    limb, start, end = np.nonzero(real & agrees & (score > 0))
    order = np.argsort(-score[limb, start, end], kind="stable")
    return limb[order], start[order], end[order]


def _components(
    keypoints: int, most: int, ends: np.ndarray, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """The component [K,M] of each candidate, by its lowest node.

    A loop over limbs, because each decision depends on those before.

    Args:
        keypoints: K.
        most: M.
        ends: [L,2] i64 keypoints of each limb, best limb first.
        start: [L] candidate of its first keypoint.
        end: [L] candidate of its second keypoint.
    """
    parent = list(range(keypoints * most))
    holds = [1 << (node // most) for node in parent] if most else []
    pairs = zip((ends[:, 0] * most + start).tolist(), (ends[:, 1] * most + end).tolist())
    for one, other in pairs:
        one, other = sorted((_root(parent, one), _root(parent, other)))
        if one != other and not holds[one] & holds[other]:
            parent[other] = one
            holds[one] |= holds[other]
    roots = [_root(parent, node) for node in parent]
    return np.array(roots, np.int64).reshape(keypoints, most)


def _root(parent: List[int], node: int) -> int:
    """The root of a node's tree; shortens the way for the next time."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def _people_of(
    owner: np.ndarray, values: np.ndarray, min_keypoints: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row of the person, keypoint and candidate of each candidate that belongs to a person."""
    keypoint, candidate = np.nonzero(values > 0)
    _, group, sizes = np.unique(owner[keypoint, candidate], return_inverse=True, return_counts=True)
    kept = sizes[group] >= min_keypoints
    _, rows = np.unique(group[kept], return_inverse=True)
    return rows, keypoint[kept], candidate[kept]
