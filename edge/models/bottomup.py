"""The family `bottomup`: HigherHRNet, OpenPose and the like, which find keypoints, then people."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Tuple

import numpy as np

from edge.errors import ConfigError
from edge.models import Gives, ModelOptions
from edge.models._bottomup.limbs import part_affinity
from edge.models._bottomup.peaks import People, resized
from edge.models._bottomup.tags import associative_embedding
from edge.models._boxes import RawBoxes, bad_numbers
from edge.models._onestage import OneStage, RawPeople
from edge.models._outputs import Outputs, skeleton_of
from edge.models._preprocess.crops import PAD
from edge.recipe import Network, Recipe
from edge.runtime import Runner
from edge.settings.schema import build, key
from edge.skeletons import Skeleton

GIVES = Gives.ONE_STAGE_POSES
NAMES = ("heatmaps", "tags", "pafs", "low", "high")
DECODES = ("quarter", "udp")
_MARGIN = 0.1  # of the size of the keypoints' box, from them to the sides of the person's box
# COCO's keypoints in the order in which the published networks group them: head and torso first.
_ORDER = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
Group = Callable[[np.ndarray, np.ndarray], People]  # maps [K,h,w] and tags or fields [C,h,w]


@dataclass(frozen=True)
class BottomupSettings:
    """The table [options] of model.toml; the thresholds are those of the published decoders."""

    decode: str = key("quarter", "refinement of a maximum, as in training", choices=DECODES)
    min_score: float = key(0.1, "people of a lower score are dropped", 0, 1)
    min_value: float = key(0.1, "least response of a keypoint", 0.001, 1)
    max_tag_distance: float = key(1.0, "most distance of two tags of one person", 0, 1000)
    min_keypoints: int = key(3, "people with fewer keypoints are dropped", 1, 200)
    points: List[str] = key([], "keypoint of each map, if these are not the skeleton's in order")
    limbs: List[str] = key([], "ends of each field's limb, as `neck-nose`; default: the edges")
    border: int = key(PAD, "grey value of the bars around the picture", 0, 255)


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> OneStage:
    """Make a model of a network with one of these sets of outputs.

    K is the number of keypoints, E of limbs, L the length of a tag. Maps of one set may have
    different sizes; the smaller are enlarged.

    - `heatmaps` [B,K,h,w] and `tags` [B,LK,h,w], the first K channels for the first element of the
      tag (associative embedding).
    - `low` [B,2K,h,w] and `high` [B,K,2h,2w], the two raw outputs of HigherHRNet: responses and
      tags; responses, of which the mean of both is taken.
    - `heatmaps` [B,K,h,w] and `pafs` [B,2E,h,w], x and y of each limb in turn (part affinity).

    Further channels of `heatmaps`, such as OpenPose's background, are not read.

    Raises:
        ConfigError: a setting or the skeleton is wrong.
        DataError: the network has none of these sets, or other shapes.
    """
    settings = build(BottomupSettings, recipe.options, "options")
    outputs = Outputs(recipe, runners, NAMES)
    skeleton = skeleton_of(recipe, None)
    points = tuple(settings.points) or skeleton.names
    columns = _columns(skeleton, points)
    read = _read_by(outputs, settings, skeleton, points)
    options = dataclasses.replace(options, min_score=max(options.min_score, settings.min_score))
    decode = _Decoder(read, outputs.network, settings, columns)
    return OneStage(
        outputs,
        decode,
        options,
        skeleton.name,
        len(skeleton),
        suppress=False,
        border=settings.border,
    )


class _Read:
    """Turns the outputs of a frame into responses, and into tags or fields of the same size."""

    def __init__(self, group: Group, points: int, raw: bool, extra: str) -> None:
        self.group = group
        self._points = points
        self._raw = raw
        self._extra = extra

    def __call__(self, results: Mapping[str, np.ndarray], frame: int) -> Tuple[People, int, int]:
        """The people of a frame in px of the maps, and the width and height of the maps."""
        count = self._points
        if self._raw:
            low, high = results["low"][frame], results["high"][frame, :count]
            parts = [low[:count], high, low[count:]]
        else:
            parts = [results["heatmaps"][frame, :count], results[self._extra][frame]]
        *maps, extra = _alike(parts)
        people = self.group(maps[0] if len(maps) == 1 else 0.5 * (maps[0] + maps[1]), extra)
        return people, extra.shape[-1], extra.shape[-2]


def _alike(parts: List[np.ndarray]) -> List[np.ndarray]:
    """Maps [C,h,w] enlarged to the size of the largest.

    Where any value of a place is not finite, all are 0: nothing was found there.
    """
    size = max(p.shape[-2] for p in parts), max(p.shape[-1] for p in parts)
    parts = [p.astype(np.float32, copy=False) for p in parts]
    if np.isfinite(sum(float(p.sum()) for p in parts)):
        return [resized(p, size) for p in parts]
    bad = [~np.isfinite(p) for p in parts]
    holes = [resized(b.any(0).astype(np.float32), size) for b in bad]
    fine = np.maximum.reduce(holes) == 0
    whole = [np.where(b, np.float32(0), p) for b, p in zip(bad, parts)]
    return [resized(p, size) * fine for p in whole]


def _read_by(
    outputs: Outputs, settings: BottomupSettings, skeleton: Skeleton, points: Tuple[str, ...]
) -> _Read:
    """How this network is read; checks the shapes of its outputs."""
    count, udp = len(points), settings.decode == "udp"
    if outputs.has("pafs"):
        limbs = _limbs(settings.limbs, skeleton, points)
        _require_maps(outputs, "heatmaps", count)
        outputs.require("pafs", (2 * len(limbs), None, None))
        return _Read(_by_limbs(limbs, settings, udp), count, False, "pafs")
    raw = outputs.has("low", "high")
    if raw:
        outputs.require("low", (2 * count, None, None))
        _require_maps(outputs, "high", count)
    else:
        _require_maps(outputs, "heatmaps", count)
        depth = outputs.require("tags", (None, None, None))[0]
        if depth and depth % count:
            raise ConfigError(f"options.points: {count} keypoints do not fit {depth} maps of tags")
    return _Read(_by_tags(_order(skeleton, points), settings, udp), count, raw, "tags")


def _require_maps(outputs: Outputs, name: str, count: int) -> None:
    found = outputs.require(name, (None, None, None))[0]
    if found and found < count:
        raise ConfigError(f"skeleton: needs {count} keypoints, but {name} has {found} maps")


def _by_limbs(limbs: np.ndarray, settings: BottomupSettings, udp: bool) -> Group:
    def group(maps: np.ndarray, fields: np.ndarray) -> People:
        fields = fields.reshape(len(limbs), 2, *maps.shape[1:])
        return part_affinity(maps, fields, limbs, settings.min_value, settings.min_keypoints, udp)

    return group


def _by_tags(order: List[int], settings: BottomupSettings, udp: bool) -> Group:
    def group(maps: np.ndarray, tags: np.ndarray) -> People:
        people = associative_embedding(
            maps, tags, order, settings.min_value, settings.max_tag_distance, udp
        )
        enough = (people.scores >= settings.min_value).sum(1) >= settings.min_keypoints
        return People(*(part[enough] for part in people))

    return group


def _order(skeleton: Skeleton, points: Tuple[str, ...]) -> List[int]:
    """Channels in the order of grouping: COCO's keypoints as published, then the others."""
    body = [skeleton.names[skeleton.body17[i]] for i in _ORDER if skeleton.body17[i] >= 0]
    first = [points.index(name) for name in body if name in points]
    return first + [i for i in range(len(points)) if i not in first]


def _limbs(given: List[str], skeleton: Skeleton, points: Tuple[str, ...]) -> np.ndarray:
    """Channels [E,2] i64 at the ends of each limb."""
    names = [tuple(limb.split("-")) for limb in given]
    edges = [(skeleton.names[a], skeleton.names[b]) for a, b in skeleton.edges]
    names = names or [pair for pair in edges if set(pair) <= set(points)]
    for pair in names:
        if len(pair) != 2 or not set(pair) <= set(points):
            raise ConfigError(
                f"options.limbs: {'-'.join(pair)} is not two of the keypoints {', '.join(points)}"
            )
    return np.array([[points.index(a), points.index(b)] for a, b in names], np.int64)


def _columns(skeleton: Skeleton, points: Tuple[str, ...]) -> np.ndarray:
    """The channel [K] of each keypoint of the skeleton, -1 = none."""
    if len(set(points)) < len(points):
        raise ConfigError("options.points: a keypoint is named twice")
    if not set(points) & set(skeleton.names):
        raise ConfigError(f"options.points: none of them is a keypoint of {skeleton.name}")
    return np.array([points.index(n) if n in points else -1 for n in skeleton.names], np.int64)


class _Decoder:
    """Decodes a batch, one frame after the other, to people in px of the input."""

    def __init__(
        self, read: _Read, network: Network, settings: BottomupSettings, columns: np.ndarray
    ) -> None:
        self._read = read
        self._size = np.array([network.width, network.height], np.float32)
        self._inset = int(settings.decode == "udp")  # UDP: input - 1 over map - 1
        self._least = settings.min_value
        self._columns = columns

    def __call__(self, results: Dict[str, np.ndarray], min_score: float) -> RawPeople:
        batch = len(next(iter(results.values())))
        found = [self._frame(results, i, min_score) for i in range(batch)]
        frame = np.repeat(np.arange(batch), [len(people.keypoints) for people in found])
        if not found:
            return _nobody(len(self._columns))
        points, scores, persons = (np.concatenate([p[i] for p in found]) for i in range(3))
        bad = sum(map(bad_numbers, results.values()))
        boxes = _boxes(points, scores >= self._least)
        return RawPeople.of(frame, boxes, persons, points, scores, bad)

    def _frame(self, results: Mapping[str, np.ndarray], frame: int, min_score: float) -> People:
        people, width, height = self._read(results, frame)
        good = people.person_scores >= min_score
        scale = (self._size - self._inset) / np.maximum(
            [width - self._inset, height - self._inset], 1
        )
        missing = self._columns < 0
        points = people.keypoints[good][:, self._columns] * scale.astype(np.float32)
        scores = people.scores[good][:, self._columns]
        points[:, missing], scores[:, missing] = 0, 0
        return People(points, scores, people.person_scores[good])


def _nobody(keypoints: int) -> RawPeople:
    points, scores = np.zeros((0, keypoints, 2), np.float32), np.zeros((0, keypoints), np.float32)
    none = np.zeros(0, np.int64)
    return RawPeople(RawBoxes.of(none, np.zeros((0, 4)), np.zeros(0)), points, scores)


def _boxes(points: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Boxes [N,4] around the found keypoints [N,K], with a margin."""
    low = np.where(found[..., None], points, np.float32(np.inf)).min(1)
    high = np.where(found[..., None], points, np.float32(-np.inf)).max(1)
    margin = _MARGIN * (high - low)
    return np.concatenate((low - margin, high + margin), 1)
