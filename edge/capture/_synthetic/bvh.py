"""Parser of BVH files: motion capture as a tree of joints with angles over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Tuple

import numpy as np

from edge.errors import DataError

_AXES = {"xrotation": 0, "yrotation": 1, "zrotation": 2}
_SHIFTS = {"xposition": 0, "yposition": 1, "zposition": 2}
_MAX_JOINTS = 1000
_MAX_VALUES = 50_000_000


@dataclass
class Joint:
    """One joint of the tree."""

    name: str
    parent: int  # index, -1 = the root
    offset: np.ndarray  # [3] from the parent's joint, in the file's unit
    channels: List[str] = field(default_factory=list)


@dataclass
class BvhFile:
    """The content of a BVH file."""

    joints: List[Joint]  # parents before children; end sites included, without channels
    values: np.ndarray  # [F,C] channels of all joints in order; degrees and the file's unit
    interval_s: float

    def rest(self) -> np.ndarray:
        """[J,3] positions of the joints with all angles zero."""
        out = np.zeros((len(self.joints), 3))
        for i, joint in enumerate(self.joints):
            out[i] = joint.offset + (out[joint.parent] if joint.parent >= 0 else 0)
        return out

    def play(self) -> Tuple[np.ndarray, np.ndarray]:
        """Axes of all joints and position of the root in every frame: [F,J,3,3] and [F,3]."""
        count = len(self.values)
        axes = np.zeros((count, len(self.joints), 3, 3))
        root, at = np.zeros((count, 3)), 0
        for i, joint in enumerate(self.joints):
            turn = np.broadcast_to(np.eye(3), (count, 3, 3))
            for channel in joint.channels:
                value = self.values[:, at]
                at += 1
                if channel in _AXES:
                    turn = turn @ about(_AXES[channel], value)
                elif joint.parent < 0:
                    root[:, _SHIFTS[channel]] = value
            axes[:, i] = axes[:, joint.parent] @ turn if joint.parent >= 0 else turn
        return axes, root + self.joints[0].offset


def read(text: str, name: str) -> BvhFile:
    """Parse a BVH file.

    Args:
        text: the file's content.
        name: for messages.

    Raises:
        DataError: it is no BVH file, cut off, or its numbers do not fit its tree.
    """
    head, mark, tail = text.partition("MOTION")
    if not head.lstrip().startswith("HIERARCHY") or not mark:
        raise DataError(f"{name}: is not a BVH file: no HIERARCHY and MOTION")
    try:
        joints = _tree(iter(head.split()))
        return BvhFile(joints, *_motion(tail, sum(len(j.channels) for j in joints)))
    except StopIteration:
        raise DataError(f"{name}: the joint tree of the BVH file is cut off") from None
    except ValueError as error:
        raise DataError(f"{name}: not a valid BVH file: {error}") from error


def _tree(words: Iterator[str]) -> List[Joint]:
    joints: List[Joint] = []
    path: List[int] = []
    next(words)  # HIERARCHY
    for word in words:
        if word in ("ROOT", "JOINT", "End"):
            parent = path[-1] if path else -1
            if (parent < 0) != (word == "ROOT" and not joints) or len(joints) >= _MAX_JOINTS:
                raise ValueError(f"unexpected {word} in the joint tree")
            joints.append(Joint(next(words), parent, np.zeros(3)))
        elif word == "{":
            path.append(len(joints) - 1)
        elif word == "}" and path:
            path.pop()
        elif word == "OFFSET" and joints:
            joints[-1].offset = np.array([float(next(words)) for _ in range(3)])
        elif word == "CHANNELS" and joints:
            joints[-1].channels = [_channel(next(words)) for _ in range(int(next(words)))]
        else:
            raise ValueError(f"unexpected {word[:40]!r} in the joint tree")
    if path or not joints:
        raise ValueError("the joint tree is not closed")
    return joints


def _channel(word: str) -> str:
    name = word.lower()
    if name not in _AXES and name not in _SHIFTS:
        raise ValueError(f"unknown channel {word[:40]!r}")
    return name


def _motion(text: str, channels: int) -> Tuple[np.ndarray, float]:
    words = text.replace("Frame Time:", "Frame_Time:").split()
    facts: Dict[str, str] = dict(zip(words[0:4:2], words[1:4:2]))
    count, interval_s = int(facts.get("Frames:", "0")), float(facts.get("Frame_Time:", "nan"))
    if not 1e-4 <= interval_s <= 10:
        raise ValueError(f"Frame Time {interval_s} is not 0.0001 to 10 seconds")
    if not 0 < count * channels <= _MAX_VALUES:
        raise ValueError(f"{count} frames of {channels} channels")
    if len(words) - 4 < count * channels:
        raise ValueError(f"{len(words) - 4} numbers, {count * channels} expected: is it cut off?")
    values = np.array(words[4 : 4 + count * channels], float)
    if not np.isfinite(values).all():
        raise ValueError("some numbers are not finite")
    return values.reshape(count, channels), interval_s


def about(axis: int, degrees: np.ndarray) -> np.ndarray:
    """[F,3,3] rotations about one axis."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out = np.zeros((len(degrees), 3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1
    out[:, a, a] = out[:, b, b] = cos
    out[:, b, a], out[:, a, b] = sin, -sin
    return out
