"""What a rule keeps of each person from frame to frame, as arrays with one row per person.

Trackers lose people: an id that is new where somebody has just vanished is taken for that person,
so that one who falls behind a table and comes back under another number is still the one who fell.
"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from edge.people.assignment import assign
from edge.structures import Poses

# How far from where they vanished people may appear again, in their box's longer side.
_REACH = 0.5
_REACH_PER_S = 1.0
_REACH_MAX = 1.0


class Memory:
    """Rows of numbers by person.

    `memory["name"]` is the array of a field; it is replaced when people come or go, so hold no
    reference over a call of `meet` or `forget`.
    """

    def __init__(self, keep_s: float, **fields: Any) -> None:
        """Make an empty one.

        Args:
            keep_s: an absent person's number can be inherited for so long.
            fields: name = value for a new person; a scalar or an array, its dtype is the field's.
        """
        self._keep_ns = round(keep_s * 1e9)
        self._new = {name: np.asarray(value) for name, value in fields.items()}
        self._rows: Dict[str, np.ndarray] = {
            name: np.zeros((0, *value.shape), value.dtype) for name, value in self._new.items()
        }
        self.ids = np.zeros(0, np.int64)
        self.seen_ns = np.zeros(0, np.int64)
        self._places = np.zeros((0, 2))
        self._sizes = np.zeros(0)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._rows[name]

    def __len__(self) -> int:
        return len(self.ids)

    def meet(self, people: Poses, t_ns: int) -> np.ndarray:
        """The rows [N] i64 of these people; strangers get a new or an inherited one.

        `seen_ns` still is the time of the sight before until `left` is called.

        Args:
            people: with ids, each once.
            t_ns: time of the frame; a new row is as if first seen now.
        """
        places, sizes = _where(people.boxes)
        strangers = np.flatnonzero(~np.isin(people.ids, self.ids))
        if len(strangers):
            absent = np.flatnonzero(~np.isin(self.ids, people.ids))
            heirs = self._heirs(places[strangers], absent, t_ns)
            self.ids[absent[heirs[heirs >= 0]]] = people.ids[strangers[heirs >= 0]]
            self._add(people.ids[strangers[heirs < 0]], t_ns)
        order = np.argsort(self.ids)
        rows = order[np.searchsorted(self.ids, people.ids, sorter=order)]
        self._places[rows], self._sizes[rows] = places, sizes
        return rows

    def left(self, rows: np.ndarray, t_ns: int) -> np.ndarray:
        """Note who is here now; how long ago the others were seen, [M] f64 s (0 for these)."""
        self.seen_ns[rows] = t_ns
        return np.maximum(t_ns - self.seen_ns, 0) * 1e-9

    def forget(self, rows: np.ndarray) -> None:
        """Drop rows, a mask [M]."""
        if rows.any():
            keep = ~rows
            self._rows = {name: values[keep] for name, values in self._rows.items()}
            self.ids, self.seen_ns = self.ids[keep], self.seen_ns[keep]
            self._places, self._sizes = self._places[keep], self._sizes[keep]

    def _heirs(self, places: np.ndarray, absent: np.ndarray, t_ns: int) -> np.ndarray:
        """For each stranger the index in `absent` of whom they are taken for, or -1."""
        away_ns = np.maximum(t_ns - self.seen_ns[absent], 0)
        reach = np.minimum(_REACH + _REACH_PER_S * away_ns * 1e-9, _REACH_MAX) * self._sizes[absent]
        step = places[:, None] - self._places[absent]
        far = np.hypot(step[..., 0], step[..., 1]) / np.maximum(reach, 1e-6)
        far[:, away_ns > self._keep_ns] = np.inf
        return assign(np.where(far < 1, far, np.inf), 1.0)

    def _add(self, ids: np.ndarray, t_ns: int) -> None:
        n = len(ids)
        for name, value in self._new.items():
            rows = np.broadcast_to(value, (n, *value.shape))
            self._rows[name] = np.concatenate((self._rows[name], rows))
        self.ids = np.concatenate((self.ids, ids))
        self.seen_ns = np.concatenate((self.seen_ns, np.full(n, t_ns, np.int64)))
        self._places = np.concatenate((self._places, np.zeros((n, 2))))
        self._sizes = np.concatenate((self._sizes, np.zeros(n)))


def named(poses: Poses) -> Poses:
    """Without the people whom the tracker gave no number."""
    return poses if (poses.ids >= 0).all() else poses.take(poses.ids >= 0)


def _where(boxes: np.ndarray) -> Any:
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(wide, high)
