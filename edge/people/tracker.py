"""People keep their number: one Tracker for each camera. Pure: time is an argument.

Lengths are in person heights, times in seconds, so that the same constants serve a child far away
at 10 frames a second and an adult close by at 60.
"""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

import numpy as np

from edge.geometry import FARTHEST_PX, OUTWARD, as_complex
from edge.people import match
from edge.people import motion as state
from edge.people.motion import Sight
from edge.people.stature import heights
from edge.settings.config import Track
from edge.skeletons import Skeleton
from edge.structures import VISIBLE, Detections, Poses, Rows

_TENTATIVE_GAP_S = 0.25  # somebody not yet published is given up sooner: clutter does not come back
# An unseen person is looked for without a detector's box in the first part of the time allowed.
_LOOK_SHARE = 0.5


class Tracker:
    """Gives each person an id that stays, and tells where to look for them next.

    Ids start at 1, rise, and are never used again. The same input gives the same ids, whatever the
    order of people in it.
    """

    def __init__(self, options: Track, skeleton: Skeleton) -> None:
        self._options = options
        self._skeleton = skeleton
        self._nobody = Poses.empty(len(skeleton), skeleton.name)
        self._tracks = state.newborn(self._nobody, np.zeros(0, np.float32), 1, 0)
        self._next_id = 1
        self._last_ns = 0  # of the frame before
        self._expected: Optional[Tuple[int, Poses]] = None
        self._nobody_new = self._all_confirmed = False  # by the last look

    @property
    def calm(self) -> bool:
        """Everybody is followed surely, so that a detector could tell little.

        It found nobody new when it looked last, and each was seen in the last frame. An empty place
        is not calm.
        """
        seen = self._tracks.seen_ns >= self._last_ns
        often = self._tracks.hits >= self._options.min_hits
        return self._nobody_new and len(seen) > 0 and bool((seen & often).all())

    @property
    def confirmed(self) -> bool:
        """The last look found everybody who was known then.

        Else it does not know their posture, or a pose network has run away from its person.
        """
        return self._all_confirmed

    @property
    def boxes(self) -> np.ndarray:
        """[N,4] f32 px, where everybody known was last, also who is not published; borrowed."""
        return self._tracks.boxes

    def number_after(self, other: Tracker) -> None:
        """Never give an id that another tracker of the same camera gave."""
        self._next_id = max(self._next_id, other._next_id)

    def candidates(self, detections: Optional[Detections], t_ns: int) -> Poses:
        """Whom to look for in a frame.

        Known people come first, with their ids, predicted boxes and, if they were seen in the
        last frame, keypoints; a detector's box takes the place of the predicted one. Boxes of
        nobody known follow with id -1. Whoever has no keypoints to go by has all scores 0.

        Args:
            detections: of this frame; None where the detector did not run.
            t_ns: time of the frame.
        """
        self._forget(t_ns)
        expected = self._predict(t_ns)
        new = Detections.empty()
        if detections is not None:
            expected, new = self._support(expected, detections, t_ns)
        known = self._worth_a_look(expected, t_ns)
        if not len(new):
            return known
        found = Poses.of_boxes(new, len(self._skeleton), self._skeleton.name)
        return Poses.join((known, found))

    def update(self, poses: Poses, t_ns: int) -> Poses:
        """Say who is who.

        Args:
            poses: people found in the frame, in any order; ids are those of the candidates they
                were looked for with, or -1. Borrowed.
            t_ns: time of the frame, that of `candidates` if that was called.

        Returns:
            The people seen now and for at least `min_hits` frames, by rising id, in new arrays.
        """
        self._forget(t_ns)
        expected = self._predict(t_ns)
        poses = _usable(poses, self._options.low_score)
        own = (poses.ids[:, None] == self._tracks.ids) & (poses.ids[:, None] >= 0)
        rows, tracks = self._measured(poses, own), self._foreseen(expected, t_ns)
        alike = match.likeness(rows, tracks, own, self._options.oks_weight)
        quality = poses.person_scores + (alike * own).max(1, initial=0) + rows.seen.mean(1)
        stays, twins = match.untwin(rows, quality, poses.ids >= 0)
        alike = match.favour_own(alike, own, twins)
        likely = np.flatnonzero(stays)
        scores = poses.person_scores[likely]
        chosen = np.full(len(poses), -1, np.int64)
        chosen[likely] = match.two_stages(alike[likely], scores, self._options.high_score)
        seen = self._see(poses, rows, chosen, expected, t_ns)
        born = self._begin(poses, rows, stays & (chosen < 0), t_ns)
        self._give_up(t_ns)
        self._last_ns, self._expected = t_ns, None
        if not len(born) or self._options.min_hits > 1:
            return seen
        return Poses.join((seen, born))

    def _worth_a_look(self, expected: Poses, t_ns: int) -> Poses:
        """Known people seen lately; whoever was looked for in vain is so afresh, in the box."""
        seen = self._tracks.seen_ns >= self._last_ns
        if not seen.all():
            expected = dataclasses.replace(expected, scores=expected.scores * seen[:, None])
        unseen_s = state.elapsed_s(self._tracks.alive_ns, t_ns)
        lately = unseen_s <= _LOOK_SHARE * self._options.max_gap_s
        return expected if lately.all() else expected.take(lately)

    def _forget(self, t_ns: int) -> None:
        if self._expected is not None and self._expected[0] == t_ns:
            return  # done for this frame
        gone = state.elapsed_s(self._tracks.alive_ns, t_ns) > self._options.max_gap_s
        if gone.any():
            self._tracks, self._expected = self._tracks.take(~gone), None

    def _predict(self, t_ns: int) -> Poses:
        """Once for each frame: what `candidates` refined is what `update` compares with."""
        if self._expected is None or self._expected[0] != t_ns:
            self._expected = t_ns, state.predict(self._tracks, self._skeleton.name, t_ns)
        return self._expected[1]

    def _support(
        self, expected: Poses, detections: Detections, t_ns: int
    ) -> Tuple[Poses, Detections]:
        """Boxes for known people, and those that are left for new ones."""
        detections = detections.take(
            (detections.scores >= self._options.low_score) & _somewhere(detections.boxes).all(1)
        )
        tracks = self._tracks
        alike = match.box_likeness(detections.boxes, self._foreseen(expected, t_ns))
        chosen = match.two_stages(alike, detections.scores, self._options.high_score)
        rows, which = np.flatnonzero(chosen >= 0), chosen[chosen >= 0]
        state.support(tracks, which, detections.boxes[rows], expected, t_ns, self._last_ns)
        self._expected = t_ns, state.predict(tracks, self._skeleton.name, t_ns)
        new = (chosen < 0) & (detections.scores >= self._options.new_score)
        self._nobody_new, self._all_confirmed = not new.any(), len(rows) == len(tracks)
        return self._expected[1], detections.take(new)

    def _foreseen(self, expected: Poses, t_ns: int) -> Sight:
        body, seen = self._body(expected)
        age_s = state.elapsed_s(self._tracks.seen_ns, t_ns)
        return Sight(body, seen, expected.boxes, self._tracks.heights, age_s)

    def _measured(self, poses: Poses, own: np.ndarray) -> Sight:
        """A row made from a candidate is where its keypoints are, not where its box was cut."""
        body, seen = self._body(poses)
        tall = heights(body, seen, poses.boxes)
        sight = Sight(body, seen, poses.boxes, tall, np.zeros(len(poses), np.float32))
        cut = own.any(1) & ((sight.seen > 0).sum(1) >= state.MIN_SEEN)
        if cut.any():
            margins = self._tracks.margins[own[cut].argmax(1)]
            sight.boxes = poses.boxes.copy()
            sight.boxes[cut] = sight.inner[cut] + tall[cut, None] * margins * OUTWARD
        return sight

    def _body(self, poses: Poses) -> Tuple[np.ndarray, np.ndarray]:
        """COCO keypoints [N,17] c64 px and their scores, 0 where they are not visible."""
        body17 = self._skeleton.body17
        scores = poses.scores[:, body17]
        return as_complex(poses.keypoints)[:, body17], scores * (scores > VISIBLE)

    def _see(
        self, poses: Poses, rows: Sight, chosen: np.ndarray, expected: Poses, t_ns: int
    ) -> Poses:
        """Show the tracks what was assigned to them; those seen often enough, by rising id."""
        tracks, which, was, seen, sight = self._tracks, chosen, expected, poses, rows
        where: Rows = slice(None)
        # Everybody in their order is the usual case, and views cost nothing.
        if not np.array_equal(chosen, np.arange(len(tracks))):
            found = np.argsort(chosen, kind="stable")
            found = found[chosen[found] >= 0]
            where = which = chosen[found]
            was, seen, sight = expected.take(which), poses.take(found), rows.take(found)
        whole = which[seen.ids < 0]  # of a one-stage model: its box is a measurement
        tracks.boxes[whole], tracks.boxes_ns[whole] = seen.boxes[seen.ids < 0], t_ns
        state.observe(tracks, where, seen, was, sight.heights, self._skeleton.body17, t_ns)
        state.fit_boxes(tracks, which, sight, was.boxes, t_ns)
        seen = Poses(
            seen.keypoints.copy(),
            seen.scores.copy(),
            tracks.boxes[which],
            tracks.ids[which],
            seen.person_scores.copy(),
            seen.skeleton,
            None if seen.places is None else seen.places.copy(),
        )
        often = tracks.hits[which] >= self._options.min_hits
        return seen if often.all() else seen.take(often)

    def _begin(self, poses: Poses, rows: Sight, free: np.ndarray, t_ns: int) -> Poses:
        """New tracks, numbered from left to right: so the order of rows does not matter."""
        new = np.flatnonzero(free & (poses.person_scores >= self._options.new_score))
        if not len(new):
            return self._nobody
        new = new[np.lexsort((poses.boxes[new, 1], poses.boxes[new, 0]))]
        people = poses.take(new)
        born = state.newborn(people, rows.heights[new], self._next_id, t_ns)
        self._tracks = self._tracks.join(born)
        self._next_id += len(new)
        return dataclasses.replace(people, ids=born.ids.copy())

    def _give_up(self, t_ns: int) -> None:
        unseen_s = state.elapsed_s(self._tracks.seen_ns, t_ns)
        vain = (self._tracks.hits < self._options.min_hits) & (unseen_s > _TENTATIVE_GAP_S)
        if vain.any():
            self._tracks = self._tracks.take(~vain)


def _usable(poses: Poses, low_score: float) -> Poses:
    """Rows with a box and a score that counts; keypoints that are nowhere are missing."""
    if not (_somewhere(poses.keypoints).all() and np.isfinite(poses.scores).all()):
        good = _somewhere(poses.keypoints).all(2) & np.isfinite(poses.scores)
        poses = dataclasses.replace(
            poses,
            keypoints=np.where(good[..., None], poses.keypoints, np.float32(0)),
            scores=np.where(good, poses.scores, np.float32(0)),
        )
    good = (poses.person_scores >= low_score) & _somewhere(poses.boxes).all(1)
    return poses if good.all() else poses.take(good)


def _somewhere(pixels: np.ndarray) -> np.ndarray:
    """Whether coordinates can be of a picture; not if they are no numbers.

    A network that runs away doubles its boxes from frame to frame: beyond the range of float32 no
    two boxes overlap, everyone would be somebody new, and the people would never end.
    """
    near: np.ndarray = np.abs(pixels) < FARTHEST_PX
    return near
