"""Joint angles in the picture; edge.people.angles is the way in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Dict, List, Sequence, Tuple

import numpy as np

from edge.people.limbs import Limbs, between_deg, noise_deg

# The likely error of a keypoint of score 1, in heights; tools/benches/_noise.py uses the same.
_NOISE_H = 0.008
# Widths between the joints of both shoulders and both hips, in heights: Drillis and Contini (1966).
_SHOULDERS_H, _HIPS_H = 0.22, 0.11
# Lengths of limbs in heights, from the same source.
_LENGTHS_H = {"upper_arm": 0.186, "forearm": 0.146}
# People differ by about this share from the mean proportions; a limb this little shorter is not
# taken as pointing towards the camera.
_TOLERANCE = 0.92
_STEEPEST_DEG = 75.0  # beyond, the movement cannot be turned back into its plane

Column = Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Movement:
    """What a name such as left_hip_abduction means."""

    side: str
    kind: str  # bend | ankle | swing
    names: Tuple[str, str, str]  # joint, its neighbour towards the trunk, the other one
    of_hip: bool
    outward: bool

    @staticmethod
    @lru_cache(maxsize=None)
    def of(name: str) -> _Movement:
        side, _, movement = name.partition("_")
        joint, first, second = (f"{side}_{part}" for part in POINTS[movement])
        kind = {"knee_flexion": "bend", "elbow_flexion": "bend", "ankle_dorsiflexion": "ankle"}
        return _Movement(
            side,
            kind.get(movement, "swing"),
            (joint, first, second),
            movement.startswith("hip"),
            movement.endswith("abduction"),
        )


class Body:
    """What the angles of N people have in common.

    Args:
        limbs: points [N,2] px.
        tall: [N] px standing heights.
    """

    def __init__(self, limbs: Limbs, tall: np.ndarray) -> None:
        self._limbs, self._tall = limbs, np.maximum(np.asarray(tall, np.float64), 1e-6)
        self._hips, self._hips_score = limbs.middle("hip")
        self._shoulders, self._shoulders_score = limbs.middle("shoulder")
        self._turn_deg = self._seen_turn_deg()

    def __len__(self) -> int:
        return len(self._tall)

    def angles(self, names: Sequence[str], planes: Sequence[str]) -> Column:
        """Degrees, score, angle off the plane, error: each [N,A]."""
        columns: List[Column] = [self._unknown()] * len(names)
        limbs = [i for i, n in enumerate(names) if planes[i] != "space" and n[:5] != "trunk"]
        for i, (name, plane) in enumerate(zip(names, planes)):
            if plane != "space" and name[:5] == "trunk":
                columns[i] = self._trunk(name.partition("_")[2], plane)
        if limbs:
            found = self._of_limbs([names[i] for i in limbs], [planes[i] for i in limbs])
            for row, i in enumerate(limbs):
                columns[i] = found[0][row], found[1][row], found[2][row], found[3][row]
        degrees, score, off_deg, error = (np.stack(column, 1) for column in zip(*columns))
        return degrees, score, off_deg, error

    def _of_limbs(self, names: Sequence[str], planes: Sequence[str]) -> Column:
        """Angles of arms and legs, all at once: [A,N] each."""
        movements = [_Movement.of(name) for name in names]
        each = [self._ends(movement) for movement in movements]
        ends = np.stack([one[0][0] for one in each]), np.stack([one[0][1] for one in each])
        score = np.stack([self._limbs.weakest(one[1]) for one in each])
        off_deg = np.stack(
            [self._off_plane_deg((ends[0][i], ends[1][i]), plane) for i, plane in enumerate(planes)]
        )
        raw = self._values(ends, movements)
        turned = _turned_back(ends[0], off_deg), _turned_back(ends[1], off_deg)
        bias = np.abs(self._values(turned, movements) - raw)
        sigmas = self._sigma_px(
            np.stack([[self._limbs.scores[n] for n in one[1][:3]] for one in each], 1)
        )
        noise = noise_deg(ends, (sigmas[0], sigmas[1], sigmas[2]))
        return _column(raw, score, off_deg, noise, bias)

    def _ends(self, movement: _Movement) -> Tuple[Tuple[np.ndarray, np.ndarray], List[str]]:
        """Vectors from a joint to its neighbours; names of joint, both neighbours, and the rest."""
        joint, first, second = movement.names
        at = self._limbs.points
        start = at[f"{movement.side}_heel"] if movement.kind == "ankle" else at[joint]
        toward, names = at[first] - at[joint], [joint, first, second]
        if movement.outward:  # against the middle of the trunk: hips are narrower
            down = self._hips - self._shoulders
            toward = -down if movement.of_hip else down
            names += [f"{s}_{part}" for s in ("left", "right") for part in ("hip", "shoulder")]
        return (toward, at[second] - start), names

    def _values(
        self, ends: Tuple[np.ndarray, np.ndarray], movements: Sequence[_Movement]
    ) -> np.ndarray:
        """The angle [A,N] of two limbs each, by the convention of the movement."""
        found = between_deg(*ends)
        for i, movement in enumerate(movements):
            if movement.kind == "swing":
                found[i] = self._swing((ends[0][i], ends[1][i]), movement)
            else:
                found[i] = (90 if movement.kind == "ankle" else 180) - found[i]
        return found

    def _swing(self, ends: Tuple[np.ndarray, np.ndarray], movement: _Movement) -> np.ndarray:
        """The trunk points down, the limb hangs: flexion turns it forwards, abduction outwards."""
        toward, away = ends
        positive = self._outward(movement.side) if movement.outward else self._facing
        turned = _signed_deg(-toward if movement.of_hip else toward, away)
        signed = turned * -positive
        whole = np.where(signed < -90, signed + 360, signed)
        return np.where(positive == 0, np.abs(turned), whole)

    def trunk(self) -> Tuple[np.ndarray, np.ndarray]:
        """Lean and side bend [N,2] deg, NaN = not seen; how far off their planes they are seen."""
        score = np.minimum(self._hips_score, self._shoulders_score)
        up, missing = self._shoulders - self._hips, (score <= 0)[:, None]
        each = [self._lean(up, self._trunk_sign(movement)) for movement in ("lean", "side_bend")]
        off_deg = np.stack((self._turn_deg, 90 - self._turn_deg), 1)
        off_deg = np.where(missing | np.isnan(off_deg), 90, off_deg)
        return np.where(missing, np.nan, np.stack(each, 1)), off_deg

    def _trunk(self, movement: str, plane: str) -> Column:
        up = self._shoulders - self._hips
        score = np.minimum(self._hips_score, self._shoulders_score)
        positive = self._trunk_sign(movement)
        off_deg = self._off_plane_deg((up, up), plane)
        raw = self._lean(up, positive)
        bias = np.abs(self._lean(_turned_back(up, off_deg), positive) - raw)
        sigma = self._sigma_px(score) / np.sqrt(2)  # the middle of two points
        noise = np.degrees(np.sqrt(2) * sigma / np.maximum(np.hypot(up[:, 0], up[:, 1]), 1e-9))
        return _column(raw, score, off_deg, noise, bias)

    def _trunk_sign(self, movement: str) -> np.ndarray:
        return self._facing if movement == "lean" else self._outward("left")

    @staticmethod
    def _lean(up: np.ndarray, positive: np.ndarray) -> np.ndarray:
        """Angle [N] of a vector from upright; unsigned where the positive side is not known."""
        turned = np.degrees(np.arctan2(up[:, 0], -up[:, 1]))
        return np.where(positive == 0, np.abs(turned), turned * positive)

    @cached_property
    def _facing(self) -> np.ndarray:
        """1 = the person looks to the right of the picture, -1 = to the left, 0 = not known [N]."""
        at, scores = self._limbs.points, self._limbs.scores
        ahead = np.zeros(len(self._tall))
        for front, back in (("nose", "left_ear"), ("nose", "right_ear")):
            both = (scores[front] > 0) & (scores[back] > 0)
            ahead += np.where(both, (at[front] - at[back])[:, 0], 0)
        for side in ("left", "right"):
            toe, heel = f"{side}_big_toe", f"{side}_heel"
            both = (scores[toe] > 0) & (scores[heel] > 0)
            ahead += np.where(both, (at[toe] - at[heel])[:, 0], 0)
        return np.where(np.abs(ahead) > 0.02 * self._tall, np.sign(ahead), 0.0)

    def _seen_turn_deg(self) -> np.ndarray:
        """Angle [N] between the view and the person's side: 0 = from the side, 90 = from the front.

        From the widths of shoulders and hips across the trunk. One shoulder that hides the other is
        a view from the side. NaN = neither is seen.
        """
        scores = self._limbs.scores
        wide_h = np.maximum(self._width_h("shoulder", _SHOULDERS_H), self._width_h("hip", _HIPS_H))
        known = (self._shoulders_score > 0) | (self._hips_score > 0)
        one = (scores["left_shoulder"] > 0) ^ (scores["right_shoulder"] > 0)
        turn = np.degrees(np.arcsin(np.clip(wide_h, 0, 1)))
        return np.where(known, turn, np.where(one, 0.0, np.nan))

    def _width_h(self, part: str, share: float) -> np.ndarray:
        """Width across the trunk over the width that a view from the front would show."""
        across = self._limbs.points[f"left_{part}"] - self._limbs.points[f"right_{part}"]
        both = self._limbs.weakest([f"left_{part}", f"right_{part}"]) > 0
        return np.where(both, np.abs(across[:, 0]) / (share * self._tall), 0)

    def _off_plane_deg(self, ends: Tuple[np.ndarray, np.ndarray], plane: str) -> np.ndarray:
        if plane == "sagittal":
            return self._turn_deg
        if plane == "frontal":
            return 90 - self._turn_deg
        shares = (_LENGTHS_H["upper_arm"], _LENGTHS_H["forearm"])
        seen = [
            np.linalg.norm(end, axis=1) / (_TOLERANCE * share * self._tall)
            for end, share in zip(ends, shares)
        ]
        return np.degrees(np.arccos(np.clip(np.minimum(*seen), 0, 1)))

    def _outward(self, side: str) -> np.ndarray:
        """Sign [N] of x that leads away from the body on that side; 0 = not known."""
        step = self._limbs.points["left_shoulder"] - self._limbs.points["right_shoulder"]
        sign = np.sign(step[:, 0]) * (self._shoulders_score > 0)
        return sign if side == "left" else -sign

    def _sigma_px(self, scores: np.ndarray) -> np.ndarray:
        return _NOISE_H * self._tall / np.maximum(scores, 0.05)

    def _unknown(self) -> Column:
        n = len(self._tall)
        return np.full(n, np.nan), np.zeros(n), np.full(n, 90.0), np.full(n, 180.0)


# Movement -> the joint, its neighbour towards the trunk, its neighbour away from it.
POINTS: Dict[str, Tuple[str, str, str]] = {
    "knee_flexion": ("knee", "hip", "ankle"),
    "elbow_flexion": ("elbow", "shoulder", "wrist"),
    "hip_flexion": ("hip", "shoulder", "knee"),
    "hip_abduction": ("hip", "shoulder", "knee"),
    "shoulder_flexion": ("shoulder", "hip", "elbow"),
    "shoulder_abduction": ("shoulder", "hip", "elbow"),
    "ankle_dorsiflexion": ("ankle", "knee", "big_toe"),
}


def _signed_deg(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Turn [N] from one vector [N,2] to another, -180..180, clockwise on the screen."""
    cross = start[:, 0] * end[:, 1] - start[:, 1] * end[:, 0]
    return np.asarray(np.degrees(np.arctan2(cross, (start * end).sum(1))))


def _turned_back(vectors: np.ndarray, off_deg: np.ndarray) -> np.ndarray:
    """Vectors [...,2] as they would be if their plane were the picture's.

    A plane that is turned about the vertical shortens what is horizontal by the cosine.
    """
    turned = vectors.copy()
    turned[..., 0] /= np.cos(np.radians(np.fmin(off_deg, _STEEPEST_DEG)))  # fmin: NaN is steep
    return turned


def _column(
    degrees: np.ndarray, score: np.ndarray, off_deg: np.ndarray, noise: np.ndarray, bias: np.ndarray
) -> Column:
    """The error in the plane of the movement: turned back into it, noise grows, too."""
    missing = score <= 0
    off_deg = np.where(missing | np.isnan(off_deg), 90, off_deg)
    cos = np.cos(np.radians(np.minimum(off_deg, _STEEPEST_DEG)))
    error = np.where(off_deg > _STEEPEST_DEG, 90, np.hypot(noise / cos, bias))
    return (
        np.where(missing, np.nan, degrees),
        score,
        off_deg,
        np.where(missing, 180, np.minimum(error, 180)),
    )
