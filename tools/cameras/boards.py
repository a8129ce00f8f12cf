"""Boards for calibration, and their corners in pictures and videos."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import cv2
import numpy as np

from edge.errors import ConfigError, DataError, NoInputError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_FEWEST_CORNERS = 6
_LOOK_PX = (
    800  # boards are looked for in pictures of this longer side; corners are exact in the whole
)
_QUICK = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
_THOROUGH = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE
_MOST_LOOKS = 240  # frames of a video in which the board is looked for


@dataclass(frozen=True)
class Board:
    """A chessboard or a ChArUco board.

    `columns` and `rows` count inner corners of a chessboard, squares of a ChArUco board.
    """

    columns: int
    rows: int
    square_m: float
    marker_m: float = 0.0  # 0 = a chessboard
    dictionary: str = "4X4_50"

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3:
            raise ConfigError(
                f"--board: {self.columns}x{self.rows}: each side needs 3 or more; for example 9x6"
            )
        if not self.marker_m and (self.columns + self.rows) % 2 == 0:
            raise ConfigError(
                f"--board: {self.columns}x{self.rows} looks the same after half a turn: "
                "use a board with one even and one odd number of inner corners, or ChArUco"
            )
        if self.marker_m and not self.marker_m < self.square_m:
            raise ConfigError("--marker-mm: must be smaller than --square-mm")
        if self.marker_m and not hasattr(cv2.aruco, f"DICT_{self.dictionary}"):
            raise ConfigError(f"--charuco: no dictionary {self.dictionary!r}; for example 4X4_50")

    @property
    def corners(self) -> np.ndarray:
        """Places [P,3] of the inner corners on the board, m; y downwards, z into the board."""
        less = 1 if self.marker_m else 0
        grid = np.mgrid[: self.columns - less, : self.rows - less].T.reshape(-1, 2)
        return np.concatenate((grid * self.square_m, np.zeros((len(grid), 1))), 1)

    def find(self, grey: np.ndarray) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        """Indices [n] of the corners in a picture, and their places [n,2] px; None = no board."""
        return self._find_charuco(grey) if self.marker_m else self._find_chessboard(grey)

    def _find_chessboard(self, grey: np.ndarray) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        scale = min(1.0, _LOOK_PX / max(grey.shape))
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        size = (self.columns, self.rows)
        good, found = cv2.findChessboardCorners(small, size, flags=_QUICK)
        if not good:
            good, found = cv2.findChessboardCornersSB(small, size, flags=_THOROUGH)
        if not good:
            return None
        # Centres of pixels are at whole numbers.
        places = ((found.reshape(-1, 2) + 0.5) / scale - 0.5).astype(np.float32)
        places = _exact(grey, places, size)
        if not _begins_dark(grey, places.reshape(self.rows, self.columns, 2)):
            places = places[::-1]
        return np.arange(len(places)), places.astype(np.float64)

    def _find_charuco(self, grey: np.ndarray) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        name = getattr(cv2.aruco, f"DICT_{self.dictionary}")
        board = cv2.aruco.CharucoBoard(
            (self.columns, self.rows),
            self.square_m,
            self.marker_m,
            cv2.aruco.getPredefinedDictionary(name),
        )
        places, rows, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(grey)
        if rows is None or len(rows) < _FEWEST_CORNERS:
            return None
        return rows.reshape(-1).astype(np.int64), places.reshape(-1, 2).astype(np.float64)


def _exact(grey: np.ndarray, places: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Corners to a fraction of a pixel, from windows that hold one corner each."""
    grid = places.reshape(size[1], size[0], 2)
    steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=-1).min() for axis in (0, 1)]
    half = int(np.clip(min(steps) / 3, 2, 15))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 40, 1e-3)
    exact = cv2.cornerSubPix(grey, places.reshape(-1, 1, 2), (half, half), (-1, -1), criteria)
    return np.asarray(exact).reshape(-1, 2)


def _begins_dark(grey: np.ndarray, grid: np.ndarray) -> bool:
    """Whether the first square between inner corners is darker than the last one.

    The board has one even and one odd side, so one of both is black. The order of corners then
    does not depend on how the board is turned.
    """
    first = grid[:2, :2].reshape(-1, 2).mean(0)
    last = grid[-2:, -2:].reshape(-1, 2).mean(0)
    dark, light = [float(_patch(grey, place).mean()) for place in (first, last)]
    return dark < light


def _patch(grey: np.ndarray, place: np.ndarray) -> np.ndarray:
    x, y = place.round().astype(int).tolist()
    return grey[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]


@dataclass(eq=False)
class Seen:
    """What one camera saw of the board."""

    name: str
    size: Tuple[int, int] = (0, 0)
    found: Dict[int, Tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=dict)
    looks: int = 0
    example: Optional[np.ndarray] = None  # the picture of the first moment with a board
    example_at: int = -1


def look(name: str, source: Path, board: Board, every: int) -> Seen:
    """Look for a board in all pictures of a folder, or in every n-th frame of a video.

    Args:
        name: of the camera.
        source: a video, a picture, or a folder of pictures.
        board: what is looked for.
        every: of a video; 0 = so that about 240 frames are looked at.

    Raises:
        NoInputError, DataError: it cannot be read, or its pictures differ in size.
    """
    seen = Seen(name)
    for moment, picture in _pictures(source, every):
        size = (picture.shape[1], picture.shape[0])
        if seen.looks and size != seen.size:
            raise DataError(
                f"{source}: picture {moment} has {size[0]} x {size[1]} px, those before "
                f"{seen.size[0]} x {seen.size[1]}; one camera has one size"
            )
        seen.size, seen.looks = size, seen.looks + 1
        corners = board.find(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
        if corners is not None:
            seen.found[moment] = corners
            if seen.example is None:
                seen.example, seen.example_at = picture.copy(), moment
    if not seen.looks:
        raise NoInputError(f"{source}: has no picture that can be read")
    return seen


def _pictures(source: Path, every: int) -> Iterator[Tuple[int, np.ndarray]]:
    """Number and picture; a number means the same moment in all cameras."""
    if source.is_dir():
        paths = sorted(p for p in source.iterdir() if p.suffix.lower() in PICTURES)
        yield from _files(paths)
    elif source.suffix.lower() in PICTURES:
        yield from _files([source])
    elif source.is_file():
        yield from _frames(source, every)
    else:
        raise NoInputError(f"{source}: no such file or folder")


def _files(paths: List[Path]) -> Iterator[Tuple[int, np.ndarray]]:
    for i, path in enumerate(paths):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise DataError(f"{path}: is no picture that OpenCV can read")
        yield i, picture


def _frames(path: Path, every: int) -> Iterator[Tuple[int, np.ndarray]]:
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    step = every or max(1, round(count / _MOST_LOOKS))
    index = 0
    while video.grab():
        if index % step == 0:
            good, picture = video.retrieve()
            if good:
                yield index, picture
        index += 1
    video.release()
    if not index:
        raise DataError(f"{path}: is no video that OpenCV can read")
