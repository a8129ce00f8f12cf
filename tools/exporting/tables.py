"""Tables of one row for each person and frame: CSV and Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Optional

import numpy as np

from edge import skeletons
from edge.errors import DataError
from edge.message_people import percent, tenths
from tools.exporting.number_rows import number_rows
from tools.exporting.sight import Sight

ROWS = 16384  # of a row group
AXES = "xyz"
_ONE = "a table has one set of keypoints: give --skeleton NAME, or --camera, or --scenes"


class Csv:
    """Writes a CSV with columns `x_nose, y_nose, score_nose ...`; a missing keypoint is empty.

    Lengths are px, of scenes m.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._like: Optional[Sight] = None
        self.rows = 0

    def add(self, sight: Sight) -> None:
        """Write the rows of one frame."""
        self._begin(sight)
        if not len(sight):
            return
        n = len(sight)
        values = np.concatenate((sight.points, sight.scores[..., None]), 2).astype(np.float64)
        values = np.where(sight.scores[..., None] > 0, np.round(values, 4), np.nan)
        boxes = (
            np.full((n, 4), np.nan)
            if sight.in_space
            else np.round(sight.boxes.astype(np.float64), 2)
        )
        own = np.round(sight.person_scores.astype(np.float64), 4)[:, None]
        rows = number_rows(np.hstack((own, boxes, values.reshape(n, -1))).astype(np.float64))
        head = (
            f"{sight.device},{sight.camera},{sight.boot_id},{sight.seq},"
            f"{sight.t_utc_ns},{sight.t_mono_ns},"
        )
        lines = [f"{head}{who},".encode() + r + b"\n" for who, r in zip(sight.ids.tolist(), rows)]
        self._file.write(b"".join(lines))
        self.rows += n

    def close(self) -> List[str]:
        """Complete the file; notes for the user."""
        self._file.close()
        return [f"{self.rows} rows: {self._path}"]

    def _begin(self, sight: Sight) -> None:
        if self._like is not None:
            check_same(self._like, sight)
            return
        self._like = sight
        axes = AXES[: sight.points.shape[2]]
        names = skeletons.get(sight.skeleton).names
        columns = ["device", "camera", "boot_id", "seq", "t_utc_ns", "t_mono_ns", "person"]
        columns += ["person_score", "box_x1", "box_y1", "box_x2", "box_y2"]
        columns += [f"{what}_{name}" for name in names for what in (*axes, "score")]
        self._file.write(",".join(columns).encode() + b"\n")


def check_same(first: Sight, sight: Sight) -> None:
    """Refuse a frame that does not fit into the columns of the first.

    Raises:
        DataError: another skeleton, or a scene among cameras.
    """
    if (sight.skeleton, sight.in_space) != (first.skeleton, first.in_space):
        raise DataError(_ONE)


class Parquet:
    """Writes a Parquet file with the integers of the messages, in row groups.

    `keypoints` has x y score ... in 0.1 px and hundredths; of scenes x y z score ... in mm. A
    missing keypoint is 0 0 0. The names stand in the file's metadata.

    Args:
        path: the file.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow
        from pyarrow import parquet

        self._arrow, self._parquet, self._path = pyarrow, parquet, path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._waiting: List[Sight] = []
        self._count = 0
        self._writer: Any = None
        self._like: Optional[Sight] = None
        self.rows = 0

    def add(self, sight: Sight) -> None:
        """Write the rows of one frame, once a row group is full."""
        if self._like is not None:
            check_same(self._like, sight)
        self._like = self._like or sight
        if len(sight):
            self._waiting.append(sight)
            self._count += len(sight)
        if self._count >= ROWS:
            self._flush()

    def close(self) -> List[str]:
        """Complete the file; notes for the user."""
        if self._like is not None:
            self._flush()
            self._writer.close()
        return [f"{self.rows} rows: {self._path}"]

    def _flush(self) -> None:
        assert self._like is not None
        schema = self._schema(self._like)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(str(self._path), schema, compression="zstd")
        if self._waiting:
            columns = self._columns(self._waiting)
            arrays = [self._array(field, columns) for field in schema]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=schema))
        self.rows += self._count
        self._waiting, self._count = [], 0

    def _schema(self, sight: Sight) -> Any:
        pa = self._arrow
        k, d = sight.points.shape[1:]
        names = list(skeletons.get(sight.skeleton).names)
        text = pa.dictionary(pa.int32(), pa.string())
        fields = [("device", text), ("camera", text), ("boot_id", text), ("seq", pa.int64())]
        fields += [("t_utc_ns", pa.timestamp("ns", "UTC")), ("t_mono_ns", pa.int64())]
        fields += [("person", pa.int64()), ("score", pa.int8())]
        fields += [("box", pa.list_(pa.int32(), 4))]
        fields += [("keypoints", pa.list_(pa.int32(), (d + 1) * k))]
        about = {"skeleton": sight.skeleton, "names": json.dumps(names), "schema": "pose/1"}
        return pa.schema(fields, metadata=about)

    def _array(self, field: Any, columns: Dict[str, Any]) -> Any:
        if field.name not in columns:
            return self._lists(field, self._waiting)
        if self._arrow.types.is_dictionary(field.type):
            return self._arrow.array(columns[field.name]).dictionary_encode()
        return self._arrow.array(columns[field.name], field.type)

    def _columns(self, sights: List[Sight]) -> Dict[str, Any]:
        counts = [len(s) for s in sights]
        one = {
            name: np.repeat(np.array([getattr(s, name) for s in sights]), counts)
            for name in ("device", "camera", "boot_id", "seq", "t_utc_ns", "t_mono_ns")
        }
        scores = np.concatenate([s.person_scores for s in sights])
        people = np.concatenate([s.ids for s in sights])
        return {**one, "person": people, "score": percent(scores).astype(np.int8)}

    def _lists(self, field: Any, sights: List[Sight]) -> Any:
        if field.name == "box":
            values = tenths(np.concatenate([s.boxes for s in sights]))
        else:
            values = np.concatenate([integers(s) for s in sights])
        flat = self._arrow.array(values.ravel(), self._arrow.int32())
        return self._arrow.FixedSizeListArray.from_arrays(flat, values.shape[1])


def integers(sight: Sight) -> np.ndarray:
    """Coordinates and score of each point [N,K*(D+1)] i32 as messages have them."""
    lengths = sight.points.astype(np.float64) * (100 if sight.in_space else 1)
    values = np.concatenate((tenths(lengths), percent(sight.scores)[..., None]), 2)
    values *= (sight.scores > 0)[..., None]
    return values.reshape(len(sight), -1)
