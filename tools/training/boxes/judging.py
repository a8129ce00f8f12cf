"""Before and after: the daemon's own detectors on labelled pictures, and what they are worth.

The protocol is COCO's: ten thresholds of IoU from .50 to .95, recall at 101 points (Lin et al.,
ECCV 2014). What overlaps a crowd or another box that does not count is neither right nor wrong.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.errors import ConfigError
from edge.models import Detector, Gives, ModelOptions, input_shapes, load_model
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Frame
from tools import average_precision as ap
from tools.evaluation import point_sets
from tools.evaluation.truth import Gathering, Picture, Truth
from tools.progress import Progress
from tools.training.boxes.samples import Labelled
from tools.training.data import frames
from tools.training.judging.reference import spread

LEAST = 0.05  # boxes of a lower score are not looked at
SURE = 0.35  # `detect.min_score`: people found and false boxes are counted from here on
_DOUBTFUL, _CERTAIN = 0.2, 0.5  # a teacher's box between these scores is neither label nor ground

Figures = Dict[str, Any]
Boxes = Tuple[np.ndarray, np.ndarray]  # [N,4] px, scores [N]


class Judged(NamedTuple):
    """Two detectors on the same pictures."""

    before: Optional[Figures]  # None: there was none before
    after: Figures
    pictures: List[Tuple[Labelled, Optional[Boxes], Boxes]]  # labels, before, after


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Detector]:
    """The detector of a model folder, executed by ONNX Runtime.

    Raises:
        EdgeError: there is none, or it is no detector.
    """
    recipe = load_recipe(folder)
    shapes = input_shapes(recipe)
    with contextlib.ExitStack() as stack:
        runners: Dict[str, Any] = {}
        for name, network in recipe.networks.items():
            runners[name] = open_runner(folder / network.file, shapes[name], RunnerOptions())
            stack.callback(runners[name].close)
        model = load_model(recipe, runners, ModelOptions(min_score=LEAST))
        if model.gives is not Gives.BOXES:
            raise ConfigError(f"{folder}: is no detector")
        yield model


def run(folder: Path, samples: Sequence[Labelled], label: str, quiet: bool) -> List[Boxes]:
    """Boxes and scores of each picture, in the order of the samples."""
    places = {id(s.picture): i for i, s in enumerate(samples)}
    found: List[Boxes] = [(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))] * len(samples)
    groups: Dict[int, List[Labelled]] = {}
    for sample in samples:
        groups.setdefault(id(sample.truth), []).append(sample)
    with opened(folder) as detect, Progress(label, len(samples), "pictures", quiet) as bar:
        for group in groups.values():
            for picture, image in frames.each(group[0].truth, [s.picture for s in group]):
                found[places[id(picture)]] = _seen(detect, image, places[id(picture)])
                bar.update()
    return found


def _seen(detect: Detector, image: np.ndarray, number: int) -> Boxes:
    frame = Frame(np.ascontiguousarray(image), 0, 0, f"picture-{number}", still=True)
    seen = detect([frame])[0]
    return np.asarray(seen.boxes, np.float32), np.asarray(seen.scores, np.float32)


def compare(
    old: Optional[Path], new: Path, samples: Sequence[Labelled], label: str, quiet: bool
) -> Judged:
    """Judge both detectors.

    Args:
        old: folder of the detector before; None: there is none.
        new: folder of the trained one.
        samples: labelled pictures.
        label: of the data, for the progress.
        quiet: show no progress.
    """
    before: Optional[List[Boxes]] = None
    if old is not None:
        before = run(old, samples, f"{label}: before", quiet)
    after = run(new, samples, f"{label}: after", quiet)
    told = figures(samples, before) if before is not None else None
    known: List[Optional[Boxes]] = [*before] if before is not None else [None] * len(samples)
    return Judged(told, figures(samples, after), list(zip(samples, known, after)))


def figures(samples: Sequence[Labelled], found: Sequence[Boxes]) -> Figures:
    """Figures over pictures, as JSON values.

    Returns:
        pictures, people; ap, ap50: None with nobody to find; right, false: boxes with a score of
        SURE or more that cover a person by half, or nobody; recall, false_per_picture: of these.
    """
    matches = [_match(s, *boxes) for s, boxes in zip(samples, found)]
    people = sum(len(s.boxes) for s in samples)
    half = [(m[0], m[1][:1], m[2][:1], m[3]) for m in matches]
    right = sum(int((m[1][0] & ~m[2][0] & (m[0] >= SURE)).sum()) for m in matches)
    false = sum(int((~m[1][0] & ~m[2][0] & (m[0] >= SURE)).sum()) for m in matches)
    return {
        "pictures": len(samples),
        "people": people,
        "ap": _or_none(ap.mean_precision(matches)),
        "ap50": _or_none(ap.mean_precision([_tenfold(m) for m in half])),
        "right": right,
        "false": false,
        "recall": right / people if people else None,
        "false_per_picture": false / len(samples) if samples else None,
    }


def _or_none(value: float) -> Optional[float]:
    return None if value < 0 else value


def _tenfold(match: Any) -> Any:
    """One threshold in place of all ten, so that their mean is that one."""
    scores, matched, excused, people = match
    tall = (len(ap.THRESHOLDS), 1)
    return scores, np.tile(matched, tall), np.tile(excused, tall), people


def _match(sample: Labelled, boxes: np.ndarray, scores: np.ndarray) -> Any:
    everybody = np.concatenate((sample.boxes, sample.ignored))
    crowd = np.arange(len(everybody)) >= len(sample.boxes)
    count = len(everybody)
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    truth = ap.Truth(
        np.zeros(count, np.int64),
        np.zeros((count, 1, 2)),
        np.ones((count, 1), bool),
        geometry.areas_of(everybody).astype(np.float64),
        everybody.astype(np.float64),
        crowd,
    )
    found = ap.Found(
        np.zeros(len(boxes), np.int64),
        np.zeros((len(boxes), 1, 2)),
        scores.astype(np.float64),
        geometry.areas_of(boxes).astype(np.float64),
    )
    alike = geometry.iou(boxes, everybody).astype(np.float64)
    if len(sample.ignored) and len(boxes):  # of a crowd, how much of the box lies in it counts
        alike[:, crowd] = _covered(boxes, sample.ignored)
    return ap.match(truth, found, alike, ap.SIZES[""])


def _covered(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Share of each box [N,4] that lies in each region [I,4]: [N,I]."""
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    both = np.maximum(high - low, 0).prod(-1)
    return np.asarray(both / np.maximum(geometry.areas_of(boxes)[:, None], 1e-6))


def of_video(path: Path, teacher: Path, count: int, quiet: bool) -> Truth:
    """Frames of a video with the boxes of a detector as labels.

    Sure boxes are people, doubtful ones do not count.

    Args:
        path: of the video.
        teacher: folder of the detector.
        count: of frames from all over the video.
        quiet: show no progress.

    Raises:
        EdgeError: the video cannot be read, or the folder has no detector.
    """
    name = f"{path.parent.name}/{path.stem}"
    points = point_sets.named("coco17")
    nothing = np.zeros((len(points), 3))
    pictures: List[Picture] = []
    with opened(teacher) as detect, Progress(f"boxes of {name}", count, "frames", quiet) as bar:
        for index, image in spread(path, count):
            group = Gathering(len(points))
            for box, score in zip(*_seen(detect, image, index)):
                if score >= _DOUBTFUL:
                    group.add(nothing, box.tolist(), crowd=bool(score < _CERTAIN))
            size = (image.shape[1], image.shape[0])
            label = f"{name} frame {index}"
            people = group.people()
            pictures.append(Picture(f"{name}/{index}", label, None, size, people, name, index))
            bar.update()
    notes = [f"labels are boxes of {teacher.name}"]
    return Truth(name, "boxes of a detector", points, pictures, notes, {name: path})


def verdict(held_out: Judged, reference: Optional[Judged], most_lost: float) -> Figures:
    """What is gained and lost, and why the detector is refused, if it is.

    Returns:
        ap50_change: of the held-out pictures, relative; ap50_lost: share that the reference loses;
        refused: a reason, or empty.
    """
    gained = _change(held_out, "ap50")
    change = _change(reference, "ap50") if reference is not None else None
    gone = max(0.0, -(change or 0.0))
    reasons = []
    if gone > most_lost:
        reasons.append(f"the reference loses {gone:.1%} of its AP50, {most_lost:.0%} may be")
    if not held_out.after["right"]:
        reasons.append("nobody is found in the held-out recordings")
    if gained is not None and gained < 0:
        reasons.append(f"the held-out recordings lose {-gained:.1%} of their AP50")
    return {"ap50_change": gained, "ap50_lost": gone, "refused": "; ".join(reasons)}


def _change(judged: Judged, key: str) -> Optional[float]:
    if judged.before is None or not judged.before[key] or judged.after[key] is None:
        return None
    return float((judged.after[key] - judged.before[key]) / judged.before[key])
