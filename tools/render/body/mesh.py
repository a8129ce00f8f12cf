"""The body's arrays, and the shape of one person from age, gender, build and face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, Mapping, Tuple

import numpy as np

from tools.render.body.build import (
    AGES,
    ARRAYS,
    BONES,
    GENDERS,
    HEIGHTS,
    MUSCLES,
    PROPORTIONS,
    RACES,
    TARGETS,
    WEIGHTS,
    made_folder,
    target_names,
)
from tools.render.body.kernels import weighted_rows

AT = {name: i for i, name in enumerate(BONES)}


@dataclass(frozen=True, eq=False)
class Mesh:
    """Arrays of the body, read-only. V vertices, B bones; metres, x front, y left, z up."""

    template: np.ndarray  # [V,3] f32 the average body in its rest pose
    targets: np.ndarray  # [K,V,3] f32 on disk
    words: Tuple[Tuple[str, ...], ...]  # of each target
    parents: np.ndarray  # [B] i32
    head_index: np.ndarray
    head_starts: np.ndarray
    bone_index: np.ndarray  # [V,6] i32
    bone_weight: np.ndarray  # [V,6] f32
    faces: Dict[str, np.ndarray]  # body, tights, skirt, hair, eyes: [F,3] i32
    regressors: np.ndarray  # [23,V] f32
    actions: Dict[str, Tuple[np.ndarray, np.ndarray]]  # name -> vertices [n], offsets [n,3]

    def heads(self, vertices: np.ndarray) -> np.ndarray:
        """[B,3] f32 heads of the bones of a body in its rest pose."""
        sums = np.add.reduceat(vertices[self.head_index], self.head_starts[:-1], axis=0)
        out: np.ndarray = sums / np.diff(self.head_starts)[:, None].astype(np.float32)
        return out

    def shape(self, traits: Mapping[str, float], actions: Mapping[str, float]) -> np.ndarray:
        """Vertices [V,3] f32 of a person in the rest pose.

        Args:
            traits: age (1/3 a child, 2/3 young, 1 old), gender (0 male, 1 female), muscle, weight,
                height, proportions: 0..1; african, asian, caucasian: shares.
            actions: facial action -> 0..1.
        """
        share = _shares(traits)
        coefficient = np.array([np.prod([share[w] for w in ws]) for ws in self.words], np.float32)
        rows = np.nonzero(coefficient > 1e-4)[0]
        out = self.template.copy()
        weighted_rows(out.reshape(-1), self.targets.reshape(len(self.words), -1), rows, coefficient)
        for name, amount in actions.items():
            index, offset = self.actions[name]
            out[index] += offset * np.float32(amount)
        return out


def _shares(traits: Mapping[str, float]) -> Dict[str, float]:
    """How much of each phenotype word is in a person: linear between neighbours."""
    out = {"universal": 1.0}
    for name, words, low in (
        ("gender", GENDERS, 0.0),
        ("age", AGES, 1 / 3),
        ("muscle", MUSCLES, 0.0),
        ("weight", WEIGHTS, 0.0),
        ("height", HEIGHTS, 0.0),
        ("proportions", PROPORTIONS, 0.0),
    ):
        place = (traits[name] - low) / (1 - low) * (len(words) - 1)
        out.update({w: max(0.0, 1 - abs(place - i)) for i, w in enumerate(words)})
    total = sum(traits[r] for r in RACES)
    out.update({r: traits[r] / total for r in RACES})
    return out


@lru_cache(maxsize=1)
def load(quiet: bool = False) -> Mesh:
    """The body; fetched and made on the first call on a machine.

    Raises:
        EdgeError: the wheel cannot be fetched or is damaged.
    """
    folder = made_folder(quiet)
    with np.load(folder / ARRAYS) as made:
        a = {name: made[name] for name in made.files}
    starts = a["action_starts"]
    actions = {
        str(name): (a["action_index"][i:j], a["action_offset"][i:j])
        for name, i, j in zip(a["action_names"], starts[:-1], starts[1:])
    }
    return Mesh(
        template=a["template"],
        targets=np.load(folder / TARGETS, mmap_mode="r"),
        words=tuple(target_names()),
        parents=a["parents"],
        head_index=a["head_index"],
        head_starts=a["head_starts"],
        bone_index=a["bone_index"],
        bone_weight=a["bone_weight"],
        faces={n[6:]: x for n, x in a.items() if n.startswith("faces_")},
        regressors=a["regressors"],
        actions=actions,
    )
