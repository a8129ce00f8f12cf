"""Instants of cameras that take their pictures together, in turn, late, or no more."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy as np

from edge.scene.pairing import Pairing, Views
from edge.structures import Poses

MS = 1_000_000


def pose(x: float, ids: Sequence[int] = (1,)) -> Poses:
    n = len(ids)
    return Poses(
        np.full((n, 2, 2), x, np.float32),
        np.full((n, 2), 0.8, np.float32),
        np.zeros((n, 4), np.float32),
        np.array(ids, np.int64),
        np.ones(n, np.float32),
        "coco17",
    )


def pairing(cameras: int = 2, gap_ms: float = 100, delays_ms: Sequence[int] = ()) -> Pairing:
    delays = [d * MS for d in delays_ms] or [0] * cameras
    return Pairing(cameras, 2, round(gap_ms * MS), delays)


def fed(pair: Pairing, frames: Sequence[Tuple[int, float]]) -> List[Views]:
    """Give frames (camera, ms), whose keypoints are at x = ms; the instants."""
    found: List[Optional[Views]] = []
    for camera, ms in frames:
        pair.add(camera, pose(ms), round(ms * MS))
        found.append(pair.instant())
    return [v for v in found if v is not None]


def test_cameras_in_step_give_one_instant_a_step() -> None:
    found = fed(pairing(), [(c, 33.0 * i) for i in range(4) for c in (0, 1)])
    assert [v.t_ns for v in found][1:] == [33 * MS, 66 * MS, 99 * MS]
    assert found[-1].live.all()
    assert found[-1].camera.tolist() == [0, 1]


def test_a_camera_between_is_interpolated() -> None:
    frames = [(0, 0), (1, 20), (0, 40), (1, 60), (0, 80), (1, 100)]
    found = [v for v in fed(pairing(), frames) if v.live.all()]
    assert found
    for views in found:
        assert np.allclose(views.keypoints, views.t_ns / MS, atol=1e-3)
    steps = np.diff([v.t_ns for v in found])
    assert (steps == 40 * MS).all(), "as often as the slowest camera"


def test_the_tolerance_holds() -> None:
    frames = [(0, 0), (1, 60), (0, 120), (1, 180), (0, 240)]
    assert any(v.live.all() for v in fed(pairing(gap_ms=130), frames))
    assert not any(v.live.all() for v in fed(pairing(gap_ms=100), frames))


def test_somebody_in_one_of_both_frames_only_is_not_made_up() -> None:
    pair = pairing()
    pair.add(0, pose(0, (1, 2)), 0)
    pair.add(0, pose(40, (2, 3, -1)), 40 * MS)
    pair.add(1, pose(20), 20 * MS)
    views = pair.instant()
    assert views is not None
    assert views.t_ns == 20 * MS
    assert views.ids[views.camera == 0].tolist() == [2]


def test_a_lost_camera_stops_the_scene_for_the_tolerance_only() -> None:
    frames = [(c, 20.0 * i) for i in range(3) for c in (0, 1, 2)]
    frames += [(c, 20.0 * i) for i in range(3, 20) for c in (0, 1)]
    found = fed(pairing(3), frames)
    assert found[-1].t_ns == 380 * MS
    assert found[-1].live.tolist() == [True, True, False]


def test_a_camera_that_comes_back_is_used_again() -> None:
    frames = [(c, 20.0 * i) for i in range(20) for c in (0, 1, 2) if c < 2 or not 5 < i < 14]
    assert fed(pairing(3), frames)[-1].live.all()


def test_a_camera_with_a_wild_clock_does_not_silence_the_others() -> None:
    for wrong_ms in (-60_000.0, 60_000.0):
        frames = [(c, 20.0 * i + (wrong_ms if c == 2 else 0)) for i in range(9) for c in (0, 1, 2)]
        last = fed(pairing(3), frames)[-1]
        assert last.live.tolist() == [True, True, False]


def test_a_known_delay_is_taken_off() -> None:
    frames = [(c, 20.0 * i + (15 if c == 1 else 0)) for i in range(4) for c in (0, 1)]
    found = fed(pairing(delays_ms=(0, 15)), frames)
    assert [v.t_ns for v in found if v.live.all()] == [20 * MS, 40 * MS, 60 * MS]


def test_a_clock_that_goes_back_starts_that_camera_again() -> None:
    pair = pairing()
    fed(pair, [(0, 500), (1, 500)])
    found = fed(pair, [(0, -9000), (1, -9000), (0, -8960), (1, -8960)])
    assert found[-1].t_ns == -8960 * MS
    assert found[-1].live.all()


def test_one_camera_alone_is_told_as_alone() -> None:
    found = fed(pairing(), [(0, 0), (0, 20)])
    assert [v.live.tolist() for v in found] == [[True, False]] * 2


def test_what_is_added_is_copied() -> None:
    pair, poses = pairing(1), pose(5)
    pair.add(0, poses, 0)
    poses.keypoints[:] = 99
    views = pair.instant()
    assert views is not None
    assert (views.keypoints == 5).all()


def test_memory_stays_bounded() -> None:
    pair = pairing()
    fed(pair, [(0, float(i)) for i in range(1000)])
    assert max(len(frames) for frames in pair._frames) <= 8
