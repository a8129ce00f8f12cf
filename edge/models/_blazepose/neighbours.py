"""Who is hidden in whose crop.

The body network follows whoever is most prominent in its crop; where people overlap that may be the
neighbour. So known neighbours are covered by what lies outside the frame, but for the pixels that
the person of the crop is expected in.

Measured on four synchronised cameras of three people (tests/tools/test_views_agree.py), played
forwards, backwards and from the middle, with two detectors: 6609 poses are found in place of 6400;
of these 17 % are more than 40 px from where the other cameras see somebody, in place of 25 %. Limbs
of other widths give 6588 to 6600 poses and 18 %; fingers, feet, or grey in place of black won
nothing (forwards alone).
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from edge import geometry
from edge.models._blazepose import points
from edge.models._blazepose.crops import length_of
from edge.models._blazepose.crowd import Crowd
from edge.models._preprocess import veil
from edge.models._preprocess.veil import Silhouettes
from edge.recipe import Network
from edge.structures import VISIBLE, Veils

# Widths of limbs in lengths of the trunk: of who is hidden, and of who is not.
_HIDDEN, _OWN = 0.26, 0.14
# Neighbours that are hidden from somebody: the price of a crowd in one place would else rise with
# the square of its number.
_MOST = 4


def veils(
    crowd: Crowd, certain: np.ndarray, matrices: np.ndarray, network: Network
) -> Optional[Veils]:
    """What is hidden of everybody's crop; None = nothing.

    Args:
        crowd: who is looked for. Neighbours are the few whose boxes overlap most.
        certain: [N] bool, whose keypoints tell where they are. Others neither hide nor are hidden:
            a box alone may be a second one of somebody known.
        matrices: [N,2,3] frame px -> input px.
        network: size of the input.
    """
    if np.count_nonzero(certain) < 2:
        return None
    shared = geometry.iou(crowd.boxes, crowd.boxes)
    shared *= (crowd.which[:, None] == crowd.which) & certain & certain[:, None]
    np.fill_diagonal(shared, 0)
    near = shared > 0
    if len(shared) > _MOST:
        less = np.argpartition(shared, -_MOST, axis=1)[:, :-_MOST]
        np.put_along_axis(near, less, False, axis=1)
    overlapped = near.any(1)
    if not overlapped.any():
        return None
    own = np.flatnonzero(overlapped)
    of_crop = np.where(overlapped, np.cumsum(overlapped) - 1, -1).astype(np.int32)
    cells = veil.blank(len(own), (network.width, network.height))
    rows, others = np.nonzero(near)
    rows, who = np.concatenate((rows, own)), np.concatenate((others, own))
    veil.draw(cells, of_crop[rows], _silhouettes(crowd, who, rows, matrices[rows]))
    return Veils(of_crop, cells)


def _silhouettes(
    crowd: Crowd, who: np.ndarray, rows: np.ndarray, matrices: np.ndarray
) -> Silhouettes:
    """People as they lie in crops of those rows."""
    places = geometry.apply(matrices, crowd.keypoints[who, points.BODY])
    known = crowd.scores[who, points.BODY] > VISIBLE
    trunks = length_of(places[:, points.SHOULDERS] - places[:, points.HIPS])
    shoulders = length_of(places[:, points.SHOULDERS[0]] - places[:, points.SHOULDERS[1]])
    size = np.maximum((trunks[:, 0] + trunks[:, 1]) / 2, shoulders)
    own = who == rows
    return Silhouettes(places, known, size * np.where(own, _OWN, _HIDDEN), ~own)
