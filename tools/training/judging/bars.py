"""What a student is worth: the bars that it must pass before it may be shipped.

Student and BlazePose read the same crops, cut out by the labelled boxes, once each. So the
difference is that of the networks, without detector, tracking or a second look.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np
import torch

from edge.models._blazepose.points import BODY_FEET_SOURCE
from tools.training.data import crops
from tools.training.data.samples import Sample
from tools.training.fit.augment import PLAIN, Crop, cut
from tools.training.networks.student import Student

BODY, FEET, FACE = slice(0, 17), slice(17, 23), slice(23, 91)
HANDS = (slice(91, 112), slice(112, 133))
AREA = 0.53  # of a person over that of the box
_MOST_SEEN = 0.5  # share of a part that is labelled as visible, so that its error counts
_DRAWS, _LOW, _HIGH = 2000, 5, 95
_BATCH = 16

# As the bars were set before anything was trained (docs/training.md).
WORST_LOSS, FEET_OKS, FACE_ERROR, HAND_ERROR = -0.02, 0.78, 0.17, 0.27
KEPT_OKS, SEEN_AUC, TIME_SHARE = 0.93, 0.85, 0.5


class Read(NamedTuple):
    """Both networks' answers for N people, in px of the crop."""

    truth: np.ndarray  # [N,133,2]
    labelled: np.ndarray  # [N,133] bool
    seen: np.ndarray  # [N,133] bool
    area: np.ndarray  # [N] px
    student: np.ndarray  # [N,133,2]
    visible: np.ndarray  # [N,133] logits of the student
    old: np.ndarray  # [N,23,2] body and feet of BlazePose


@dataclass(frozen=True)
class Bar:
    """One bar."""

    name: str
    wanted: str
    before: str  # BlazePose's figure, if it has one
    found: str
    holds: bool


def read(student: Student, old: Student, folder: Path, name: str, some: Sequence[Sample]) -> Read:
    """Both networks on the crops of labelled people.

    Args:
        student: the trained network.
        old: one with the old trunk.
        folder: for the crops.
        name: of the crops' files.
        some: the people.
    """
    there = crops.ensure(folder, name, some, max(student.size), True)
    rng = np.random.default_rng(0)
    rows: List[Tuple[np.ndarray, ...]] = []
    for network in (student, old):
        network.module.eval()
    for start in range(0, len(there), _BATCH):
        numbers = range(start, min(start + _BATCH, len(there)))
        cuts = [cut(there, i, student, PLAIN, rng) for i in numbers]
        images = student.input_of(np.stack([c.image for c in cuts]))
        with torch.no_grad():
            now, then = student.forward(images), old.forward(images)
        places, visible = now["places"].numpy(), now["visible"].numpy()
        known = then["landmarks"][:, BODY_FEET_SOURCE, :2].numpy()
        for row, (number, crop) in enumerate(zip(numbers, cuts)):
            area = _area_px(there, number, student)
            rows.append((*_labels(crop), area, places[row], visible[row], known[row]))
    return Read(*(np.array([r[i] for r in rows]) for i in range(len(Read._fields))))


def _labels(crop: Crop) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    return crop.points, crop.labelled, crop.seen


def _area_px(there: crops.Crops, number: int, student: Student) -> np.ndarray:
    """The person's area in px of the crop."""
    box = there.boxes[number]
    region = student.region(there.points[number], box, there.sizes[number], 0.0)
    scale = student.size[0] / region.width_px
    return np.asarray(AREA * np.prod(box[2:] - box[:2]) * scale**2)


def oks(found: np.ndarray, one: Read, sigmas: np.ndarray, part: slice) -> np.ndarray:
    """[N] OKS of a part as COCO defines it; NaN for people without labels there.

    Args:
        found: [N,>=K,2] px of the crop, from the first point on.
        one: truth.
        sigmas: [133].
        part: points.
    """
    gap = np.square(found[:, part] - one.truth[:, part]).sum(-1)
    spread = 2 * np.square(2 * sigmas[part]) * np.maximum(one.area, 1e-6)[:, None]
    counts = one.labelled[:, part]
    total = (np.exp(-gap / spread) * counts).sum(1)
    return np.where(counts.any(1), total / np.maximum(counts.sum(1), 1), np.nan)


def part_errors(one: Read, part: slice) -> np.ndarray:
    """Mean distance over the longer side of the part's box, of parts that can be seen."""
    rows = np.flatnonzero(one.seen[:, part].mean(1) >= _MOST_SEEN)
    truth, labelled = one.truth[rows][:, part], one.labelled[rows][:, part]
    low = np.where(labelled[..., None], truth, np.inf).min(1)
    high = np.where(labelled[..., None], truth, -np.inf).max(1)
    side = np.maximum((high - low).max(1), 1e-6) if len(rows) else np.zeros(0)
    gap = np.linalg.norm(one.student[rows][:, part] - truth, axis=-1) * labelled
    return np.asarray(gap.sum(1) / np.maximum(labelled.sum(1), 1) / side)


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive has the higher score; ties count half."""
    values, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    del values
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places.reshape(-1)]
    many = int(positive.sum())
    rest = len(positive) - many
    if not many or not rest:
        return float("nan")
    return float((ranks[positive].sum() - many * (many + 1) / 2) / (many * rest))


def interval(change: np.ndarray, seed: int = 0) -> Tuple[float, float]:
    """90 % bootstrap interval of the mean of paired differences."""
    rng = np.random.default_rng(seed)
    means = change[rng.integers(0, len(change), (_DRAWS, len(change)))].mean(1)
    return float(np.percentile(means, _LOW)), float(np.percentile(means, _HIGH))


def of_people(one: Read, sigmas: np.ndarray) -> List[Bar]:
    """The bar of people labelled by hand."""
    before, now = oks(one.old, one, sigmas, BODY), oks(one.student, one, sigmas, BODY)
    both = np.isfinite(before) & np.isfinite(now)
    low, high = interval(now[both] - before[both])
    found = f"{now[both].mean():.3f} [{low:+.3f} {high:+.3f}], {int(both.sum())} people"
    wanted = f"low end >= {WORST_LOSS:+.2f}"
    return [
        Bar(
            "labelled, OKS of the body",
            wanted,
            f"{before[both].mean():.3f}",
            found,
            low >= WORST_LOSS,
        )
    ]


def of_renders(one: Read, sigmas: np.ndarray) -> List[Bar]:
    """The bars of rendered people, whose 133 points are all labelled."""
    feet, old_feet = (np.nanmean(oks(f, one, sigmas, FEET)) for f in (one.student, one.old))
    face = part_errors(one, FACE)
    hands = np.concatenate([part_errors(one, hand) for hand in HANDS])
    told = auc(one.visible[one.labelled], one.seen[one.labelled])
    body, old_body = (np.nanmean(oks(f, one, sigmas, BODY)) for f in (one.student, one.old))
    return [
        Bar("renders, OKS of the body", "-", f"{old_body:.3f}", f"{body:.3f}", True),
        Bar(
            "renders, OKS of the feet",
            f">= {FEET_OKS}",
            f"{old_feet:.3f}",
            f"{feet:.3f}",
            bool(feet >= FEET_OKS),
        ),
        _error_bar("renders, face", face, FACE_ERROR),
        _error_bar("renders, hands", hands, HAND_ERROR),
        Bar(
            "renders, AUC of visibility",
            f">= {SEEN_AUC}",
            "-",
            f"{told:.3f}",
            bool(told >= SEEN_AUC),
        ),
    ]


def _error_bar(name: str, errors: np.ndarray, most: float) -> Bar:
    middle = float(np.median(errors)) if len(errors) else float("nan")
    found = f"{middle:.3f}, {len(errors)} of them"
    return Bar(f"{name}, error over box, median", f"<= {most}", "-", found, middle <= most)


def of_reference(one: Read, sigmas: np.ndarray) -> List[Bar]:
    """The bar of clips that nobody labelled: agreement with the cascade."""
    now = float(np.nanmean(oks(one.student, one, sigmas, BODY)))
    before = float(np.nanmean(oks(one.old, one, sigmas, BODY)))
    return [
        Bar(
            "reference, OKS with the cascade",
            f">= {KEPT_OKS}",
            f"{before:.3f}",
            f"{now:.3f}",
            now >= KEPT_OKS,
        )
    ]
