"""The people of a room that several cameras see. One Room serves one scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from edge.people.joint_limits import limited
from edge.scene import bones, filter3d, tracks
from edge.scene.matching import LIMIT_M, Bodies, assigned, costs, grouped
from edge.scene.pairing import Views
from edge.scene.rig import Rig
from edge.scene.tracks import Tracks
from edge.scene.triangulate import Solved, solve
from edge.scene_structures import Joints, SceneFrame
from edge.skeletons import Skeleton, get
from edge.structures import VISIBLE

MAX_ERROR_M = 0.10  # a view that is farther off its joint, across the ray, is not used
_BODY = get("coco17")
_KNOWN_AS_M = 0.06  # somebody with the same id in the camera as before costs this much less
_DRIFT_M = 0.20  # limit for people who are known; LIMIT_M is for new ones
_JUDGED = 4  # joints in common by which a camera's person is judged
_FITTING = 0.35  # share of them that must fit, else it is somebody else
_LEAST_JOINTS = 5  # of the body; with fewer nobody is claimed
_KEPT_NS = 1_000_000_000  # people who are not seen for longer are forgotten
_TWO_VIEWS_HITS = 4  # instants before somebody is told whom two cameras see
_MORE_VIEWS_HITS = 2
_SAME_M = 0.15  # two people of disjoint cameras this near to each other are one


@dataclass(frozen=True, eq=False)
class _Found:
    """G people at one instant, and what they stand on."""

    members: np.ndarray  # [G,C] i64 row of Views; -1 = not in this camera
    solved: Solved
    weights: np.ndarray  # [C,G,K] of the views

    def take(self, rows: np.ndarray) -> _Found:
        s = self.solved
        part = Solved(s.points[rows], s.fits[:, rows], s.errors_m[:, rows])
        return _Found(self.members[rows], part, self.weights[:, rows])


class Room:
    """Joins the people of all cameras at each instant, and gives each person one id.

    Ids start at 1 and rise; none is used twice. Somebody whom fewer than two cameras see is not
    told. Time is an argument and must rise; if it goes back, everybody is new.

    Args:
        name: of the scene.
        rig: its cameras.
        skeleton: keypoints of the poses.
        hold_bones: give upper and lower limbs the length that was learned of the person, and
            elbows and knees angles that they can have.
    """

    def __init__(self, name: str, rig: Rig, skeleton: Skeleton, hold_bones: bool = True) -> None:
        self.rig = rig
        self._name, self._skeleton, self._hold = name, skeleton, hold_bones
        self._body = skeleton.body17
        self._tracks = tracks.nobody(len(skeleton), len(rig))
        self._next_id = 1
        self._last_ns = 0

    @property
    def skeleton(self) -> str:
        """Name of the keypoint set."""
        return self._skeleton.name

    def number_after(self, other: Room) -> None:
        """Continue after the ids that another room gave."""
        self._next_id = max(self._next_id, other._next_id)

    def __call__(self, views: Views) -> SceneFrame:
        """The people at an instant.

        Args:
            views: of all cameras; borrowed.
        """
        now = self._predicted(views.t_ns)
        flat = self.rig.directions(views.camera, views.keypoints)
        weights = np.where((views.scores > VISIBLE) & np.isfinite(flat).all(-1), views.scores, 0.0)
        flat = np.where(weights[..., None] > 0, flat, 0.0)
        members = self._members(now, views, flat, weights)
        found = self._solved(now, members, flat, weights)
        now, found = self._with_new(now, found, views)
        now, found = self._merged(self._updated(now, found, views), found)
        self._tracks, self._last_ns = now, views.t_ns
        return self._told(now, found, views)

    def _predicted(self, t_ns: int) -> Tracks:
        now = self._tracks
        dt_s = (t_ns - self._last_ns) * 1e-9
        if dt_s < 0:
            return tracks.nobody(len(self._skeleton), len(self.rig))
        kept = t_ns - now.seen_ns <= _KEPT_NS
        now = now if kept.all() else now.take(kept)
        return now.at(filter3d.predict(now.state, dt_s))

    def _members(
        self, now: Tracks, views: Views, flat: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """People of the cameras [G,C] for everybody known, then for new people."""
        bodies = self._bodies(views.camera, flat, weights)
        there = filter3d.known(now.state)[:, self._body] & (self._body >= 0)
        table = costs(self.rig, filter3d.points(now.state)[:, self._body], there, bodies)
        table -= _KNOWN_AS_M * (now.seen_as[:, views.camera] == views.ids)
        of_known = assigned(table, views.camera, len(self.rig), _DRIFT_M - _KNOWN_AS_M)
        free = np.ones(len(views), bool)
        free[of_known[of_known >= 0]] = False
        rows = np.flatnonzero(free)
        if len(rows) < 2:
            return of_known
        groups = grouped(self.rig, bodies.take(rows), LIMIT_M)
        return np.concatenate((of_known, np.where(groups >= 0, rows[groups], -1)))

    def _bodies(self, camera: np.ndarray, flat: np.ndarray, weights: np.ndarray) -> Bodies:
        return Bodies(camera, flat[:, self._body], weights[:, self._body] * (self._body >= 0))

    def _solved(
        self, now: Tracks, members: np.ndarray, flat: np.ndarray, weights: np.ndarray
    ) -> _Found:
        known = np.where(filter3d.known(now.state)[..., None], filter3d.points(now.state), np.nan)
        expected = np.full((len(members), *known.shape[1:]), np.nan)
        expected[: len(now)] = known
        there = (members >= 0).T[..., None]
        rows = np.maximum(members.T, 0)
        if not len(flat):
            flat, weights = np.zeros((1, *flat.shape[1:])), np.zeros((1, *weights.shape[1:]))
        of_view = np.where(there, weights[rows], 0.0)
        solved = solve(self.rig, flat[rows], of_view, MAX_ERROR_M, expected)
        return self._judged(_Found(members, solved, of_view))

    def _judged(self, found: _Found) -> _Found:
        """Leave out a camera's person of whom too little fits: it is somebody else."""
        s = found.solved
        body = self._body[self._body >= 0]
        compared = np.isfinite(s.errors_m[..., body]) & np.isfinite(s.points[:, body, 0])
        common, fitting = compared.sum(-1), s.fits[..., body].sum(-1)  # [C,G]
        wrong = (common >= _JUDGED) & (fitting < _FITTING * common)
        members = np.where(wrong.T, -1, found.members)
        fits = s.fits & ~wrong[..., None]
        alone = fits.sum(0) < 2
        points = np.where(alone[..., None], np.nan, s.points)
        joints = np.isfinite(points[:, body, 0]).sum(1)
        enough = (joints >= _LEAST_JOINTS) & ((members >= 0).sum(1) >= 2)
        solved = Solved(
            np.where(enough[:, None, None], points, np.nan),
            fits & ~alone & enough[:, None],
            s.errors_m,
        )
        return _Found(np.where(enough[:, None], members, -1), solved, found.weights)

    def _with_new(self, now: Tracks, found: _Found, views: Views) -> Tuple[Tracks, _Found]:
        """Tracks for the groups of nobody known."""
        there = np.asarray((found.members >= 0).any(1))
        there[: len(now)] = True
        found = found.take(there)
        count = len(found.members) - len(now)
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        fresh = tracks.new(ids, len(self._skeleton), len(self.rig), views.t_ns)
        return tracks.join(now, fresh), found

    def _updated(self, now: Tracks, found: _Found, views: Views) -> Tracks:
        s, seen = found.solved, np.asarray((found.members >= 0).any(1))
        count = s.fits.sum(0)
        sure = np.where(s.fits, found.weights, 0.0).sum(0)
        doubted = np.maximum(found.weights.sum(0), 1e-9)
        # The mean score of the views that fit, times the share of all views that they are.
        scores = sure / np.maximum(count, 1) * sure / doubted
        state, used = filter3d.correct(now.state, s.points, scores, count)
        ids = np.append(views.ids, -1)[found.members]  # -1 -> the appended one
        lengths, samples = now.lengths.copy(), now.samples.copy()
        measured = used[:, self._body] & (self._body >= 0) & seen[:, None]
        bones.learn(lengths, samples, filter3d.points(state)[:, self._body], measured)
        return Tracks(
            now.ids,
            state,
            np.where(seen, views.t_ns, now.seen_ns),
            now.hits + seen,
            np.where(found.members >= 0, ids, np.where(seen[:, None], -1, now.seen_as)),
            lengths,
            samples,
        )

    def _merged(self, now: Tracks, found: _Found) -> Tuple[Tracks, _Found]:
        """Two people whom different cameras see at one place are one: the older id stays."""
        if len(now) < 2:
            return now, found
        at = np.where(filter3d.known(now.state)[..., None], filter3d.points(now.state), np.nan)[
            :, self._body
        ]
        off = np.linalg.norm(at[:, None] - at[None], axis=-1)
        both = np.isfinite(off)
        mean = np.where(both, np.minimum(off, 1.0), 0.0).sum(-1) / np.maximum(both.sum(-1), 1)
        here = found.members >= 0
        apart = ~(here[:, None] & here[None]).any(-1)
        same = (both.sum(-1) >= _LEAST_JOINTS) & (mean < _SAME_M) & apart
        gone = np.triu(same, 1).any(0)
        if not gone.any():
            return now, found
        return now.take(~gone), found.take(~gone)

    def _told(self, now: Tracks, found: _Found, views: Views) -> SceneFrame:
        cameras = (found.members >= 0).sum(1)
        needed = np.where(cameras > 2, _MORE_VIEWS_HITS, _TWO_VIEWS_HITS)
        tell = (cameras >= 2) & (now.hits >= needed)
        now, found = now.take(tell), found.take(tell)
        points, scores = self._held(now, filter3d.shown_scores(now.state))
        errors = self._errors_px(points, scores, found, views)
        ids = np.append(views.ids, -1)[found.members]
        return SceneFrame(
            self._name,
            views.t_ns,
            self._skeleton.name,
            self.rig.names,
            views.live.copy(),
            Joints(
                np.where(scores[..., None] > 0, points, 0).astype(np.float32),
                scores.astype(np.float32),
                "views",
            ),
            now.ids.copy(),
            ids.astype(np.int64),
            errors.astype(np.float32),
        )

    def _held(self, now: Tracks, scores: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Points and scores with limbs of their lengths; hands and feet move with their joint."""
        points, scores = filter3d.points(now.state).copy(), scores.copy()
        if not self._hold or (self._body < 0).any():
            return points, scores
        body = points[:, self._body]
        there = scores[:, self._body] > 0
        wrong = bones.wrong_ends(body, there, now.lengths)
        scores[:, self._body] = np.where(wrong, 0.0, scores[:, self._body])
        there &= ~wrong
        moved = bones.held(body, there, scores[:, self._body], now.lengths)
        moved = limited(moved, scores[:, self._body], _BODY)
        for part, joint in (("left_hand", 9), ("right_hand", 10)):
            rows = self._skeleton.parts[part]
            points[:, rows] += (moved[:, joint] - body[:, joint])[:, None]
        points[:, self._body] = moved
        return points, scores

    def _errors_px(
        self, points: np.ndarray, scores: np.ndarray, found: _Found, views: Views
    ) -> np.ndarray:
        there = found.solved.fits & (scores > 0)
        if not there.any():
            return np.full(there.shape, np.nan)
        pixels = views.keypoints[np.maximum(found.members.T, 0)]
        off = np.linalg.norm(self.rig.project(points) - pixels, axis=-1)
        return np.where(there, off, np.nan)

    def resized(self, camera: int, size: Tuple[int, int]) -> None:
        """Pictures of a camera have another size than the calibrated ones.

        Raises:
            ValueError: and another shape.
        """
        self.rig = self.rig.sized(camera, size)
