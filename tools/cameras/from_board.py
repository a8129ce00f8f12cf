"""Intrinsics of each camera and their places in the room, from a board that they saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import cv2
import numpy as np
from scipy.optimize import least_squares

from edge.errors import DataError
from edge.scene.rig import LENS_TERMS, Rig
from tools.cameras.boards import Board, Seen
from tools.cameras.optics import Optics, calibrated

FEWEST_VIEWS = 4
_MOST_VIEWS = 60  # of a camera, for its intrinsics: more add time and no accuracy
_UP = np.diag([1.0, -1.0, -1.0])  # z of the room points out of the board, OpenCV's into it
Pose = Tuple[np.ndarray, np.ndarray]  # turn [3,3], shift [3]


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A rig, and how well the corners fit to it."""

    rig: Rig
    own_px: np.ndarray  # [C] root mean square reprojection error of each camera's intrinsics
    rms_px: np.ndarray  # [C] of all cameras together, with one place of the board a moment
    views: List[int]  # pictures with a board, of each camera
    shared: List[int]  # moments of them that another camera saw too
    errors: List[np.ndarray]  # [n,2] px of each camera's corners, measured minus projected
    examples: List[np.ndarray]  # [P,2] px: all corners, projected into each camera's example


def calibrate(
    inner: Sequence[Seen], outer: Sequence[Seen], board: Board, fisheye: bool = False
) -> Calibrated:
    """Calibrate cameras.

    Args:
        inner: what each camera saw, for its intrinsics.
        outer: what each camera saw at common moments, for its place; may be the same.
        board: that they saw.
        fisheye: whether all lenses are of OpenCV's fisheye model.

    Raises:
        DataError: a camera saw too little, no lens fits to it, or no chain of common moments joins
            all cameras.
    """
    optics, own = zip(*[_optics(seen, board, fisheye) for seen in inner])
    poses = [
        {m: one.pose(board.corners[at], px) for m, (at, px) in seen.found.items()}
        for seen, one in zip(outer, optics)
    ]
    placed = _chained([s.name for s in outer], poses)
    cameras, moments = _adjusted(outer, board, optics, placed, poses)
    origin = _origin(poses, moments)
    rig = _rig(outer, cameras, moments[origin], optics)
    return _judged(rig, own, outer, board, cameras, moments, optics)


def _optics(seen: Seen, board: Board, fisheye: bool) -> Tuple[Optics, float]:
    if len(seen.found) < FEWEST_VIEWS:
        raise DataError(
            f"camera {seen.name!r}: the board was found in {len(seen.found)} of {seen.looks} "
            f"pictures; {FEWEST_VIEWS} or more are needed: check --board, show it nearer and slower"
        )
    moments = sorted(seen.found)
    chosen = [moments[i] for i in _spread(len(moments), _MOST_VIEWS)]
    views = [(board.corners[seen.found[m][0]], seen.found[m][1]) for m in chosen]
    return calibrated(seen.name, seen.size, views, fisheye)


def _spread(count: int, most: int) -> List[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def _chained(names: Sequence[str], poses: Sequence[Dict[int, Pose]]) -> List[Pose]:
    """Each camera's place in the axes of one of them, over cameras that saw the board together."""
    count = len(poses)
    common = np.array([[len(set(a) & set(b)) for b in poses] for a in poses])
    np.fill_diagonal(common, 0)
    first = int(common.sum(1).argmax())
    placed: Dict[int, Pose] = {first: (np.eye(3), np.zeros(3))}
    while len(placed) < count:
        rest = [c for c in range(count) if c not in placed]
        here = sorted(placed)
        links = common[np.ix_(here, rest)]
        if not links.any():
            apart = ", ".join(names[c] for c in rest)
            raise DataError(
                f"no moment shows the board to {apart} and to the other cameras together: move it "
                "where two cameras see it; pictures of one moment have one number"
            )
        a, b = np.unravel_index(links.argmax(), links.shape)
        near, far = here[int(a)], rest[int(b)]
        turn, shift = _relative(poses[near], poses[far])
        placed[far] = (turn @ placed[near][0], turn @ placed[near][1] + shift)
    return [placed[c] for c in range(count)]


def _relative(near: Dict[int, Pose], far: Dict[int, Pose]) -> Pose:
    """From one camera's axes to another's: the mean over common moments."""
    both = sorted(set(near) & set(far))
    turns = np.array([far[m][0] @ near[m][0].T for m in both])
    u, _, v = np.linalg.svd(turns.sum(0))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
    shifts = np.array([far[m][1] - far[m][0] @ near[m][0].T @ near[m][1] for m in both])
    return turn, np.median(shifts, 0)


def _adjusted(
    seen: Sequence[Seen],
    board: Board,
    optics: Sequence[Optics],
    placed: Sequence[Pose],
    poses: Sequence[Dict[int, Pose]],
) -> Tuple[List[Pose], Dict[int, Pose]]:
    """Bundle adjustment: places of the cameras and of the board at each moment."""
    moments = sorted({m for p in poses for m in p})
    start = [_first_guess(m, placed, poses) for m in moments]
    vectors = [np.concatenate((cv2.Rodrigues(t)[0].reshape(3), s)) for t, s in [*placed, *start]]
    rows = {m: len(placed) + i for i, m in enumerate(moments)}
    views = [(c, rows[m], *seen[c].found[m]) for c, p in enumerate(poses) for m in p]

    def errors(flat: np.ndarray) -> np.ndarray:
        all_poses = flat.reshape(-1, 6)
        off = [
            _projected(all_poses, c, row, board.corners[at], optics) - px
            for c, row, at, px in views
        ]
        return np.concatenate(off).reshape(-1)

    sparsity = _sparsity(views, len(vectors))
    solved = least_squares(
        errors, np.concatenate(vectors), jac_sparsity=sparsity, loss="huber", max_nfev=40
    ).x.reshape(-1, 6)
    final = [(cv2.Rodrigues(v[:3])[0], v[3:]) for v in solved]
    return final[: len(placed)], {m: final[rows[m]] for m in moments}


def _first_guess(moment: int, placed: Sequence[Pose], poses: Sequence[Dict[int, Pose]]) -> Pose:
    """The board in the room, as the first camera that saw it says."""
    c = next(c for c, p in enumerate(poses) if moment in p)
    (turn, shift), (board_turn, board_shift) = placed[c], poses[c][moment]
    return turn.T @ board_turn, turn.T @ (board_shift - shift)


def _projected(
    poses: np.ndarray,
    camera: int,
    row: int,
    corners: np.ndarray,
    optics: Sequence[Optics],
) -> np.ndarray:
    turn = cv2.Rodrigues(poses[row, :3])[0]
    room = corners @ turn.T + poses[row, 3:]
    return optics[camera].project(room, poses[camera, :3], poses[camera, 3:])


def _sparsity(views: Sequence[Tuple[int, int, np.ndarray, np.ndarray]], count: int) -> np.ndarray:
    sizes = [2 * len(at) for _, _, at, _ in views]
    pattern = np.zeros((sum(sizes), 6 * count), np.int8)
    begin = 0
    for (camera, row, _, _), size in zip(views, sizes):
        for which in (camera, row):
            pattern[begin : begin + size, 6 * which : 6 * which + 6] = 1
        begin += size
    return pattern


def _origin(poses: Sequence[Dict[int, Pose]], moments: Dict[int, Pose]) -> int:
    """The first moment at which most cameras saw the board."""
    return max(sorted(moments), key=lambda m: sum(m in p for p in poses))


def _rig(
    seen: Sequence[Seen],
    cameras: Sequence[Pose],
    board: Pose,
    optics: Sequence[Optics],
) -> Rig:
    """Cameras in the axes of the board at the origin's moment, z upwards out of it."""
    turns = [turn @ board[0] @ _UP for turn, _ in cameras]
    shifts = [turn @ board[1] + shift for turn, shift in cameras]
    return Rig(
        tuple(s.name for s in seen),
        np.array(turns),
        np.array(shifts),
        np.array([one.matrix for one in optics], np.float64),
        np.array([np.pad(o.terms, (0, LENS_TERMS - len(o.terms))) for o in optics]),
        np.array([one.fisheye for one in optics]),
        np.array([s.size for s in seen], np.float64),
    )


def _judged(
    rig: Rig,
    own: Sequence[float],
    seen: Sequence[Seen],
    board: Board,
    cameras: Sequence[Pose],
    moments: Dict[int, Pose],
    optics: Sequence[Optics],
) -> Calibrated:
    rows = {m: len(cameras) + i for i, m in enumerate(moments)}
    flat = np.array(
        [
            np.concatenate((cv2.Rodrigues(t)[0].reshape(3), s))
            for t, s in [*cameras, *moments.values()]
        ]
    )
    errors, examples = [], []
    for c, one in enumerate(seen):
        off = [
            px - _projected(flat, c, rows[m], board.corners[at], optics)
            for m, (at, px) in one.found.items()
        ]
        errors.append(np.concatenate([np.zeros((0, 2)), *off]))
        at = rows.get(one.example_at)
        examples.append(
            np.zeros((0, 2)) if at is None else _projected(flat, c, at, board.corners, optics)
        )
    shared = [
        sum(any(m in o.found for o in seen if o is not one) for m in one.found) for one in seen
    ]
    rms = np.array([np.sqrt(np.square(e).sum(1).mean()) if len(e) else np.nan for e in errors])
    return Calibrated(
        rig, np.array(own), rms, [len(s.found) for s in seen], shared, errors, examples
    )
