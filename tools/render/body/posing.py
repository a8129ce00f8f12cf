"""Bones of one person from the axes of fifteen segments, fingers, toes and gaze.

The segments are those of the drawn scenes (`edge.capture._synthetic.body`): x to the front, y to
the left, z up, limbs along -z. So each motion of that source drives this body, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Tuple

import numpy as np

from edge.capture._synthetic.body import AT as SEGMENT
from tools.render.body.build import BONES
from tools.render.body.mesh import AT, Mesh

SIDES = (("L", "left", 1.0), ("R", "right", -1.0))
_SPINE = (
    ("spine05", 0.12),
    ("spine04", 0.35),
    ("spine03", 0.6),
    ("spine02", 0.85),
    ("spine01", 1.0),
)
_NECK = (("neck01", 0.25), ("neck02", 0.45), ("neck03", 0.7), ("head", 1.0))
# Bones of a limb that turn with a segment, and the bones whose heads span it in the rest pose.
_LIMBS = (
    ("upper_arm", ("upperarm01", "upperarm02"), "upperarm01", "lowerarm01"),
    ("forearm", ("lowerarm01", "lowerarm02"), "lowerarm01", "wrist"),
    ("hand", ("wrist",), "wrist", "finger3-1"),
    ("thigh", ("upperleg01", "upperleg02"), "upperleg01", "lowerleg01"),
    ("shank", ("lowerleg01", "lowerleg02"), "lowerleg01", "foot"),
)
_CLOSED = ((0.35, 0.6, 0.9), (1.25, 1.5, 1.0))  # rad of the joints of a closed thumb and finger


@dataclass
class Pose:
    """The pose of one person."""

    axes: np.ndarray  # [15,3,3] f64 of the segments, in the world
    fingers: np.ndarray = field(default_factory=lambda: np.full((2, 5), 0.3))  # 0 open, 1 a fist
    spread: np.ndarray = field(default_factory=lambda: np.zeros(2))  # rad between fingers
    wrists: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))  # rad about x, y, z
    toes: np.ndarray = field(default_factory=lambda: np.zeros(2))  # rad, up is positive
    gaze: np.ndarray = field(default_factory=lambda: np.zeros(2))  # rad to the left, up


class Rig:
    """The skeleton of one person: heads of the bones, and the turns of its rest pose.

    Args:
        mesh: the body.
        rest: [V,3] f32 vertices of the person in the rest pose.
    """

    def __init__(self, mesh: Mesh, rest: np.ndarray) -> None:
        self.heads = mesh.heads(rest).astype(np.float64)
        self._parents = mesh.parents
        down = np.array([0.0, 0.0, -1.0])
        self._straight = {
            (segment, side): least_turn(self._bone(start, end, side), down)
            for segment, _, start, end in _LIMBS
            for side, _, _ in SIDES
        }
        self._flexion = {
            (f, side): self._finger_axis(f, side, sign)
            for f in range(1, 6)
            for side, _, sign in SIDES
        }

    def _bone(self, start: str, end: str, side: str) -> np.ndarray:
        return self.heads[AT[f"{end}.{side}"]] - self.heads[AT[f"{start}.{side}"]]

    def _finger_axis(self, finger: int, side: str, sign: float) -> Tuple[np.ndarray, np.ndarray]:
        """Axes of the rest pose about which a finger closes and spreads."""
        palm = np.cross(
            self._bone("wrist", "finger2-1", side), self._bone("wrist", "finger5-1", side)
        )
        bone = self._bone(f"finger{finger}-1", f"finger{finger}-2", side)
        return sign * unit(np.cross(palm, bone)), sign * unit(palm)

    def bones(self, pose: Pose) -> Tuple[np.ndarray, np.ndarray]:
        """Turn [B,3,3] f32 and shift [B,3] f32 of each bone for `kernels.skin`.

        The mid-hip is at the origin.
        """
        turn = np.empty((len(BONES), 3, 3))
        self._trunk(turn, pose)
        for index, (side, word, sign) in enumerate(SIDES):
            self._limbs(turn, pose, side, word, sign)
            self._hand(turn, pose, index, side)
            self._foot(turn, pose, index, side)
        shift = self._shifts(turn)
        return turn.astype(np.float32), shift.astype(np.float32)

    def _trunk(self, turn: np.ndarray, pose: Pose) -> None:
        pelvis, chest, head = (pose.axes[SEGMENT[n]] for n in ("pelvis", "chest", "head"))
        turn[AT["root"]] = pelvis
        back, neck = rotation_vector(pelvis.T @ chest), rotation_vector(chest.T @ head)
        for name, share in _SPINE:
            turn[AT[name]] = pelvis @ rotation(back * share)
        for name, share in _NECK:
            turn[AT[name]] = chest @ rotation(neck * share)
        look = head @ rotation(np.array([0.0, -pose.gaze[1], pose.gaze[0]]))
        turn[AT["eye.L"]] = turn[AT["eye.R"]] = look

    def _limbs(self, turn: np.ndarray, pose: Pose, side: str, word: str, sign: float) -> None:
        chest = pose.axes[SEGMENT["chest"]]
        arm = chest.T @ pose.axes[SEGMENT[f"{word}_upper_arm"]] @ [0.0, 0.0, -1.0]
        # The shoulder girdle follows an arm that is raised or held to the front.
        up = np.clip(np.arcsin(np.clip(arm[2], -1, 1)) + 0.9, 0, 2) * 0.28
        girdle = chest @ rotation(np.array([sign * up, 0.0, -sign * 0.22 * max(arm[0], 0.0)]))
        turn[AT[f"clavicle.{side}"]] = turn[AT[f"shoulder01.{side}"]] = girdle
        for segment, bones, _, _ in _LIMBS:
            frame = pose.axes[SEGMENT[f"{word}_{segment}"]] @ self._straight[segment, side]
            for bone in bones:
                turn[AT[f"{bone}.{side}"]] = frame

    def _hand(self, turn: np.ndarray, pose: Pose, index: int, side: str) -> None:
        wrist = turn[AT[f"wrist.{side}"]]
        wrist = wrist @ rotation(pose.wrists[index])
        turn[AT[f"wrist.{side}"]] = wrist
        arm = turn[AT[f"lowerarm01.{side}"]]  # the far half of the forearm follows half the twist
        half = rotation_vector(arm.T @ wrist)
        along = unit(self._bone("lowerarm01", "wrist", side))
        turn[AT[f"lowerarm02.{side}"]] = arm @ rotation(along * (half @ along) * 0.5)
        for finger in range(1, 6):
            flexion, spread = self._flexion[finger, side]
            frame = wrist @ rotation(spread * pose.spread[index] * (finger - 3) * 0.5)
            for joint in range(3):
                angle = _CLOSED[finger > 1][joint] * pose.fingers[index, finger - 1]
                frame = frame @ rotation(flexion * angle)
                turn[AT[f"finger{finger}-{joint + 1}.{side}"]] = frame

    def _foot(self, turn: np.ndarray, pose: Pose, index: int, side: str) -> None:
        word = "left" if side == "L" else "right"
        foot = pose.axes[SEGMENT[f"{word}_foot"]]
        turn[AT[f"foot.{side}"]] = foot
        toes = foot @ rotation(np.array([0.0, -pose.toes[index], 0.0]))
        for toe in range(1, 6):
            turn[AT[f"toe{toe}-1.{side}"]] = toes

    def _shifts(self, turn: np.ndarray) -> np.ndarray:
        places = np.zeros_like(self.heads)
        for bone, parent in enumerate(self._parents):
            if parent >= 0:
                step = self.heads[bone] - self.heads[parent]
                places[bone] = places[parent] + turn[parent] @ step
        middle = (places[AT["upperleg01.L"]] + places[AT["upperleg01.R"]]) / 2
        return places - middle - np.einsum("bij,bj->bi", turn, self.heads)


def unit(v: np.ndarray) -> np.ndarray:
    """A vector of length 1 in the direction of `v`."""
    return v / max(float(np.sqrt(v @ v)), 1e-12)


def least_turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[3,3] smallest rotation of direction a to direction b (Rodrigues' formula)."""
    a, b = unit(a), unit(b)
    axis, cos = np.cross(a, b), float(a @ b)
    if cos < -0.9999:
        return np.diag([-1.0, 1.0, -1.0])
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + k + k @ k / (1 + cos)


def rotation(vector: np.ndarray) -> np.ndarray:
    """[3,3] rotation about a vector by its length in rad (Rodrigues' formula)."""
    angle = float(np.sqrt(vector @ vector))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = vector / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def rotation_vector(turn: np.ndarray) -> np.ndarray:
    """The vector of `rotation` for a matrix; of a half turn, any of its two."""
    cos = np.clip((np.trace(turn) - 1) / 2, -1.0, 1.0)
    angle = float(np.arccos(cos))
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    if angle > np.pi - 1e-4:
        column = turn[:, int(np.argmax(np.diag(turn)))] + np.eye(3)[int(np.argmax(np.diag(turn)))]
        return unit(column) * angle
    return axis * (angle / (2 * np.sin(angle)) if angle > 1e-6 else 0.5)
