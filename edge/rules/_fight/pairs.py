"""The state of pairs of people who are or were near each other, as arrays with a row for each pair.

People are known by numbers that stay with their place: a person whom the tracker loses in a clinch
and finds again with another id keeps the number, and so the pair keeps its evidence.
"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

_BASE = 1 << 31


class Pairs:
    """Rows of values by pair, in the order of `keys`.

    Args:
        fields: name = value of a new pair, a scalar; it sets the field's dtype.
    """

    def __init__(self, **fields: Any) -> None:
        self._new = {name: np.asarray(value) for name, value in fields.items()}
        self._rows: Dict[str, np.ndarray] = {
            name: np.zeros(0, value.dtype) for name, value in self._new.items()
        }
        self.keys = np.zeros(0, np.int64)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._rows[name]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def first(self) -> np.ndarray:
        """The smaller number of each pair."""
        return self.keys // _BASE

    @property
    def second(self) -> np.ndarray:
        """The larger number of each pair."""
        return self.keys % _BASE

    def rows_of(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The rows of pairs [P] of different numbers; pairs that are new are added."""
        keys = np.minimum(one, other) * _BASE + np.maximum(one, other)
        new = np.setdiff1d(keys, self.keys)
        if len(new):
            order = np.argsort(np.concatenate((self.keys, new)), kind="stable")
            for name, value in self._new.items():
                more = np.full(len(new), value, value.dtype)
                self._rows[name] = np.concatenate((self._rows[name], more))[order]
            self.keys = np.concatenate((self.keys, new))[order]
        out: np.ndarray = np.searchsorted(self.keys, keys)
        return out

    def forget(self, rows: np.ndarray) -> None:
        """Drop the rows of a mask [P] bool."""
        if rows.any():
            self._rows = {name: values[~rows] for name, values in self._rows.items()}
            self.keys = self.keys[~rows]
