"""Where people stand: seconds in each cell of a camera's picture, a row a minute."""

from __future__ import annotations

import json
import secrets
import threading
import time
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from edge.errors import DataError
from edge.settings.schema import name_problem
from tools.landing.rows import HEAT

COLUMNS, ROWS = 32, 18
EVERY_S = 0.5  # a camera's frames are looked at so often
LONGEST_S = 2.0  # a frame stands for no longer time
_MINUTE_NS = 60 * 10**9
Place = Tuple[str, str]  # device and camera


class Heat:
    """Sums the feet of people of all cameras; may be used from two threads.

    A cell is a 32nd of the width and an 18th of the height of the picture. The foot of a person is
    the middle of the lower side of the box.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boot_id = secrets.token_hex(8)
        self._seq = 0
        self._looked_s: Dict[str, float] = {}
        self._cells: Dict[Tuple[Place, int], np.ndarray] = {}
        self._last_ns: Dict[Place, int] = {}

    def wants(self, topic: str) -> bool:
        """Whether it is time to look at a frame of this topic."""
        now_s = time.monotonic()
        if now_s - self._looked_s.get(topic, -EVERY_S) < EVERY_S:
            return False
        self._looked_s[topic] = now_s
        return True

    def take(self, record: Mapping[str, Any]) -> None:
        """Count the people of a frame's message; raises DataError."""
        try:
            place = (record["device"], record["camera"])
            t_ns, (width, height) = record["t_utc_ns"], record["size"]
            boxes = np.array([p["box"] for p in record["people"]], float).reshape(-1, 4)
            minute = t_ns // _MINUTE_NS
            if min(width, height) <= 0 or not np.isfinite(boxes).all():
                raise ValueError("its size or a box is no size")
            x = np.clip((boxes[:, 0] + boxes[:, 2]) / 20 / width * COLUMNS, 0, COLUMNS - 1)
            y = np.clip(boxes[:, 3] / 10 / height * ROWS, 0, ROWS - 1)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a frame: {error}") from error
        if name_problem(place[0]) or name_problem(place[1]):
            raise DataError("not a frame: its device or camera is no name")
        since_s = (t_ns - self._last_ns.get(place, t_ns)) * 1e-9
        self._last_ns[place] = t_ns
        with self._lock:
            cells = self._cells.setdefault((place, minute), np.zeros((ROWS, COLUMNS)))
            np.add.at(cells, (y.astype(int), x.astype(int)), min(max(since_s, 0.0), LONGEST_S))

    def rows(self, landed_utc_ns: int, all_of_them: bool = False) -> List[Dict[str, Any]]:
        """Rows of the minutes that are over; each is given once."""
        over = landed_utc_ns // _MINUTE_NS - 1
        with self._lock:
            done = [key for key in self._cells if all_of_them or key[1] < over]
            taken = [(key, self._cells.pop(key)) for key in done]
        return [
            self._row(place, minute, cells, landed_utc_ns)
            for (place, minute), cells in taken
            if cells.any()
        ]

    def _row(
        self, place: Place, minute: int, cells: np.ndarray, landed_utc_ns: int
    ) -> Dict[str, Any]:
        self._seq += 1
        flat = cells.ravel()
        some = [[int(i), round(float(flat[i]), 2)] for i in np.flatnonzero(flat)]
        data = {"columns": COLUMNS, "rows": ROWS, "cells": some}
        row: Dict[str, Any] = {"device": place[0], "camera": place[1], "kind": HEAT}
        row.update(boot_id=self._boot_id, seq=self._seq, t_utc_ns=minute * _MINUTE_NS)
        row.update(person=-1, score=0, level="info", action="", place="", dwell_s=None, why="")
        row.update(historical=False, landed_utc_ns=landed_utc_ns)
        row["data"] = json.dumps(data, separators=(",", ":"))
        return row
