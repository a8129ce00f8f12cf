"""Make the body's arrays from the published files once, and keep them in the cache."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from tools.fetch.cache import cache_folder
from tools.fetch.files import locked
from tools.progress import Progress
from tools.render.body.files import WHEEL, BodyFiles

FORMAT = 3  # of the arrays in the cache; count up when they change
TARGETS, ARRAYS = "targets.npy", "body.npz"
BONES_PER_VERTEX = 6
POINTS = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
]

GENDERS, AGES = ("male", "female"), ("child", "young", "old")
MUSCLES = ("minmuscle", "averagemuscle", "maxmuscle")
WEIGHTS = ("minweight", "averageweight", "maxweight")
RACES = ("african", "asian", "caucasian")
HEIGHTS = ("minheight", "maxheight")
PROPORTIONS = ("idealproportions", "uncommonproportions")

# Bones that move; the others move with the nearest of these above them.
_SPINE = ("root", "spine05", "spine04", "spine03", "spine02", "spine01")
_NECK = ("neck01", "neck02", "neck03", "head")
_SIDED = (
    ("clavicle", "shoulder01", "upperarm01", "upperarm02", "lowerarm01", "lowerarm02", "wrist")
    + tuple(f"finger{f}-{b}" for f in range(1, 6) for b in range(1, 4))
    + ("upperleg01", "upperleg02", "lowerleg01", "lowerleg02", "foot")
    + tuple(f"toe{t}-1" for t in range(1, 6))
    + ("eye",)
)
BONES = _SPINE + _NECK + tuple(f"{name}.{side}" for side in "LR" for name in _SIDED)


def target_names() -> List[Tuple[str, ...]]:
    """The morph targets, each as the phenotype words of its file name."""
    builds = [(g, a, m, w) for g in GENDERS for a in AGES for m in MUSCLES for w in WEIGHTS]
    rows: List[Tuple[str, ...]] = [("universal", *b) for b in builds]
    rows += [(r, g, a) for r in RACES for g in GENDERS for a in AGES]
    rows += [(*b, h) for b in builds for h in HEIGHTS]
    rows += [(*b, p) for b in builds for p in PROPORTIONS]
    return rows


def _file(words: Tuple[str, ...]) -> str:
    folder = {**dict.fromkeys(HEIGHTS, "height/"), **dict.fromkeys(PROPORTIONS, "proportions/")}
    return "macrodetails/" + folder.get(words[-1], "") + "-".join(words)


def made_folder(quiet: bool = False) -> Path:
    """Folder of the body's arrays; made if it is missing, which takes some seconds."""
    folder = cache_folder() / f"body-{WHEEL.version}-{FORMAT}"
    with locked(cache_folder() / ".body.lock"):
        if not (folder / ARRAYS).is_file():
            _make(folder, quiet)
    return folder


def _make(folder: Path, quiet: bool) -> None:
    part = Path(tempfile.mkdtemp(prefix=".body-", dir=folder.parent))
    files = BodyFiles(quiet)
    try:
        names = target_names()
        with Progress("reading the body", len(names) + 1, "files", quiet) as bar:
            arrays = _arrays(files)
            bar.update()
            targets = np.lib.format.open_memmap(
                part / TARGETS, "w+", np.float32, (len(names), *arrays["template"].shape)
            )
            for row, words in zip(targets, names):
                row[:] = files.target(_file(words))
                bar.update()
            targets.flush()
        np.savez(part / ARRAYS, **arrays)  # type: ignore[arg-type]
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        files.close()
        shutil.rmtree(part, ignore_errors=True)


def _arrays(files: BodyFiles) -> Dict[str, np.ndarray]:
    template, groups = files.mesh()
    rig, parents = files.rig(), _parents(files.rig())
    bone_index, bone_weight = _skin(files.weights(), rig, len(template))
    names, starts, indices, offsets = _actions(files)
    return {
        "template": template,
        "parents": np.array(parents, np.int32),
        **_heads(rig, groups),
        "bone_index": bone_index,
        "bone_weight": bone_weight,
        "regressors": files.regressors(POINTS),
        "action_names": names,
        "action_starts": starts,
        "action_index": indices,
        "action_offset": offsets,
        **{
            f"faces_{name.replace('helper-', '').replace('-', '_')}": _triangles(groups[name])
            for name in ("body", "helper-tights", "helper-skirt", "helper-hair")
        },
        "faces_eyes": np.concatenate([_triangles(groups[f"helper-{s}-eye"]) for s in "lr"]),
    }


def _triangles(quads: np.ndarray) -> np.ndarray:
    """[2F,3] i32 of [F,4]; the second half of a triangle written as a quad is left out."""
    both = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    whole = (both[:, 0] != both[:, 1]) & (both[:, 1] != both[:, 2]) & (both[:, 0] != both[:, 2])
    return np.ascontiguousarray(both[whole], np.int32)


def _above(name: str, rig: Dict[str, Any]) -> Iterator[str]:
    while name:
        yield name
        name = rig[name]["parent"]


def _parents(rig: Dict[str, Any]) -> List[int]:
    """Index of the parent of each of BONES; -1 for the root."""
    chains = [list(_above(name, rig))[1:] for name in BONES]
    return [next((BONES.index(n) for n in chain if n in BONES), -1) for chain in chains]


def _heads(rig: Dict[str, Any], groups: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """The vertices whose mean is the head of each bone, concatenated, and where each starts."""
    lists = []
    for name in BONES:
        head = rig[name]["head"]
        if head["strategy"] == "CUBE":
            lists.append(np.unique(groups[head["cube_name"]]))
        elif head["strategy"] == "MEAN":
            lists.append(np.array(head["vertex_indices"]))
        else:
            lists.append(np.array([head["vertex_index"]]))
    starts = np.concatenate([[0], np.cumsum([len(x) for x in lists])])
    return {"head_index": np.concatenate(lists).astype(np.int32), "head_starts": starts}


def _skin(
    weights: Dict[str, List[Tuple[int, float]]], rig: Dict[str, Any], count: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Bones [V,6] i32 and weights [V,6] f32 of each vertex, the heaviest first; sums are 1."""
    dense = np.zeros((count, len(BONES)), np.float32)
    for name, pairs in weights.items():
        if pairs:
            bone = BONES.index(next(n for n in _above(name, rig) if n in BONES))
            rows = np.array(pairs)
            np.add.at(dense[:, bone], rows[:, 0].astype(int), rows[:, 1])
    order = np.argsort(-dense, axis=1)[:, :BONES_PER_VERTEX].astype(np.int32)
    heaviest = np.take_along_axis(dense, order, axis=1)
    return order, heaviest / heaviest.sum(1, keepdims=True)


def _actions(files: BodyFiles) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    found = files.face_actions()
    starts = list(itertools.accumulate((len(i) for i, _ in found.values()), initial=0))
    indices = np.concatenate([i for i, _ in found.values()])
    offsets = np.concatenate([o for _, o in found.values()])
    return np.array(list(found)), np.array(starts), indices, offsets
