"""The records that pass between rooms: frames, detections, poses, events, camera states.

N is the number of people, K of keypoints; H and W are image rows and columns. Coordinates are px of
the full upright frame, with the origin at the top left, x to the right and y down. Boxes are x1 y1
x2 y2. Scores are 0..1. The id -1 means no id. Times are monotonic nanoseconds. N = 0 is legal
everywhere.

Arrays are borrowed until the next call that returns the same kind of record: copy what you keep.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from edge.lens import Lens
from edge.view import View

Rows = Union[np.ndarray, slice]
VISIBLE = 0.3  # a keypoint with a higher score counts as visible
HINT = -1.0  # score of a keypoint of Detections that is a guess: it places a crop, nothing else
LAYOUTS = ("bgr", "nv12", "yuyv", "rgb", "gray")
VEIL_CELL_PX = 4  # the same as in crop.cu; _preprocess.veil.hide writes the bytes of a cell at once


def check_array(name: str, array: np.ndarray, dtype: Any, *shape: Optional[int]) -> None:
    """Refuse an array of another type or shape; None = any length. Raises ValueError."""
    if isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == len(shape):
        for want, n in zip(shape, array.shape):  # called dozens of times a frame: all() is slower
            if want is not None and want != n:
                break
        else:
            return
    got = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array)
    raise ValueError(f"{name}: expected {np.dtype(dtype)} {list(shape)}, got {got}")


@dataclass(frozen=True)
class Frame:
    """One image of a camera and its time."""

    image: np.ndarray  # [H,W,3] u8 BGR (layout bgr); borrowed until the frame is released
    index: int  # rises by one with each frame of the camera; a gap = dropped frames
    t_ns: int  # monotonic, at capture; in a recording: its own time, shifted to the monotonic clock
    camera: str
    arrival_ns: int = 0  # monotonic, when the buffer was full; latency is measured from here
    device_ptr: int = 0  # address of the same bytes for the GPU; 0 = host memory only
    layout: str = "bgr"  # one of LAYOUTS; nv12 images are [H*3/2,W], yuyv [H,W,2]
    slot: Any = None  # the ring's own bookkeeping; other code does not touch it
    still: bool = False  # a picture for itself: the one before may show another scene
    view: Optional[View] = None  # how `image` lies in the upright picture; None = it is upright
    lens: Optional[Lens] = None  # of the upright picture, for its size; None = not known

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(f"Frame.layout: {self.layout!r} is none of {', '.join(LAYOUTS)}")
        if self.layout in ("bgr", "rgb"):
            check_array("Frame.image", self.image, np.uint8, None, None, 3)

    @property
    def size(self) -> Tuple[int, int]:
        """Width and height of the upright picture in px: the space of boxes and keypoints."""
        return self.stored_size if self.view is None else self.view.size(self.stored_size)

    @property
    def stored_size(self) -> Tuple[int, int]:
        """Width and height in px of the picture as it lies in memory."""
        rows = self.image.shape[0]
        return int(self.image.shape[1]), rows * 2 // 3 if self.layout == "nv12" else rows


@dataclass(frozen=True)
class Detections:
    """Boxes of people in one frame."""

    boxes: np.ndarray  # [N,4] f32 px
    scores: np.ndarray  # [N] f32 0..1
    # [N,17,3] f32, COCO's keypoints as x, y px and score; score 0 = missing, HINT = a guess, maybe
    # outside the frame. None = boxes only
    keypoints: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        check_array("Detections.boxes", self.boxes, np.float32, None, 4)
        check_array("Detections.scores", self.scores, np.float32, len(self.boxes))
        if self.keypoints is not None:
            check_array("Detections.keypoints", self.keypoints, np.float32, len(self.boxes), 17, 3)

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: np.ndarray) -> Detections:
        """The rows of a mask, or of indices in their order."""
        keypoints = None if self.keypoints is None else self.keypoints[which]
        return Detections(self.boxes[which], self.scores[which], keypoints)

    @staticmethod
    def empty() -> Detections:
        """A record without people."""
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Poses:
    """Skeletons of people in one frame.

    As input of a pose model the rows are candidates: people to look for. A candidate has a box. It
    has keypoints with scores > 0 if they were predicted from earlier frames. All scores of a newly
    detected person are 0.
    """

    keypoints: np.ndarray  # [N,K,2] f32 px
    scores: np.ndarray  # [N,K] f32 0..1; 0 = missing
    boxes: np.ndarray  # [N,4] f32 px
    ids: np.ndarray  # [N] i64, -1 none
    person_scores: np.ndarray  # [N] f32 0..1, confidence that the person is there
    skeleton: str  # a name of edge.skeletons
    # [N,...] f32, private data of a pose model in two halves, from the first half to the second
    places: Optional[np.ndarray] = None
    # [N,17,3] f32, of candidates: Detections.keypoints of this frame. None = the detector gave none
    sightings: Optional[np.ndarray] = None
    # [N] bool, whether the keypoints are only predicted, until the detector looks again. None = no
    carried: Optional[np.ndarray] = None
    # [N] f32 0..1, how much each person matters to the rules. None = all matter alike
    weights: Optional[np.ndarray] = None
    # [N,K,4] f32, x y z in m from the middle of the hips and score, in the camera's axes: x to the
    # right, y down, z ahead; a score of 0 = missing. None = the pose model measures no depth
    world: Optional[np.ndarray] = None
    # [N,K,2] f32 px, keypoints as a camera without a lens that is turned to each person would show
    # them: for angles and posture, not for places. None = no lens is known
    straight: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        check_array("Poses.keypoints", self.keypoints, np.float32, n, None, 2)
        check_array("Poses.scores", self.scores, np.float32, n, self.keypoints.shape[1])
        check_array("Poses.boxes", self.boxes, np.float32, n, 4)
        check_array("Poses.ids", self.ids, np.int64, n)
        check_array("Poses.person_scores", self.person_scores, np.float32, n)
        if self.places is not None:
            rest = (None,) * (self.places.ndim - 1)
            check_array("Poses.places", self.places, np.float32, n, *rest)
        if self.sightings is not None:
            check_array("Poses.sightings", self.sightings, np.float32, n, 17, 3)
        if self.carried is not None:
            check_array("Poses.carried", self.carried, np.bool_, n)
        if self.weights is not None:
            check_array("Poses.weights", self.weights, np.float32, n)
        if self.world is not None:
            check_array("Poses.world", self.world, np.float32, n, self.scores.shape[1], 4)
        if self.straight is not None:
            check_array("Poses.straight", self.straight, np.float32, n, self.scores.shape[1], 2)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def guessed(self) -> bool:
        """Whether somebody's keypoints are only predicted."""
        return self.carried is not None and bool(self.carried.any())

    def take(self, which: Rows) -> Poses:
        """The rows of a mask, of indices in their order, or of a slice (views in that case)."""
        return Poses(
            self.keypoints[which],
            self.scores[which],
            self.boxes[which],
            self.ids[which],
            self.person_scores[which],
            self.skeleton,
            None if self.places is None else self.places[which],
            None if self.sightings is None else self.sightings[which],
            None if self.carried is None else self.carried[which],
            None if self.weights is None else self.weights[which],
            None if self.world is None else self.world[which],
            None if self.straight is None else self.straight[which],
        )

    @staticmethod
    def join(records: Sequence[Poses]) -> Poses:
        """Join records of one skeleton into one, in their order and in new arrays.

        Records without people are skipped. `places`, `sightings`, `carried` and `straight` are kept
        if all other records have them; `weights` and `world` are 0 where a record has none.

        Args:
            records: at least one.
        """
        some = [p for p in records if len(p)] or records[:1]
        places = [p.places for p in some if p.places is not None]
        sightings = [p.sightings for p in some if p.sightings is not None]
        carried = [p.carried for p in some if p.carried is not None]
        straight = [p.straight for p in some if p.straight is not None]
        weighed = any(p.weights is not None for p in some)
        weights = [np.zeros(len(p), np.float32) if p.weights is None else p.weights for p in some]
        deep = any(p.world is not None for p in some)
        world = [
            np.zeros((*p.scores.shape, 4), np.float32) if p.world is None else p.world for p in some
        ]
        return Poses(
            np.concatenate([p.keypoints for p in some]),
            np.concatenate([p.scores for p in some]),
            np.concatenate([p.boxes for p in some]),
            np.concatenate([p.ids for p in some]),
            np.concatenate([p.person_scores for p in some]),
            some[0].skeleton,
            np.concatenate(places) if len(places) == len(some) else None,
            np.concatenate(sightings) if len(sightings) == len(some) else None,
            np.concatenate(carried) if len(carried) == len(some) else None,
            np.concatenate(weights) if weighed else None,
            np.concatenate(world) if deep else None,
            np.concatenate(straight) if len(straight) == len(some) else None,
        )

    @staticmethod
    def empty(keypoints: int, skeleton: str) -> Poses:
        """A record without people, for a skeleton with that number of keypoints."""
        return Poses.of_boxes(Detections.empty(), keypoints, skeleton)

    @staticmethod
    def of_boxes(people: Detections, keypoints: int, skeleton: str) -> Poses:
        """Candidates that have boxes and, perhaps, sightings; borrows the detections."""
        n = len(people)
        return Poses(
            np.zeros((n, keypoints, 2), np.float32),
            np.zeros((n, keypoints), np.float32),
            people.boxes,
            np.full(n, -1, np.int64),
            people.scores,
            skeleton,
            sightings=people.keypoints,
        )


@dataclass(frozen=True)
class Veils:
    """Coarse masks of crops. Hidden pixels get the same grey as pixels outside the frame.

    A veil is one mask. It has a cell for each VEIL_CELL_PX x VEIL_CELL_PX px of a crop of height H
    and width W.
    """

    of_crop: np.ndarray  # [B] i32 index of each crop's veil; -1 = none
    cells: np.ndarray  # [V,ceil(H/VEIL_CELL_PX),ceil(W/VEIL_CELL_PX)] u8, 0 = visible, else hidden

    def __post_init__(self) -> None:
        check_array("Veils.of_crop", self.of_crop, np.int32, None)
        check_array("Veils.cells", self.cells, np.uint8, None, None, None)

    def take(self, which: Rows) -> Veils:
        """The veils of crops chosen by a mask, by indices or by a slice."""
        return Veils(self.of_crop[which], self.cells)


LEVELS = ("info", "warning", "alarm")
JsonValue = Union[None, bool, int, float, str, List[Any], Dict[str, Any]]


@dataclass(frozen=True)
class PoseEvent:
    """An event that a rule found in the poses of a camera."""

    kind: str  # the rule's name: presence, zone, fall ...
    camera: str
    person: int  # track id, -1 = no single person
    t_ns: int
    score: float  # 0..1, how sure the rule is
    data: Dict[str, JsonValue] = field(default_factory=dict)  # see the docstring of the rule
    level: str = "info"  # one of LEVELS
    why: str = ""  # one line for people: what was seen, with figures and their bounds
    before: Tuple[Moment, ...] = ()  # poses before the event, oldest first


@dataclass(frozen=True)
class Moment:
    """The people of one camera at one time, in arrays of its own."""

    t_ns: int
    poses: Poses


@dataclass(frozen=True, eq=False)
class Outline:
    """A polygon or an open line that a rule watches, for pictures and the viewer."""

    points: np.ndarray  # [V] complex px of the frame
    label: str
    closed: bool = True

    def __eq__(self, other: object) -> bool:
        """Compare the corners as a whole: NumPy's own == gives an array."""
        if not isinstance(other, Outline):
            return NotImplemented
        same = self.label == other.label and self.closed == other.closed
        return same and np.array_equal(self.points, other.points)

    __hash__ = None  # type: ignore[assignment]  # an array has no hash


@dataclass(frozen=True)
class RuleSummary:
    """What a rule knows of its camera now, for consumers that missed its events."""

    name: str  # of the rule in its camera: its own name, or its kind
    kind: str  # as in PoseEvent
    data: Dict[str, JsonValue]  # the figures of that kind
    zones: Dict[str, int] = field(default_factory=dict)  # people in each zone
    down: int = 0  # people who fell or lie, and have not got up
    unsure: str = ""  # why the rule cannot judge at present; empty = it can
    # For pictures; not published.
    labels: Mapping[int, str] = field(default_factory=dict)  # a few words beside a person, by id
    outlines: Sequence[Outline] = ()  # what the rule watches; published


@dataclass(frozen=True)
class CameraState:
    """The condition of a camera, as its supervisor reports it."""

    camera: str
    state: str  # starting | ok | stalled | ended | failed
    detail: str  # one line for the operator; empty if ok
    t_ns: int  # monotonic, when this state began
    frames: int = 0  # frames that the source gave
    dropped: int = 0  # frames that the loop did not take
    reconnects: int = 0
    size: Tuple[int, int] = (0, 0)  # width, height px of the last frame
    memory: str = ""  # how frames enter the ring: userptr, dmabuf, mmap, decoded, drawn
    host_copies: int = 0  # copies of a whole frame by the CPU between driver and loop
