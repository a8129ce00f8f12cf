"""A crowd or small people are looked at in tiles, and nobody is found twice."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import pytest

from edge.models import ModelOptions
from edge.models._hybrid import tiles
from edge.models._hybrid.density import Density, Sight, crowding
from edge.models._hybrid.tiled import TiledPeople
from edge.models._hybrid.tiles import Windows
from edge.models._onestage import CropPeople
from edge.recipe import Network
from edge.settings.sections import Crowd
from tests.edge.models.model_fakes import RecordedRunner, frame
from tests.edge.models.test_hybrid import SIDE, boxes_of, hybrid, people_of

SQUARE = Network(file="p.onnx", width=512, height=512)
TALL = Network(file="p.onnx", width=288, height=512)
COUNTS = (0, 4, 6)
S = 10**9


@pytest.mark.parametrize("size", [(960, 720), (1920, 1080), (1088, 1920), (384, 384), (3840, 900)])
@pytest.mark.parametrize("network", [SQUARE, TALL])
@pytest.mark.parametrize("level", [1, 2])
def test_tiles_cover_the_frame_overlap_and_have_the_inputs_shape(
    size: Tuple[int, int], network: Network, level: int
) -> None:
    windows = Windows.of([frame(*size)], [level], network)
    assert len(windows.boxes) == 1 + tiles.count(size, network, level)
    spans = windows.boxes[:, 2:] - windows.boxes[:, :2]
    np.testing.assert_allclose(spans[:, 0] / spans[:, 1], network.width / network.height, rtol=1e-4)
    np.testing.assert_allclose(spans[0] / spans[1:], tiles.ZOOMS[level], rtol=1e-4)
    for axis in (0, 1):
        starts = np.unique(windows.boxes[1:, axis])
        ends = starts + spans[1, axis]
        assert starts[0] <= 0.01, "the frame's edge is seen"
        assert ends[-1] >= size[axis] - 0.1
        assert (ends[:-1] - starts[1:] >= 0.2 * spans[1, axis] - 0.1).all()
    corner = windows.matrices[:, :, :2] @ windows.boxes[:, 2:, None] + windows.matrices[:, :, 2:]
    np.testing.assert_allclose(
        corner[..., 0], [(network.width, network.height)] * len(corner), atol=0.1
    )


def test_the_frames_of_a_look_are_one_batch() -> None:
    windows = Windows.of([frame(960, 720), frame(960, 720)], [0, 1], SQUARE)
    assert windows.which.tolist() == [0, 1, 1, 1, 1, 1]
    assert tiles.count((960, 720), SQUARE, 0) == 0


def rows(*people: Tuple[float, float, float, int], tall: float = 100) -> CropPeople:
    """People of x, y (top left), score and crop; keypoints on a line through the box."""
    corner = np.array([p[:2] for p in people], np.float32).reshape(-1, 2)
    size = np.array((tall / 2, tall), np.float32)
    boxes = np.concatenate((corner, corner + size), 1)
    line = np.linspace(0.05, 0.95, 17, dtype=np.float32)[:, None] * size
    return CropPeople(
        corner[:, None] + line,
        np.full((len(people), 17), 0.5, np.float32),
        boxes,
        np.array([p[2] for p in people], np.float32),
        np.array([p[3] for p in people], np.int64),
    )


@pytest.fixture
def windows() -> Windows:
    return Windows.of([frame(960, 720)], [1], SQUARE)


def test_a_person_of_several_tiles_is_one(windows: Windows) -> None:
    people = rows((400, 200, 0.3, 0), (402, 201, 0.5, 1), (399, 199, 0.4, 2), (700, 200, 0.2, 2))
    kept = tiles.merged(people, windows, (960, 720), 9)
    assert kept.tolist() == [1, 3]
    assert tiles.merged(people, windows, (960, 720), 1).tolist() == [1]


def test_two_who_stand_close_are_two(windows: Windows) -> None:
    people = rows((400, 200, 0.5, 1), (425, 200, 0.5, 1))
    assert len(tiles.merged(people, windows, (960, 720), 9)) == 2


def test_half_a_person_at_a_tiles_edge_gives_way_to_the_whole(windows: Windows) -> None:
    """Tile 1 ends at 600 px: it shows the left half only, and is surer of it."""
    half, full = rows((565, 200, 0.6, 1)), rows((565, 150, 0.5, 2), tall=200)
    half.boxes[0, 2] = 600
    both = CropPeople(
        *[np.concatenate(pair) for pair in zip(vars(half).values(), vars(full).values())]
    )
    assert tiles.merged(both, windows, (960, 720), 9).tolist() == [1]
    at_the_frames_edge = rows((910, 200, 0.6, 2))
    assert tiles.merged(at_the_frames_edge, windows, (960, 720), 9).tolist() == [0]


def test_nobody_in_any_tile(windows: Windows) -> None:
    poses = tiles.whole(rows(), windows, (960, 720), ModelOptions())
    assert len(poses) == 0


def test_crowding_is_the_share_that_others_cover() -> None:
    apart = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
    assert crowding(apart) == 0
    assert crowding(apart[:1]) == 0
    assert crowding(np.array([[0, 0, 10, 10], [5, 0, 15, 10]], np.float32)) == pytest.approx(0.5)


def levels(sights: Sequence[Sight], every_s: float = 0.2, **limits: Any) -> List[int]:
    density, out = Density(), []
    for i, sight in enumerate(sights):
        density.update(sight, int(i * every_s * S), COUNTS, 100.0, Crowd(**limits))
        out.append(density.level)
    assert density.changes == int(out[0] > 0) + np.count_nonzero(np.diff(out))
    assert density.tiles == COUNTS[density.level]
    return out


def sight(people: int, height: float = 200, crowd: float = 0.0) -> Sight:
    return Sight(people, height, crowd)


@pytest.mark.parametrize(
    ("seen", "level"),
    [
        (sight(0, 0), 0),
        (sight(1, 40), 0),  # tiles of one small person cost more than they give
        (sight(3), 0),
        (sight(5), 0),
        (sight(6), 1),
        (sight(5, crowd=0.4), 1),
        (sight(4, 80), 0),
        (sight(5, 80), 1),
        (sight(12), 2),
        (sight(6, 50), 1),
        (sight(7, 50), 2),
        (sight(40, 30), 2),
    ],
)
def test_the_first_look_decides_at_once(seen: Sight, level: int) -> None:
    assert levels([seen]) == [level]


def test_a_real_change_switches_once_and_a_flicker_never() -> None:
    assert set(levels([sight(n) for n in [3] * 5 + [6] + [5] * 30])) == {0}
    arriving = levels([sight(n) for n in [3] * 5 + [6, 7, 6, 7, 5, 6, 7, 6, 6] + [6, 5] * 40])
    assert np.count_nonzero(np.diff(arriving)) == 1
    assert arriving[-1] == 1
    leaving = levels([sight(n) for n in [7] * 5 + [4, 5] * 20 + [3] * 20])
    assert leaving[-1] == 0
    assert np.count_nonzero(np.diff(leaving)) == 1, "5 people keep the tiles, 4 for a while too"


def test_the_cost_and_the_operator_forbid_tiles() -> None:
    assert levels([sight(12)], look_ms=650) == [1], "7 crops take 700 ms, 5 take 500"
    assert levels([sight(12)], look_ms=450) == [0]
    assert levels([sight(12)], tiles=0) == [0]
    assert levels([sight(12)], tiles=4) == [1]
    dear = Density()
    dear.update(sight(12), 0, COUNTS, 100.0, Crowd(look_ms=700))
    for i in range(1, 60):  # it costs a little more than allowed now: no reason to switch
        dear.update(sight(12), i * S // 5, COUNTS, 150.0, Crowd(look_ms=700))
    assert dear.level == 2


class _Tiles(RecordedRunner):
    """Gives each crop its own people: `whole` in the first crop of a batch, `tile` in others."""

    def __init__(self, whole: np.ndarray, tile: np.ndarray) -> None:
        super().__init__((3, SIDE, SIDE), {"people": whole})
        self.tile, self.batches = tile, []  # type: ignore[var-annotated]

    def run(self) -> Dict[str, np.ndarray]:
        self.runs += 1
        self.batches.append(len(self.fed))
        out = np.repeat(self.tile, len(self.fed), 0)
        out[0] = self.arrays["people"][0]
        return {"people": out}


def crowd_of(runner: _Tiles) -> Any:
    detect, _ = hybrid(boxes_of([]), people_of())
    detect._tiled._people._outputs.runner = runner
    return detect


def test_the_first_look_at_a_crowd_is_repeated_and_later_looks_are_one_execution() -> None:
    six = people_of(*[(50.0 + 60 * i, 0.4) for i in range(6)])["people"]
    runner = _Tiles(six, people_of((200, 0.4))["people"])
    detect = crowd_of(runner)
    view = frame(SIDE, SIDE)
    (found,) = detect([view])
    assert runner.batches == [1, 5]
    assert len(found) > 6, "those in the tiles too"
    detect([dataclasses.replace(view, t_ns=S // 5)])
    assert runner.batches == [1, 5, 5]
    assert detect.report() == {"tiles": {"a": 4}, "tile_changes": {"a": 1}}
    detect([dataclasses.replace(view, still=True, camera="b")])
    assert runner.batches[3:] == [1, 5], "a picture for itself is always a first look"
    assert "b" not in detect.report()["tiles"]


def test_people_in_tiles_have_their_place_in_the_frame() -> None:
    person = people_of((104, 0.4))["people"]
    runner = _Tiles(people_of()["people"], person)
    detect = crowd_of(runner)
    people: TiledPeople = detect._tiled
    people._densities["a"] = Density(level=1, begun=True)
    people.begin([frame(SIDE, SIDE)])
    (poses,) = people.finish([frame(SIDE, SIDE)])
    starts = SIDE * (1 - 1 / 1.6)
    expected = sorted([104 / 1.6 + x for x in (0, 0, starts, starts)])
    assert sorted(poses.keypoints[:, 0, 0].tolist()) == pytest.approx(expected, abs=0.5)
