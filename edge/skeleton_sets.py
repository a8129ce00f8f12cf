"""Tables of the keypoint sets: names, edges and OKS sigmas in index order.

Sources: COCO (Lin et al., ECCV 2014); COCO-WholeBody (Jin et al., ECCV 2020); Halpe (Li et al.,
CVPR 2020); BlazePose GHUM (Bazarevsky et al., 2020, and its model card); OpenPose BODY_25 (Cao et
al., TPAMI 2019). Names and edges of the first four follow the open-mmlab/mmpose dataset tables.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

# The formatter would write the tables with one number a line.
# fmt: off

Edges = Tuple[Tuple[int, int], ...]


def _words(text: str) -> Tuple[str, ...]:
    return tuple(text.split())


COCO17 = _words(
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle"
)
FACE68 = tuple(f"face-{i}" for i in range(68))
FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")


def _hand(side: str) -> Tuple[str, ...]:
    joints = [f"{side}_{finger}{i}" for finger in FINGERS for i in (1, 2, 3, 4)]
    return (f"{side}_hand_root", *joints)


WHOLEBODY133 = (
    *COCO17,
    *_words("left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel"),
    *FACE68,
    *_hand("left"),
    *_hand("right"),
)
HALPE26 = (
    *COCO17,
    *_words("head neck hip left_big_toe right_big_toe left_small_toe right_small_toe"),
    *_words("left_heel right_heel"),
)
HALPE136 = (*HALPE26, *FACE68, *_hand("left"), *_hand("right"))
BLAZEPOSE33 = _words(
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer "
    "left_ear right_ear mouth_left mouth_right left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_pinky right_pinky left_index right_index left_thumb "
    "right_thumb left_hip right_hip left_knee right_knee left_ankle right_ankle left_heel "
    "right_heel left_foot_index right_foot_index"
)
OPENPOSE25 = _words(
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist hip "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear "
    "left_ear left_big_toe left_small_toe left_heel right_big_toe right_small_toe "
    "right_heel"
)

# The 68 face points are those of iBUG 300-W: point 0 is at the person's right ear, 16 at the left
# ear. Each run of points mirrors onto itself in reverse order; then follow single pairs.
FACE_MIRROR_RUNS = ((0, 16), (17, 26), (31, 35), (48, 54), (60, 64))
FACE_MIRROR_PAIRS = (
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (55, 59), (56, 58), (65, 67),
)

# Names of BlazePose -> names of the other sets for the same anatomical point. BlazePose has the
# first knuckles of index and little finger, the corners of eyes and mouth, and the tips of the
# feet, which are the big toes of the other sets. Its thumb point lies between two of their joints:
# no partner.
SAME_POINT: Dict[str, str] = {
    "left_foot_index": "left_big_toe",
    "right_foot_index": "right_big_toe",
    "left_index": "left_forefinger1",
    "right_index": "right_forefinger1",
    "left_pinky": "left_pinky_finger1",
    "right_pinky": "right_pinky_finger1",
    "right_eye_outer": "face-36",
    "right_eye_inner": "face-39",
    "left_eye_inner": "face-42",
    "left_eye_outer": "face-45",
    "mouth_right": "face-48",
    "mouth_left": "face-54",
}
# Points that are the midpoint of two others.
MIDPOINTS: Dict[str, Tuple[str, str]] = {
    "neck": ("left_shoulder", "right_shoulder"),
    "hip": ("left_hip", "right_hip"),
}

_HEAD: Edges = ((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6))
_COCO_EDGES: Edges = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
    (7, 9), (8, 10), *_HEAD,
)
_HALPE26_EDGES: Edges = (
    (15, 13), (13, 11), (11, 19), (16, 14), (14, 12), (12, 19), (17, 18), (18, 19), (18, 5), (5, 7),
    (7, 9), (18, 6), (6, 8), (8, 10), *_HEAD,
    (15, 20), (15, 22), (15, 24), (16, 21), (16, 23), (16, 25),
)
_WHOLEBODY_FEET: Edges = ((15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22))
_BLAZEPOSE_EDGES: Edges = (
    (0, 1), (1, 2), (2, 3), (3, 7), (0, 4), (4, 5), (5, 6), (6, 8), (9, 10), (11, 12), (11, 13),
    (13, 15), (15, 17), (15, 19), (15, 21), (17, 19), (12, 14), (14, 16), (16, 18), (16, 20),
    (16, 22), (18, 20), (11, 23), (12, 24), (23, 24), (23, 25), (24, 26), (25, 27), (26, 28),
    (27, 29), (28, 30), (29, 31), (30, 32), (27, 31), (28, 32),
)
_OPENPOSE_EDGES: Edges = (
    (1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (10, 11), (8, 12),
    (12, 13), (13, 14), (1, 0), (0, 15), (15, 17), (0, 16), (16, 18), (14, 19), (19, 20), (14, 21),
    (11, 22), (22, 23), (11, 24),
)


def _finger_edges(root: int, first: int) -> Edges:
    """Five chains of four joints that start at `root`; `first` is the thumb's first joint."""
    edges: List[Tuple[int, int]] = []
    for finger in range(5):
        chain = [root, *range(first + 4 * finger, first + 4 * finger + 4)]
        edges.extend(zip(chain, chain[1:]))
    return tuple(edges)


_BODY_SIGMAS = (
    .026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087,
    .089, .089,
)
_FOOT_SIGMAS = (.068, .066, .066, .092, .094, .094)
_FACE_SIGMAS = (
    .042, .043, .044, .043, .040, .035, .031, .025, .020, .023, .029, .032, .037, .038, .043, .041,
    .045, .013, .012, .011, .011, .012, .012, .011, .011, .013, .015, .009, .007, .007, .007, .012,
    .009, .008, .016, .010, .017, .011, .009, .011, .009, .007, .013, .008, .011, .012, .010, .034,
    .008, .008, .009, .008, .008, .007, .010, .008, .009, .009, .009, .007, .007, .008, .011, .008,
    .008, .008, .010, .008,
)
_HAND_SIGMAS = (
    .029, .022, .035, .037, .047, .026, .025, .024, .035, .018, .024, .022, .026, .017, .021, .021,
    .032, .020, .019, .022, .031,
)
_WHOLEBODY_SIGMAS = (*_BODY_SIGMAS, *_FOOT_SIGMAS, *_FACE_SIGMAS, *_HAND_SIGMAS, *_HAND_SIGMAS)
# The tables of mmpose, with .015 for face and hands. AlphaPose evaluates Halpe with .025, so the AP
# of the two cannot be compared. The 26-point table differs in the nine points after the body.
_HALPE136_SIGMAS = (*_BODY_SIGMAS, *(.08,) * 3, *(.089,) * 6, *(.015,) * 110)
_HALPE26_SIGMAS = (*_BODY_SIGMAS, .026, .026, .066, *(.079,) * 6)


def _sigmas_by_name(names: Tuple[str, ...]) -> Tuple[float, ...]:
    """Sigmas of a set that has none of its own: those of the same points in COCO-WholeBody.

    A midpoint has the sigma of its first parent. BlazePose's thumb has that of the second joint.
    """
    known = dict(zip(WHOLEBODY133, _WHOLEBODY_SIGMAS))
    known.update((own, known[other]) for own, other in SAME_POINT.items())
    known.update((own, known[parent]) for own, (parent, _) in MIDPOINTS.items())
    known.update((f"{side}_thumb", known[f"{side}_thumb2"]) for side in ("left", "right"))
    return tuple(known[name] for name in names)


class KeypointSet(NamedTuple):
    """The table of one set, from which `edge.skeletons` makes a Skeleton."""

    names: Tuple[str, ...]
    edges: Edges
    sigmas: Tuple[float, ...]


SETS: Dict[str, KeypointSet] = {
    "coco17": KeypointSet(COCO17, _COCO_EDGES, _BODY_SIGMAS),
    "halpe26": KeypointSet(HALPE26, _HALPE26_EDGES, _HALPE26_SIGMAS),
    "halpe136": KeypointSet(
        HALPE136,
        (*_HALPE26_EDGES, *_finger_edges(9, 95), *_finger_edges(10, 116)),
        _HALPE136_SIGMAS,
    ),
    "wholebody133": KeypointSet(
        WHOLEBODY133,
        (*_COCO_EDGES, *_WHOLEBODY_FEET, *_finger_edges(91, 92), *_finger_edges(112, 113)),
        _WHOLEBODY_SIGMAS,
    ),
    "blazepose33": KeypointSet(BLAZEPOSE33, _BLAZEPOSE_EDGES, _sigmas_by_name(BLAZEPOSE33)),
    "openpose25": KeypointSet(OPENPOSE25, _OPENPOSE_EDGES, _sigmas_by_name(OPENPOSE25)),
}
