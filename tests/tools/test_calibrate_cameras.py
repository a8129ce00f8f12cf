"""Calibration from a drawn board: cameras come out where they were put, and mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List, Tuple

import cv2
import numpy as np
import pytest

from edge.rig.files import read_rig
from tests.edge.scene.drawn_room import looking
from tools.__main__ import main
from tools.cameras.boards import Board, look

SQUARE_MM, CELL_PX = 50.0, 40
SIZE = (640, 480)
MATRIX = np.array([[620.0, 0, 325], [0, 615.0, 236], [0, 0, 1]])
LENS = np.array([-0.08, 0.03, 0.0, 0.0])
PLACES = [(-0.5, -1.3, 1.1), (0.2, -1.5, 1.0), (0.9, -1.2, 1.2)]


def chessboard() -> np.ndarray:
    """7 x 10 squares with a white rim of one: 6 x 9 inner corners."""
    cells = (np.indices((10, 7)).sum(0) % 2).astype(np.uint8) * 255
    return np.pad(
        np.kron(cells, np.ones((CELL_PX, CELL_PX), np.uint8)), CELL_PX, constant_values=255
    )


def charuco() -> np.ndarray:
    board = cv2.aruco.CharucoBoard(
        (7, 10), 0.05, 0.037, cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    )
    picture = board.generateImage((7 * CELL_PX, 10 * CELL_PX))
    return np.pad(picture, CELL_PX, constant_values=255)


FISHEYE = np.array([0.05, -0.015, 0.004, -0.001])
ROUND = np.array([[230.0, 0, 322], [0, 228.0, 238], [0, 0, 1]])  # 160 degrees across


def seen(
    picture: np.ndarray, turn: np.ndarray, shift: np.ndarray, fisheye: bool = False
) -> np.ndarray:
    """A board as a camera sees it: a homography, then the lens."""
    scale = SQUARE_MM / 1000 / CELL_PX
    # px of the drawing -> m on the board, whose origin is the first inner corner.
    to_board = np.array(
        [[scale, 0, -2 * CELL_PX * scale], [0, scale, -2 * CELL_PX * scale], [0, 0, 1]]
    )
    to_board = to_board @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])  # centres of pixels
    plane = np.column_stack((turn[:, 0], turn[:, 1], shift))
    grid = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in SIZE]), -1)
    if fisheye:
        flat = cv2.fisheye.undistortPoints(grid.reshape(-1, 1, 2), ROUND, FISHEYE)
    else:
        flat = cv2.undistortPoints(grid.reshape(-1, 1, 2), MATRIX, LENS)
    ahead = np.concatenate((flat.reshape(-1, 2), np.ones((len(flat), 1))), 1)
    there = ahead @ np.linalg.inv(plane @ to_board).T
    there = np.where(there[:, 2:] > 1e-6, there[:, :2] / there[:, 2:], -1e4)
    where = there.reshape(SIZE[1], SIZE[0], 2).astype(np.float32)
    return cv2.remap(picture, where, None, cv2.INTER_LINEAR, borderValue=128)


def draw(
    folder: Path, picture: np.ndarray, moments: int = 9, fisheye: bool = False
) -> List[Tuple[np.ndarray, np.ndarray]]:
    """Pictures of each camera; gives the cameras' turns and places in the board's first axes."""
    rng = np.random.default_rng(7)
    # A fisheye shows the board smaller, so it stands nearer.
    away = np.array([0.15, 0.0, 0.4]) * fisheye
    places = [tuple(away + (np.array(p) - away) * (0.36 if fisheye else 1.0)) for p in PLACES]
    cameras = [looking(place, (0.15, 0.0, 0.4 if fisheye else 0.2)) for place in places]
    boards = []
    for _ in range(moments):
        tilt = cv2.Rodrigues(rng.uniform(-0.5, 0.5, 3) + [-np.pi * 0.62, 0, 0])[0]
        boards.append((tilt, np.array([0.0, 0.0, 0.4]) + rng.uniform(-0.12, 0.12, 3)))
    for c, (turn, shift) in enumerate(cameras):
        (folder / f"cam{c}").mkdir(parents=True)
        for moment, (tilt, place) in enumerate(boards):
            view = seen(picture, turn @ tilt, turn @ place + shift, fisheye)
            cv2.imwrite(str(folder / f"cam{c}" / f"{moment:02d}.png"), view)
    return cameras


def words(folder: Path, *more: str) -> List[str]:
    cameras = [f"cam{c}={folder / f'cam{c}'}" for c in range(3)]
    out = ["--out", str(folder / "rig.toml"), "--square-mm", str(SQUARE_MM), "--json"]
    return ["calibrate-cameras", *cameras, *out, *more]


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (chessboard(), ["--board", "6x9"]),
        (charuco(), ["--board", "7x10", "--charuco", "4X4_50", "--marker-mm", "37"]),
    ],
    ids=["chessboard", "charuco"],
)
def test_cameras_come_out_where_they_were_put(
    tmp_path: Path, picture: np.ndarray, options: List[str], capsys: pytest.CaptureFixture[str]
) -> None:
    truth = draw(tmp_path, picture)
    assert main(words(tmp_path, *options)) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["error_px"] < 0.5
    rig = read_rig(tmp_path / "rig.toml")
    assert rig.names == ("cam0", "cam1", "cam2")
    assert (rig.sizes == SIZE).all()
    for c in range(3):
        assert rig.matrices[c][0, 0] == pytest.approx(MATRIX[0, 0], rel=0.03)
        assert rig.matrices[c][1, 1] == pytest.approx(MATRIX[1, 1], rel=0.03)
        assert np.abs(rig.matrices[c][:2, 2] - MATRIX[:2, 2]).max() < 20
    for a, b in ((0, 1), (1, 2)):
        apart = np.linalg.norm(rig.centres[a] - rig.centres[b])
        places = [-truth[c][0].T @ truth[c][1] for c in (a, b)]
        assert apart == pytest.approx(np.linalg.norm(places[0] - places[1]), rel=0.02)
        turn = rig.turns[b] @ rig.turns[a].T
        wanted = truth[b][0] @ truth[a][0].T
        assert np.degrees(np.arccos(np.clip((np.trace(turn.T @ wanted) - 1) / 2, -1, 1))) < 1.5
    assert (rig.centres[:, 2] > 0).all(), "the board faces the cameras: they are above it"
    drawn = cv2.imread(str(tmp_path / "rig.png"))
    assert drawn is not None
    assert drawn.std() > 10


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (chessboard(), ["--board", "6x9"]),
        (charuco(), ["--board", "7x10", "--charuco", "4X4_50", "--marker-mm", "37"]),
    ],
    ids=["chessboard", "charuco"],
)
def test_fisheye_lenses_come_out_as_they_are(
    tmp_path: Path, picture: np.ndarray, options: List[str], capsys: pytest.CaptureFixture[str]
) -> None:
    truth = draw(tmp_path, picture, moments=7, fisheye=True)
    assert main(words(tmp_path, *options, "--fisheye")) == 0
    assert json.loads(capsys.readouterr().out)["error_px"] < 0.6
    rig = read_rig(tmp_path / "rig.toml")
    assert rig.fisheye.all()
    for c in range(3):
        assert rig.matrices[c][0, 0] == pytest.approx(ROUND[0, 0], rel=0.04)
    apart = np.linalg.norm(rig.centres[0] - rig.centres[2])
    places = [-truth[c][0].T @ truth[c][1] for c in (0, 2)]
    assert apart == pytest.approx(np.linalg.norm(places[0] - places[1]), rel=0.04)
    assert cv2.imread(str(tmp_path / "rig.png")) is not None


def test_a_turned_board_has_its_corners_in_the_same_order(tmp_path: Path) -> None:
    board = Board(6, 9, 0.05)
    picture = chessboard()
    upright, upside_down = board.find(picture), board.find(cv2.rotate(picture, cv2.ROTATE_180))
    assert upright is not None
    assert upside_down is not None
    height, width = picture.shape
    assert np.allclose(upright[1], [width - 1, height - 1] - upside_down[1], atol=0.1)


def test_a_video_is_looked_at_by_every_nth_frame(tmp_path: Path) -> None:
    path = tmp_path / "board.avi"
    picture = cv2.cvtColor(cv2.resize(chessboard(), (288, 384)), cv2.COLOR_GRAY2BGR)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (288, 384))
    for _ in range(9):
        video.write(picture)
    video.release()
    found = look("a", path, Board(6, 9, 0.05), 4)
    assert sorted(found.found) == [0, 4, 8]
    assert found.looks == 3


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        (["--board", "6by9"], 78, "--board: '6by9': expected columns x rows, such as 9x6"),
        (["--board", "7x9"], 78, "--board: 7x9 looks the same after half a turn"),
        (["--board", "2x9"], 78, "--board: 2x9: each side needs 3 or more"),
        (["--square-mm", "0"], 78, "--square-mm: is missing"),
        (["--charuco", "4X4_50"], 78, "--marker-mm: is missing"),
        (["--charuco", "9X9", "--marker-mm", "9"], 78, "--charuco: no dictionary '9X9'"),
        (["--lens", "x=y"], 78, "--lens: no camera 'x'; there are: a, b"),
        (["--out", "/nowhere/rig.toml"], 66, "/nowhere: no such folder; create it"),
        (["c"], 78, "NAME=PATH: 'c': expected NAME=PATH"),
        (["a=b"], 78, "NAME=PATH: 'a' is there twice"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: List[str],
    code: int,
    line: str,
) -> None:
    grey = np.full((60, 80), 128, np.uint8)
    for name in "ab":
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "0.png"), grey)
    cameras = [f"{name}={tmp_path / name}" for name in "ab"]
    out = ["--out", str(tmp_path / "rig.toml"), "--board", "6x9", "--square-mm", "30"]
    assert main(["calibrate-cameras", *out, *cameras, *change]) == code
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
    assert not (tmp_path / "rig.toml").exists()


def test_a_board_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for c in range(3):
        (tmp_path / f"cam{c}").mkdir()
        cv2.imwrite(str(tmp_path / f"cam{c}" / "0.png"), np.full((60, 80), 128, np.uint8))
    assert main(words(tmp_path, "--board", "6x9")) == 65
    assert "camera 'cam0': the board was found in 0 of 1 pictures" in capsys.readouterr().err


def test_cameras_that_never_see_it_together_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path, chessboard(), 5)
    for number, path in enumerate(sorted((tmp_path / "cam2").iterdir())):
        path.rename(tmp_path / "cam2" / f"{number + 50}.png")
    for number in range(5):
        cv2.imwrite(
            str(tmp_path / "cam2" / f"{number:02d}.png"), np.full(SIZE[::-1], 128, np.uint8)
        )
    assert main(words(tmp_path, "--board", "6x9")) == 65
    assert "no moment shows the board to cam2 and to the other cameras" in capsys.readouterr().err
