"""Tracking: each person of a camera keeps one id. One Tracker serves one camera.

Pure: time is an argument. Lengths are in person heights and times in seconds, so that the same
constants fit a distant child at 10 frames a second and a close adult at 60.
"""

from __future__ import annotations

import dataclasses
from typing import Callable, Optional, Tuple

import numpy as np

from edge.people import clothes, duplicates, match, motion
from edge.people.carry import carry
from edge.people.evidence_rows import (
    detected_rows,
    measured_rows,
    plausible,
    predicted_rows,
    usable,
)
from edge.people.motion import BodyState
from edge.settings.config import Track
from edge.skeletons import Skeleton
from edge.structures import Detections, Poses, Rows

# Between two frames that are further apart than `max_gap_s`, tracks that the first frame showed are
# kept for this many times `max_gap_s`: nobody could be seen meanwhile.
_KEPT_OVER_PAUSE = 2.5
# Without a detector's box, an unseen person is looked for during this share of `max_gap_s`.
_LOOK_SHARE = 0.5
_OWN_QUALITY = 0.5  # of two rows of one person, that of the track's own candidate is rather kept

Wear = Callable[[Poses], np.ndarray]  # colours [N,SIZE] of people in the frame at hand


class Tracker:
    """Gives each person an id that stays, and says where to look for them in the next frame.

    For each frame call `candidates`, then `update` with what the pose model found. A one-stage
    model needs `update` only.

    Ids start at 1 and rise; no id is used twice. The order of people in the input has no effect.
    """

    def __init__(self, options: Track, skeleton: Skeleton) -> None:
        self._options = options
        self._skeleton = skeleton
        self._nobody = Poses.empty(len(skeleton), skeleton.name)
        self._tracks = motion.new_tracks(self._nobody, np.zeros(0, np.float32), 1, 0)
        self._next_id = 1
        self._last_ns = 0  # time of the frame before
        self._begun = False  # whether there is a frame before
        self._still = False  # whether this frame is a picture for itself
        self._expected: Optional[Tuple[int, Poses]] = None
        self._nobody_new = self._all_confirmed = False  # by the last frame that was detected in

    @property
    def calm(self) -> bool:
        """Whether everybody is tracked reliably, so that a detector would add little.

        True if the detector found no new person when it ran last, and every track was seen in the
        last frame. Who is away does not count. False if nobody is here.
        """
        here = self._here(self._last_ns)
        seen = self._tracks.seen_ns >= self._last_ns
        often = self._tracks.hits >= self._options.min_hits
        return self._nobody_new and bool(here.any()) and bool((seen & often)[here].all())

    @property
    def confirmed(self) -> bool:
        """Whether the detector found every track when it ran last.

        If it did not, the detector may not know a posture, or a pose may have left its person.
        """
        return self._all_confirmed

    @property
    def boxes(self) -> np.ndarray:
        """Last boxes [N,4] f32 px of all who are not away, also of those not yet published."""
        return self._tracks.boxes[self._here(self._last_ns)]

    def number_after(self, other: Tracker) -> None:
        """Continue after the ids that another tracker of the same camera gave."""
        self._next_id = max(self._next_id, other._next_id)

    def move(self, motion: np.ndarray) -> None:
        """Tell that the camera has moved since the frame before; call it before `candidates`.

        Args:
            motion: [2,3] from px of the frame before to px of this one, a turn with a scale and a
                shift (edge.people.camera_motion).
        """
        carry(self._tracks, motion)
        self._expected = None

    def candidates(self, detections: Optional[Detections], t_ns: int, still: bool = False) -> Poses:
        """The people to look for in a frame.

        Tracks come first, with their ids and predicted boxes. A detector's box replaces the
        predicted box, and its keypoints become the sighting. Tracks that were seen in the last
        frame have predicted keypoints; the others have all scores 0, and so have all if the last
        frame is more than `confirm_s` ago. New people follow, with id -1, a detector's box and all
        scores 0.

        Args:
            detections: people boxes of this frame; None if the detector did not run.
            t_ns: time of the frame.
            still: the frame is a picture for itself. Then tracks without a detector's box are left
                out, and `update` forgets the tracks that the picture does not show.
        """
        self._still = still
        self._forget(t_ns)
        expected = self._predict(t_ns)
        new = Detections.empty()
        if detections is not None:
            expected, new = self._assign_boxes(expected, detections, t_ns)
        known = self._recent(expected, t_ns)
        if not len(new):
            return known
        found = Poses.of_boxes(new, len(self._skeleton), self._skeleton.name)
        return Poses.join((known, found))

    def update(self, poses: Poses, t_ns: int, wear: Optional[Wear] = None) -> Poses:
        """Assign the people of a frame to tracks.

        Args:
            poses: people found in the frame, in any order. An id is that of the candidate from
                which the pose was made, or -1. Borrowed.
            t_ns: time of the frame; the same as for `candidates`, if that was called.
            wear: gives the colours of people's clothes in this frame (edge.people.colours). It is
                called only when somebody is lost, and now and then for everybody.

        Returns:
            The people of this frame who were seen in at least `min_hits` frames, by rising id, in
            new arrays. One frame is enough in a picture for itself, and after a pause of more than
            `confirm_s`.
        """
        self._forget(t_ns)
        expected = self._predict(t_ns)
        poses = usable(poses, self._options.low_score)
        own = (poses.ids[:, None] == self._tracks.ids) & (poses.ids[:, None] >= 0)
        rows = measured_rows(poses, own, self._tracks, self._skeleton.body17)
        tracks = self._predicted(expected, t_ns)
        quality = poses.person_scores + rows.scores.mean(1) + _OWN_QUALITY * own.any(1)
        stays, _ = duplicates.drop(rows, quality, poses.ids >= 0)
        worth = match.evidence(rows, tracks, own)
        if wear is not None:
            clothes.compare(worth, poses, tracks.age_s, self._tracks.colours, wear)
        likely = np.flatnonzero(stays)
        chosen = np.full(len(poses), -1, np.int64)
        scores = poses.person_scores[likely]
        chosen[likely] = match.two_stages(worth[likely], scores, self._options.high_score)
        self._observe(poses, rows, chosen, expected, t_ns)
        if wear is not None:
            clothes.learn(self._tracks, poses, chosen, wear, t_ns)
        self._start(poses, rows, chosen, stays, t_ns)
        seen = self._published(poses, chosen, t_ns)
        self._end_unseen(t_ns)
        self._last_ns, self._expected, self._begun, self._still = t_ns, None, True, False
        return seen

    def _here(self, t_ns: int) -> np.ndarray:
        """Which tracks [T] are not away."""
        unseen_s = motion.elapsed_s(self._tracks.alive_ns, t_ns)
        return np.asarray((unseen_s <= self._options.max_gap_s) | ~self._missed(t_ns))

    def _enough_hits(self, t_ns: int) -> int:
        """In how many frames a person must be seen to be published."""
        return 1 if self._still or self._is_apart(t_ns) else self._options.min_hits

    def _is_apart(self, t_ns: int) -> bool:
        """Whether the frame before is too long ago to confirm or to predict anybody."""
        return self._begun and t_ns - self._last_ns > self._options.confirm_s * 1e9

    def _recent(self, expected: Poses, t_ns: int) -> Poses:
        """Predictions of tracks that were alive lately; without keypoints if not seen last time.

        Keypoints that led the network astray once would do so again: it gets the whole box.
        """
        if self._still:
            expected = dataclasses.replace(expected, scores=expected.scores * 0)
            return expected.take(self._tracks.boxes_ns == t_ns)
        seen = (self._tracks.seen_ns >= self._last_ns) & (not self._is_apart(t_ns))
        if not seen.all():
            expected = dataclasses.replace(expected, scores=expected.scores * seen[:, None])
        unseen_s = motion.elapsed_s(self._tracks.alive_ns, t_ns)
        lately = unseen_s <= _LOOK_SHARE * self._options.max_gap_s
        return expected if lately.all() else expected.take(lately)

    def _forget(self, t_ns: int) -> None:
        if self._expected is not None and self._expected[0] == t_ns:
            return  # `candidates` has done it for this frame
        unseen_s = motion.elapsed_s(self._tracks.alive_ns, t_ns)
        longest_s = max(self._options.max_gap_s, self._options.return_s)
        gone = (unseen_s > longest_s) & self._missed(t_ns)
        if gone.any():
            self._tracks, self._expected = self._tracks.take(~gone), None

    def _missed(self, t_ns: int) -> np.ndarray:
        """Whether the frame before, unless it is long ago, did not show a track [T]."""
        longest_s = _KEPT_OVER_PAUSE * self._options.max_gap_s
        paused = t_ns - self._last_ns > longest_s * 1e9
        return (self._tracks.alive_ns < self._last_ns) | paused

    def _predict(self, t_ns: int) -> Poses:
        """Predict once for each frame, so that `update` sees what `candidates` refined."""
        if self._expected is None or self._expected[0] != t_ns:
            self._expected = t_ns, motion.predict(self._tracks, self._skeleton.name, t_ns)
        return self._expected[1]

    def _assign_boxes(
        self, expected: Poses, detections: Detections, t_ns: int
    ) -> Tuple[Poses, Detections]:
        """Give boxes to tracks; returns the new predictions and the boxes of new people."""
        detections = detections.take(
            (detections.scores >= self._options.low_score) & plausible(detections.boxes).all(1)
        )
        tracks = self._tracks
        rows = detected_rows(detections)
        nobody = np.zeros((len(detections), len(tracks)), bool)
        worth = match.evidence(rows, self._predicted(expected, t_ns), nobody)
        chosen = match.two_stages(worth, detections.scores, self._options.high_score)
        found, which = np.flatnonzero(chosen >= 0), chosen[chosen >= 0]
        motion.take_boxes(tracks, which, detections.boxes[found], expected, t_ns, self._last_ns)
        self._expected = t_ns, motion.predict(tracks, self._skeleton.name, t_ns)
        new = (chosen < 0) & (detections.scores >= self._options.new_score)
        given = np.zeros(len(tracks), bool)
        given[which] = True
        self._nobody_new, self._all_confirmed = not new.any(), bool(given[self._here(t_ns)].all())
        expected = self._expected[1]
        if detections.keypoints is not None:
            sightings = np.zeros((len(tracks), *detections.keypoints.shape[1:]), np.float32)
            sightings[which] = detections.keypoints[found]
            expected = dataclasses.replace(expected, sightings=sightings)
        return expected, detections.take(new)

    def _predicted(self, expected: Poses, t_ns: int) -> BodyState:
        return predicted_rows(self._tracks, expected, self._skeleton.body17, t_ns)

    def _observe(
        self, poses: Poses, rows: BodyState, chosen: np.ndarray, expected: Poses, t_ns: int
    ) -> None:
        """Update tracks with the rows [R] assigned to them by `chosen` [R]."""
        tracks, which, was, seen, measured = self._tracks, chosen, expected, poses, rows
        where: Rows = slice(None)
        # Usually the rows are all tracks in their order: then views do, without copies.
        if not np.array_equal(chosen, np.arange(len(tracks))):
            found = np.argsort(chosen, kind="stable")
            found = found[chosen[found] >= 0]
            where = which = chosen[found]
            was, seen, measured = expected.take(which), poses.take(found), rows.take(found)
        whole = which[seen.ids < 0]  # rows of a one-stage model: their boxes are measurements
        tracks.boxes[whole], tracks.boxes_ns[whole] = seen.boxes[seen.ids < 0], t_ns
        motion.observe(tracks, where, seen, was, measured.heights, self._skeleton.body17, t_ns)
        motion.fit_boxes(tracks, which, measured, was.boxes, t_ns)

    def _start(
        self, poses: Poses, rows: BodyState, chosen: np.ndarray, stays: np.ndarray, t_ns: int
    ) -> None:
        """Start tracks for rows without one, and note them in `chosen`.

        They are numbered from left to right, so that the order of rows is free.
        """
        free = stays & (chosen < 0) & (poses.person_scores >= self._options.new_score)
        new = np.flatnonzero(free)
        if not len(new):
            return
        new = new[np.lexsort((poses.boxes[new, 1], poses.boxes[new, 0]))]
        tracks = motion.new_tracks(poses.take(new), rows.heights[new], self._next_id, t_ns)
        chosen[new] = len(self._tracks) + np.arange(len(new))
        self._tracks = self._tracks.join(tracks)
        self._next_id += len(new)

    def _published(self, poses: Poses, chosen: np.ndarray, t_ns: int) -> Poses:
        """The rows of people who were seen often enough, by rising id."""
        tracks = self._tracks
        found = np.flatnonzero(chosen >= 0)
        found = found[tracks.hits[chosen[found]] >= self._enough_hits(t_ns)]
        found = found[np.argsort(tracks.ids[chosen[found]], kind="stable")]
        which, people = chosen[found], poses.take(found)
        return dataclasses.replace(people, boxes=tracks.boxes[which], ids=tracks.ids[which])

    def _end_unseen(self, t_ns: int) -> None:
        """End new people who are not seen again soon: clutter does not come back."""
        unseen_s = motion.elapsed_s(self._tracks.seen_ns, t_ns)
        tentative = self._tracks.hits < self._options.min_hits
        ended = (tentative & (unseen_s > self._options.confirm_s)) | ((unseen_s > 0) & self._still)
        if ended.any():
            self._tracks = self._tracks.take(~ended)
