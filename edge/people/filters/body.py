"""A Kalman filter of all keypoints of a body at once.

The state of a person is the positions and velocities of COCO's 17 keypoints; x and y share one
covariance [34,34]. Accelerations of neighbouring keypoints are correlated (together.py), so that a
keypoint is predicted from its neighbours as much as from its own past. What measurements of the
same frame say of a keypoint is also the test for outliers: it is compared with the place that all
others give it.

Velocities are those of a body that keeps moving, and of limbs whose own velocity decays: Singer's
model (IEEE Trans. AES 6, 1970), one order lower. The process noise of a person follows the
innovations: it is small for somebody who stands, and large in a leap (Mehra, IEEE Trans. AC 15,
1970).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from edge.people.filters.bones import Bones
from edge.people.filters.doubt import BELIEVED, doubted
from edge.people.filters.inverse import inverse
from edge.people.filters.motion_noise import ACCELERATION_S, spread, transition
from edge.people.filters.sighting import Filtered, Sighting, Sureness, moved
from edge.people.filters.together import covariance
from edge.settings.config import Smooth

LEAD_S = 0.003  # a filter's velocity is too small by what it believes its prediction; this is it
UNKNOWN_H2 = 1.0  # variance of an unknown position: the first measurement is taken as it is
_START_S = 0.5  # the velocity of a new person is what accelerations give in this time
_TORSO = np.zeros(17, np.float32)
_TORSO[[5, 6, 11, 12]] = 0.25
_SURE = 0.9  # a person all of whose measurements are believed by more is not judged again
REJECTED_SHARE = 0.05  # of a sure outlier's squared distance is added to the variance
# The process noise of a person, as a share of the table, and how fast it follows.
_LEAST_AGILE, _MOST_AGILE = 0.02, 4.0
_AGILE_S = 0.3
_AGILE_STEP = (-1.0, 3.0)


@dataclass
class _Covariance:
    """The covariance of positions, of both, and of velocities: [N,17,17] H², H²/s, H²/s²."""

    place: np.ndarray
    both: np.ndarray  # row: position, column: velocity
    speed: np.ndarray


class BodyFilter:
    """Filters the bodies of all people of one camera. Rows are moved by `move`."""

    def __init__(self, options: Smooth) -> None:
        self._options = options
        j = len(_TORSO)
        density = covariance() * options.q**2 * ACCELERATION_S
        self._density = density.astype(np.float32)
        self._torso = _TORSO
        self._places = np.zeros((0, j, 2), np.float32)
        self._speeds = np.zeros((0, j, 2), np.float32)
        self._p = _Covariance(*(np.zeros((0, j, j), np.float32) for _ in range(3)))
        self._agile = np.ones((0, 1, 1), np.float32)
        self._sure = Sureness(j)
        self._bones = Bones()

    def move(self, source: np.ndarray) -> None:
        """Make row i of row source[i], or of a new person if source[i] is -1."""
        new = source < 0
        self._places, self._speeds = moved(self._places, source), moved(self._speeds, source)
        p = self._p
        self._p = _Covariance(*(moved(block, source) for block in (p.place, p.both, p.speed)))
        self._agile = moved(self._agile, source)
        self._sure.move(source, new)
        self._bones.move(source)
        self._speeds[new], self._p.both[new], self._agile[new] = 0, 0, 1
        self._p.place[new] = UNKNOWN_H2 * np.eye(len(self._torso))
        self._p.speed[new] = self._density * _START_S

    def predict(self, dt_s: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Predict the first N people, those of a frame that comes `dt_s` [N,1] later.

        Returns:
            Places [N,J,2] px, NaN where the filter has not begun, and their variances [N,J] H².
        """
        n = len(dt_s)
        self._predict(self._places[:n], self._speeds[:n], self._rows(n), dt_s)
        known = self._sure.known(n)[..., None]
        return np.where(known, self._places[:n], np.float32(np.nan)), _diagonal(self._p.place[:n])

    def update(self, seen: Sighting) -> Filtered:
        """Update the people that were predicted."""
        n = len(seen.points)
        p, places, speeds = self._rows(n), self._places[:n], self._speeds[:n]
        known = self._sure.known(n)
        places[~known] = seen.points[~known]
        predicted, speed, variance = places.copy(), speeds.copy(), _diagonal(p.place).copy()
        noise_h2 = seen.noise_h2(self._options.r)
        belief = self._update(places, speeds, p, seen, noise_h2, known)
        variance += noise_h2
        belief *= seen.scores > 0
        taken = belief > BELIEVED
        self._bones.learn(seen, taken)
        ended = self._sure.note(seen, taken, self._options.min_score, self._options.coast_s)
        self._restart(ended, speeds, p)
        shown = places + LEAD_S * speeds * (taken & known)[..., None]
        shown = np.where(self._sure.known(n)[..., None], shown, seen.points)
        scores = self._sure.published(seen)
        return Filtered(shown, scores, predicted, speed, variance, known, belief)

    def _rows(self, n: int) -> _Covariance:
        return _Covariance(self._p.place[:n], self._p.both[:n], self._p.speed[:n])

    def body_speed(self, n: int) -> np.ndarray:
        """Velocity [n,1,2] px/s of the torsos of the first n people."""
        return np.asarray((self._torso @ self._speeds[:n])[:, None])

    def _predict(
        self, places: np.ndarray, speeds: np.ndarray, p: _Covariance, dt_s: np.ndarray
    ) -> None:
        """Move positions by velocities; limbs lose velocity, the body keeps its own."""
        dt = dt_s[..., None]
        keep, reach = transition(dt)
        place, both, speed = spread(dt)
        body = (self._torso @ speeds)[:, None]
        places += (speeds - body) * reach + body * dt
        speeds += (keep - 1) * (speeds - body)
        density = self._density * self._agile[: len(places)]
        # A velocity becomes M v, with M = own I + body 1 torso'. So M C N' has three terms.
        moving, turning = (reach, dt - reach), (keep, 1 - keep)
        carried, mixed = self._spread(p.speed, moving, moving), p.both @ self._torso
        late = reach * p.both + (dt - reach) * mixed[..., None]
        p.place += late + _turned(late) + carried + density * place
        p.both *= keep
        p.both += (1 - keep) * mixed[..., None] + self._spread(p.speed, moving, turning)
        p.both += density * both
        p.speed[:] = self._spread(p.speed, turning, turning) + density * speed

    def _spread(
        self,
        matrix: np.ndarray,
        rows: Tuple[np.ndarray, np.ndarray],
        columns: Tuple[np.ndarray, np.ndarray],
    ) -> np.ndarray:
        """M C N' of symmetric matrices C [N,J,J], where M and N = own I + body 1 torso'."""
        (own, body), (own_too, body_too) = rows, columns
        mean = (matrix @ self._torso)[..., None]
        whole = self._torso @ mean  # [N,1]
        right = own * body_too * mean + body * body_too * whole[:, None]
        return np.asarray(own * own_too * matrix + right + body * own_too * _turned(mean))

    def _update(
        self,
        places: np.ndarray,
        speeds: np.ndarray,
        p: _Covariance,
        seen: Sighting,
        noise_h2: np.ndarray,
        known: np.ndarray,
    ) -> np.ndarray:
        """Update positions, velocities and covariances in place; returns beliefs [N,J]."""
        tall = seen.heights_px[..., None]
        off = (seen.points - places) / tall * (seen.scores > 0)[..., None]
        belief, precision = self._judged(off, p.place, noise_h2, self._bones.doubt(seen))
        pull = precision @ off
        self._adapt(pull, precision, p.place, known, seen.dt_s)
        if places.size:
            sure = (belief <= BELIEVED) & (seen.scores > self._options.min_score)
            far = sure * (np.float32(REJECTED_SHARE) * _squared(off))
            _absorb(p, precision, places, speeds, pull, tall)
            _diagonal(p.place)[:] += far
        return belief

    def _judged(
        self, off: np.ndarray, place: np.ndarray, noise_h2: np.ndarray, grows: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Beliefs [N,J] and the inverse [N,J,J] of the innovations' covariance, outliers weighed.

        A bone that is too long makes the variance of its outer end grow, but not what is believed.

        A person with a doubtful measurement is judged twice: an outlier also makes its neighbours
        look wrong, until it counts less.
        """
        gate = self._options.gate
        found = _inverse(place, noise_h2 * grows)
        belief, weighed = _left_out(off, found, noise_h2 * grows, noise_h2, gate)
        weighed *= grows
        again = np.flatnonzero((belief < _SURE).any(1))
        if len(again):
            off, place, noise_h2, weighed = (v[again] for v in (off, place, noise_h2, weighed))
            first = _inverse(place, weighed)
            belief[again], weighed = _left_out(off, first, weighed, noise_h2, gate)
            found[again] = _inverse(place, weighed * grows[again])
        return belief, found

    def _adapt(
        self,
        pull: np.ndarray,
        precision: np.ndarray,
        place: np.ndarray,
        known: np.ndarray,
        dt_s: np.ndarray,
    ) -> None:
        """Let the process noise of each person follow the share of innovations that it explains.

        The step is the gradient of the innovations' log likelihood by the log of the scale, over
        what it is on average.
        """
        gained = place @ pull
        gained *= pull
        found = ((gained[..., 0] + gained[..., 1]) * known).sum(1) / 2
        expected = np.einsum("njk,njk,nj->n", place, precision, known)
        step = (found - expected) / np.maximum(expected, 1e-9)
        step *= np.minimum(1, expected / np.maximum(known.sum(1), 1))
        gain = -np.expm1(-dt_s[:, 0] / _AGILE_S)
        agile = self._agile[: len(step), 0, 0]
        agile *= np.exp(gain * np.clip(step, *_AGILE_STEP))
        np.clip(agile, _LEAST_AGILE, _MOST_AGILE, out=agile)

    def _restart(self, ended: np.ndarray, speeds: np.ndarray, p: _Covariance) -> None:
        """Forget keypoints [N,J] whose filter ended: position unknown, no velocity."""
        if not ended.any():
            return
        stays = ~ended
        pairs = stays[:, :, None] & stays[:, None]
        for block in (p.place, p.both, p.speed):
            block *= pairs
        speeds *= stays[..., None]
        _diagonal(p.place)[ended] = UNKNOWN_H2
        _diagonal(p.speed)[:] += ended * np.diag(self._density) * _START_S


def _absorb(
    p: _Covariance,
    precision: np.ndarray,
    places: np.ndarray,
    speeds: np.ndarray,
    pull: np.ndarray,
    tall: np.ndarray,
) -> None:
    """Kalman's update; `precision` inverts the covariance of the innovations y, `pull` is its y."""
    back = _turned(p.both)
    places += p.place @ pull * tall
    speeds += back @ pull * tall
    of_place, of_speed = p.place @ precision, back @ precision
    # Rounding would break the symmetry a little more with each frame.
    p.speed -= _symmetric(of_speed @ p.both)
    p.both -= of_place @ p.both
    p.place -= _symmetric(of_place @ p.place)


def _left_out(
    off: np.ndarray,
    precision: np.ndarray,
    weighed_h2: np.ndarray,
    noise_h2: np.ndarray,
    gate: float,
) -> Tuple[np.ndarray, np.ndarray]:
    """Judge each measurement by the place that all others give it.

    From the inverse of a covariance, the error of leave-one-out prediction i is (S⁻¹ y)_i / S⁻¹_ii
    and its variance 1 / S⁻¹_ii (Rasmussen and Williams 2006, section 5.4.2).
    """
    alone = 1 / _diagonal(precision)
    distance_h2 = _squared(precision @ off) * np.square(alone)
    return doubted(distance_h2, np.maximum(alone - weighed_h2, 0), noise_h2, gate)


def _inverse(place: np.ndarray, noise_h2: np.ndarray) -> np.ndarray:
    total = place.copy()
    _diagonal(total)[:] += noise_h2
    return inverse(total)


def _diagonal(matrices: np.ndarray) -> np.ndarray:
    """The diagonals [N,J] of matrices [N,J,J]; a view that can be written."""
    return np.einsum("njj->nj", matrices)


def _squared(pairs: np.ndarray) -> np.ndarray:
    """Squared lengths [...] of vectors [...,2]; sum(-1) of two takes five times as long."""
    return np.asarray(np.square(pairs[..., 0]) + np.square(pairs[..., 1]))


def _symmetric(matrices: np.ndarray) -> np.ndarray:
    return np.asarray((matrices + _turned(matrices)) / 2)


def _turned(matrices: np.ndarray) -> np.ndarray:
    return matrices.transpose(0, 2, 1)
