"""The common part of top-down networks: crops of all people in one batch, keypoints per frame."""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.errors import DataError
from edge.models import ModelOptions, PoseModel
from edge.models._outputs import Outputs
from edge.models._preprocess.lenses import local_views
from edge.skeletons import Skeleton
from edge.structures import Frame, Poses

_COUNTED = 0.2  # a person's score is the mean of keypoint scores above it (mmpose, CocoMetric)
# Outputs by the family's names -> keypoints [B,K,2] px of the input and scores [B,K], not clipped.
Decode = Callable[[Dict[str, np.ndarray]], Tuple[np.ndarray, np.ndarray]]


class TopDown(PoseModel):
    """A models.PoseModel that finds the keypoints of each candidate in a crop of its own.

    Boxes and ids are those of the candidates. A person's score is the mean of the body's keypoint
    scores above 0.2. People whose score is below `min_score` are left out.

    Args:
        outputs: the network.
        decode: turns its outputs into keypoints in px of the input, and scores.
        options: thresholds.
        skeleton: keypoint set of the network.
        padding: size of a crop over that of its box.
        udp: whether crops are measured from pixel centre to pixel centre.
    """

    def __init__(
        self,
        outputs: Outputs,
        decode: Decode,
        options: ModelOptions,
        skeleton: Skeleton,
        padding: float = geometry.PADDING,
        udp: bool = False,
    ) -> None:
        self.skeleton = skeleton.name
        self._outputs = outputs
        self._decode = decode
        self._min_score = options.min_score
        self._padding = padding
        self._udp = udp
        self._keypoints = len(skeleton)
        body = skeleton.body17[skeleton.body17 >= 0]
        self._body = body if len(body) else np.arange(len(skeleton))

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame with the candidates that were found, in their order."""
        counts = [len(p) for p in people]
        if not sum(counts):
            return [Poses.empty(self._keypoints, self.skeleton) for _ in frames]
        boxes = np.concatenate([p.boxes for p in people])
        usable = np.isfinite(boxes).all(-1)
        which = np.repeat(np.arange(len(frames)), counts)[usable]
        keypoints, scores = self._look(frames, which, boxes[usable])
        person = self._person_scores(scores)
        rows = np.concatenate([np.arange(n) for n in counts])[usable]
        found = []
        for i, candidates in enumerate(people):
            mine = (which == i) & (person >= self._min_score)
            boxes, ids = candidates.boxes[rows[mine]], candidates.ids[rows[mine]]
            parts = (keypoints[mine], scores[mine], boxes, ids, person[mine])
            found.append(Poses(*parts, skeleton=self.skeleton))
        return found

    def _look(
        self, frames: Sequence[Frame], which: np.ndarray, boxes: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Keypoints [B,K,2] px of the frame and scores [B,K] 0..1 of all boxes; one execution."""
        network = self._outputs.network
        size = (network.width, network.height)
        plain = geometry.crop_affine(boxes, size, self._padding)
        matrices = plain
        if self._udp:
            matrices = geometry.crop_affine(boxes, size, self._padding, udp=True)
        views = local_views(frames, which, geometry.cxcywh(boxes)[:, :2])
        if views is not None:
            plain, matrices = views.of_pictures(plain), views.of_pictures(matrices)
        self._outputs.sample(frames, which, matrices)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            keypoints, scores = self._decode(self._outputs.run())
            if keypoints.shape[1] != self._keypoints:
                raise DataError(
                    f"{network.file}: gave {keypoints.shape[1]} keypoints, "
                    f"the skeleton {self.skeleton} has {self._keypoints}"
                )
            # UDP decoders scale by size / (map - 1), so the plain matrix is right for them too.
            keypoints = geometry.apply(geometry.invert(plain), keypoints)
        return self._clean(keypoints, scores)

    def _clean(self, keypoints: np.ndarray, scores: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Clip scores to 0..1; keypoints that are not finite become missing."""
        fine = np.isfinite(scores) & np.isfinite(keypoints).all(-1)
        if not fine.all():
            self._outputs.note_bad(int(fine.size - fine.sum()))
            keypoints = np.where(fine[..., None], keypoints, np.float32(0))
            scores = np.where(fine, scores, np.float32(0))
        return keypoints, np.clip(scores, 0, 1).astype(np.float32, copy=False)

    def _person_scores(self, scores: np.ndarray) -> np.ndarray:
        body = scores[:, self._body]
        counted = body > _COUNTED
        total = (body * counted).sum(-1) / np.maximum(counted.sum(-1), 1)
        return np.asarray(total, np.float32)
