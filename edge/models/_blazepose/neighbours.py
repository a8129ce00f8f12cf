"""Hides known neighbours in the crop of each person.

The body network finds the most prominent person of its crop. If people overlap, that may be a
neighbour. So the silhouettes of known neighbours are hidden, except where the person of the crop is
expected. Hidden pixels look like pixels outside the frame.

Measured on four synchronised cameras of three people (tests/tools/test_views_agree.py), played
forwards, backwards and from the middle, with two detectors: 6609 poses are found, 6400 without
hiding. 17 % of them are more than 40 px from where the other cameras see a person, 25 % without
hiding. Other widths of limbs give 6588 to 6600 poses and 18 %. Fingers, feet, or grey instead of
black gave no gain (played forwards only).
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from edge import geometry
from edge.models._blazepose import points
from edge.models._blazepose.batch import CandidateBatch
from edge.models._blazepose.crops import length_of
from edge.models._preprocess import veil
from edge.models._preprocess.veil import Silhouettes
from edge.recipe import Network
from edge.structures import VISIBLE, Veils

# Widths of limbs in lengths of the torso: of hidden neighbours, and of the person of the crop.
_HIDDEN, _OWN = 0.26, 0.14
# Most neighbours that are hidden in one crop. Without a limit the cost of a crowd would rise with
# the square of its size.
_MOST = 4


def veils(
    batch: CandidateBatch, certain: np.ndarray, matrices: np.ndarray, network: Network
) -> Optional[Veils]:
    """The veils of all crops; None = nothing is hidden.

    Args:
        batch: the people of the crops. Their neighbours are the _MOST whose boxes overlap most.
        certain: [N] bool, whether a person's place is known from keypoints. Other people are not
            hidden and hide no other person, because their box may be a second box of a known
            person.
        matrices: [N,2,3] from px of the frame to px of the input.
        network: gives the size of the input.
    """
    if np.count_nonzero(certain) < 2:
        return None
    shared = geometry.iou(batch.boxes, batch.boxes)
    shared *= (batch.which[:, None] == batch.which) & certain & certain[:, None]
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
    veil.draw(cells, of_crop[rows], _silhouettes(batch, who, rows, matrices[rows]))
    return Veils(of_crop, cells)


def _silhouettes(
    batch: CandidateBatch, who: np.ndarray, rows: np.ndarray, matrices: np.ndarray
) -> Silhouettes:
    """The silhouettes of people `who` [S] in the crops of `rows` [S]."""
    places = geometry.apply(matrices, batch.keypoints[who, points.BODY])
    known = batch.scores[who, points.BODY] > VISIBLE
    torsos = length_of(places[:, points.SHOULDERS] - places[:, points.HIPS])
    shoulders = length_of(places[:, points.SHOULDERS[0]] - places[:, points.SHOULDERS[1]])
    size = np.maximum((torsos[:, 0] + torsos[:, 1]) / 2, shoulders)
    own = who == rows
    return Silhouettes(places, known, size * np.where(own, _OWN, _HIDDEN), ~own)
