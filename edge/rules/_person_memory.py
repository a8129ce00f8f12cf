"""The state that a rule keeps of each person, as arrays with one row per person.

A tracker may lose a person and find them again with a new id. If a new id appears where a person
has just disappeared, the new id inherits the person's row. So a person who falls behind a table and
comes back with another id is still the person who fell.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge.people.assignment import assign
from edge.structures import Poses

# The most that a person may reappear from the place of disappearance, in longer sides of the box.
_REACH = 0.5
_REACH_PER_S = 1.0
_REACH_MAX = 1.0
# A box that shrinks is remembered larger for about so long: the last box of somebody who falls and
# is lost may hold half the body.
_SIZE_S = 2.0


class PersonMemory:
    """Rows of values by person.

    `memory["name"]` is the array of a field. `rows_of` and `forget` replace the arrays when people
    come or go: do not hold a reference across such a call.
    """

    def __init__(self, keep_s: float, **fields: Any) -> None:
        """Make an empty memory.

        Args:
            keep_s: the row of an absent person can be inherited for this long.
            fields: name = value for a new person, a scalar or an array; it sets the field's dtype.
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
        # The ids of the frame before and their rows: most frames have the same people.
        self._last = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._rows[name]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def names(self) -> List[str]:
        """The names of the fields."""
        return list(self._rows)

    def rows_of(self, people: Poses, t_ns: int) -> np.ndarray:
        """The rows [N] i64 of people; a new id inherits the row of an absent person, or adds one.

        `seen_ns` keeps the time of the frame before until `note_seen` is called.

        Args:
            people: people with different ids; borrowed.
            t_ns: time of the frame; `seen_ns` of a row that is added.
        """
        places, sizes = _centres_and_sizes(people.boxes)
        rows = self._known_rows(people, places, t_ns)
        gone_s = np.maximum(t_ns - self.seen_ns[rows], 0) * 1e-9
        before = self._sizes[rows] * np.exp(gone_s / -_SIZE_S)
        self._places[rows], self._sizes[rows] = places, np.maximum(sizes, before)
        return rows

    def _known_rows(self, people: Poses, places: np.ndarray, t_ns: int) -> np.ndarray:
        """The rows of people; rows of new people are inherited or added."""
        if np.array_equal(people.ids, self._last[0]):
            return self._last[1]
        new = np.flatnonzero(~np.isin(people.ids, self.ids))
        if len(new):
            absent = np.flatnonzero(~np.isin(self.ids, people.ids))
            inherited = self._inherited(places[new], absent, t_ns)
            self.ids[absent[inherited[inherited >= 0]]] = people.ids[new[inherited >= 0]]
            self._add(people.ids[new[inherited < 0]], t_ns)
        order = np.argsort(self.ids)
        rows = order[np.searchsorted(self.ids, people.ids, sorter=order)]
        self._last = people.ids.copy(), rows
        return rows

    def taken(self, rows: np.ndarray) -> Dict[str, np.ndarray]:
        """The rows [N] of every field, to be changed and given to `put`."""
        if self._are_all(rows):
            return dict(self._rows)
        return {name: values[rows] for name, values in self._rows.items()}

    def put(self, rows: np.ndarray, state: Dict[str, np.ndarray]) -> None:
        """Take back what `taken` gave, changed in place or replaced."""
        whole = self._are_all(rows)
        for name, values in state.items():
            if whole:
                self._rows[name] = values.astype(self._rows[name].dtype, copy=False)
            else:
                self._rows[name][rows] = values

    def _are_all(self, rows: np.ndarray) -> bool:
        return len(rows) == len(self) and bool((rows == np.arange(len(rows))).all())

    def note_seen(self, rows: np.ndarray, t_ns: int) -> np.ndarray:
        """Note that these rows are seen now; [M] f64 s since each row of the memory was seen."""
        self.seen_ns[rows] = t_ns
        return np.maximum(t_ns - self.seen_ns, 0) * 1e-9

    def forget(self, rows: np.ndarray) -> None:
        """Drop the rows of a mask [M] bool."""
        if rows.any():
            keep = ~rows
            self._last = np.zeros(0, np.int64), np.zeros(0, np.int64)
            self._rows = {name: values[keep] for name, values in self._rows.items()}
            self.ids, self.seen_ns = self.ids[keep], self.seen_ns[keep]
            self._places, self._sizes = self._places[keep], self._sizes[keep]

    def _inherited(self, places: np.ndarray, absent: np.ndarray, t_ns: int) -> np.ndarray:
        """For each new person the index in `absent` of the row they inherit, -1 = none."""
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


def with_ids(poses: Poses) -> Poses:
    """The people to whom the tracker gave an id."""
    return poses if (poses.ids >= 0).all() else poses.take(poses.ids >= 0)


# Those of the last boxes, for the next rule of the same frame.
_LAST_CENTRES: List[Tuple[Optional[np.ndarray], Tuple[np.ndarray, np.ndarray]]] = [
    (None, (np.zeros((0, 2)), np.zeros(0)))
]


def _centres_and_sizes(boxes: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    last, found = _LAST_CENTRES[0]
    if last is not boxes:
        wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        found = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(wide, high)
        _LAST_CENTRES[0] = boxes, found
    return found
