"""The source: addresses, pace, ends, faults, views in step, and truth that fits the picture."""

import threading
import time
import tracemalloc
from typing import Any, List

import numpy as np
import pytest

from edge.capture import synthetic
from edge.capture._ring import Ring
from edge.capture._source import (
    CAMERA,
    PLAYBACK,
    RECORDING,
    CaptureOptions,
    EndOfStream,
    kind,
    open_source,
    parse,
)
from edge.capture._synthetic.draw import Canvas
from edge.errors import ConfigError, DataError, NoInputError, TempError
from tests.waiting import GIVE_UP_S

SMALL = "width=160&height=120"
OPTIONS = CaptureOptions(timeout_s=0.05)


def opened(query, options=OPTIONS):
    source = open_source(f"synthetic://{query}", options)
    return source, Ring(4, source.live)


def frames(source, ring, count):
    """Index, time and a copy of the picture of each frame, as a loop takes them."""
    out: List[Any] = []
    while len(out) < count:
        slot = source.read(ring)
        if slot is not None:
            ring.publish(slot)
            held = ring.take()
            out.append((held.index, held.t_ns, held.image.copy()))
            ring.release(held)
    return out


def test_every_frame_at_rate_max():
    source, ring = opened(f"walk?people=2&{SMALL}&rate=max&frames=20&fps=25&seed=3")
    assert source.live is False
    seen = frames(source, ring, 20)
    assert [i for i, _, _ in seen] == list(range(20))
    np.testing.assert_allclose(np.diff([t for _, t, _ in seen]), 40_000_000, atol=1)
    with pytest.raises(EndOfStream):
        source.read(ring)
    source.close()


def test_pictures_and_truth_belong_together():
    source, ring = opened(f"wave,walk?people=2&{SMALL}&rate=max")
    for index, _, image in frames(source, ring, 5):
        fresh = np.empty_like(image)
        Canvas(source.scene(index)).draw(index, fresh)
        np.testing.assert_array_equal(image, fresh)
        truth = source.ground_truth(index)
        want = source.scene(index).poses(index)
        np.testing.assert_array_equal(truth.keypoints, want.keypoints)
    assert source.ground_truth(0, "halpe26").keypoints.shape[1:] == (26, 2)
    source.close()


def test_a_camera_keeps_its_pace_and_drops():
    source, ring = opened(f"stand?people=1&{SMALL}&fps=100", CaptureOptions())
    assert source.live is True
    seen = frames(source, ring, 5)
    time.sleep(0.1)
    seen += frames(source, ring, 3)
    index, t_ns = np.array([s[0] for s in seen]), np.array([s[1] for s in seen])
    assert (np.diff(index) >= 1).all()
    assert index[5] - index[4] >= 9  # what came while nobody looked is lost
    np.testing.assert_allclose(np.diff(t_ns), np.diff(index) * 10_000_000, atol=1)
    source.close()


def test_views_are_in_step():
    """Cameras opened one after the other show the same instant at the same time stamp."""
    one, ring_one = opened(f"walk?people=2&{SMALL}&fps=50&view=0&seed=8")
    frames(one, ring_one, 3)
    other, ring_other = opened(f"walk?people=2&{SMALL}&fps=50&view=1&seed=8")
    index, t_ns, _ = frames(other, ring_other, 1)[0]
    i, t, _ = next(f for f in frames(one, ring_one, 40) if f[1] >= t_ns)
    shift = round((t - t_ns) * 50 / 1e9)
    here, there = one.scene(i), other.scene(index + shift)
    ids = one.ground_truth(i).ids.tolist(), other.ground_truth(index + shift).ids.tolist()
    joints = here.joints(one._first + i), there.joints(other._first + index + shift)
    common = set(ids[0]) & set(ids[1])
    assert common
    for number in common:
        a, b = (j[n.index(number)] for j, n in zip(joints, ids))
        np.testing.assert_allclose(a, b, atol=1e-9)
    stranger, _ = opened(f"walk?people=2&{SMALL}&fps=50&seed=9")
    assert stranger._first == 0  # another scene has a clock of its own
    for source in (one, other, stranger):
        source.close()


def test_recordings_of_several_views_have_the_same_times():
    pair = [opened(f"walk?{SMALL}&rate=max&view={v}") for v in (0, 2)]
    times = [[f[:2] for f in frames(source, ring, 4)] for source, ring in pair]
    assert times[0] == times[1]
    for source, _ in pair:
        source.close()


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ("walk", CAMERA),
        ("walk?frames=5", PLAYBACK),
        ("walk?rate=max", RECORDING),
        ("walk?rate=max&frames=5", RECORDING),
    ],
)
def test_kind(query, want):
    assert kind(f"synthetic://{query}") == want


# -- faults


def test_fails_at_a_frame():
    for rate in ("max", "native"):
        source, ring = opened(f"walk?{SMALL}&rate={rate}&fps=200&fail_at=4")
        with pytest.raises(TempError, match=r"synthetic://walk.*fails at frame 4"):
            frames(source, ring, 10)
        source.close()
    source, ring = opened(f"walk?{SMALL}&rate=max&fail_at=0")
    with pytest.raises(TempError):
        source.read(ring)
    assert len(ring._free) == ring.count


def test_stalls():
    source, ring = opened(f"walk?{SMALL}&rate=max&stall_at=2&stall_s=0.2", CaptureOptions())
    frames(source, ring, 2)
    before = time.monotonic()
    assert frames(source, ring, 2)[0][0] == 2
    assert time.monotonic() - before > 0.15
    source.close()
    source, ring = opened(f"walk?{SMALL}&fps=100&stall_at=2&stall_s=0.2", CaptureOptions())
    seen = [f[0] for f in frames(source, ring, 6)]
    assert max(np.diff(seen)) > 15  # a live camera goes on with what is now
    source.close()


def test_stalls_beyond_the_time_out():
    source, ring = opened(f"walk?{SMALL}&rate=max&stall_at=2&stall_s=60")
    frames(source, ring, 2)
    with pytest.raises(TempError, match=r"no frame for 0\.05 s"):
        source.read(ring)
    source.close()


def test_garbage_for_one_frame():
    source, ring = opened(f"stand?{SMALL}&rate=max&garbage_at=1&people=1")
    good, noise, after = (f[2].astype(float) for f in frames(source, ring, 3))
    rough = [np.abs(np.diff(image, axis=1)).mean() for image in (good, noise, after)]
    assert rough[1] > 50 > 10 * rough[0] / 5
    assert rough[2] < 10
    assert noise.max() > 250
    assert noise.min() < 5
    source.close()


def test_size_changes():
    source, ring = opened(f"stand?{SMALL}&rate=max&resize_at=2&people=1")
    seen = frames(source, ring, 4)
    assert [f[2].shape for f in seen] == [(120, 160, 3)] * 2 + [(90, 120, 3)] * 2
    before, after = source.ground_truth(1), source.ground_truth(2)
    scale = np.ptp(after.keypoints[0], 0) / np.ptp(before.keypoints[0], 0)
    np.testing.assert_allclose(scale, 0.75, atol=0.03)
    assert after.boxes[0, 3] <= 90
    source.close()


def test_markers():
    plain, marked = (opened(f"stand?{SMALL}&rate=max&people=1&markers={m}") for m in (0, 1))
    (_, _, without), (_, _, with_them) = (frames(s, r, 1)[0] for s, r in (plain, marked))
    x, y = np.rint(plain[0].ground_truth(0).keypoints[0, 11]).astype(int)
    assert with_them[y, x].tolist() in ([0, 255, 0], [0, 0, 255])
    assert without[y, x].tolist() != with_them[y, x].tolist()


# -- the ring and closing


def test_no_free_slot_loses_no_frame_of_a_recording():
    source, ring = opened(f"walk?{SMALL}&rate=max")
    ring.acquire_ = ring.acquire
    ring.acquire = lambda timeout_s=0.5: ring.acquire_(0.01)
    ring.publish(source.read(ring))
    assert source.read(ring) is None  # the loop has not taken the first one
    ring.release(ring.take())
    assert source.read(ring).index == 1
    source.close()


def test_close_wakes_a_waiting_read():
    for query in ("walk?fps=0.01&", "walk?rate=max&stall_at=1&stall_s=3600&"):
        source, ring = opened(query + SMALL, CaptureOptions(timeout_s=60))
        frames(source, ring, 1)
        got: List[Any] = []
        thread = threading.Thread(target=lambda s=source, r=ring, g=got: g.append(s.read(r)))
        thread.start()
        time.sleep(0.02)
        source.close()
        source.close()
        thread.join(GIVE_UP_S)
        assert got == [None]
        assert source.read(ring) is None


def test_a_waiting_camera_is_not_stalled():
    """The wait for the due time is marked as a rest."""
    source, ring = opened(f"walk?fps=2&{SMALL}")
    frames(source, ring, 1)
    rested = ring.rested_ns
    frames(source, ring, 1)
    assert ring.rested_ns > rested
    source.close()


def test_nothing_is_allocated_in_the_steady_state():
    source, ring = opened("walk?rate=max&width=1280&height=720")
    frames(source, ring, 6)
    kept = {id(s.image) for s in ring._free}
    tracemalloc.start()
    for _ in range(10):
        ring.publish(source.read(ring))
        ring.release(ring.take())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1280 * 720 * 3 / 5
    assert {id(s.image) for s in ring._free} == kept
    source.close()


# -- addresses


def test_defaults():
    source, ring = opened("?rate=max")
    assert frames(source, ring, 1)[0][2].shape == (480, 640, 3)
    setup = source.scene(0).setup
    assert (setup.people, setup.motion, setup.rate_hz, setup.seed) == (3, "walk", 30, 1)
    source.close()
    source, _ = opened("walk?motion=squat&camera=3,1.5,50&people=1&rate=max")
    setup = source.scene(0).setup
    assert (setup.motion, setup.away_m, setup.height_m, setup.angle_deg) == ("squat", 3, 1.5, 50)
    source.close()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("moonwalk", "no motion called 'moonwalk'; there are: walk"),
        ("walk?motion=walk,x", "no motion called 'x'"),
        ("walk?peple=3", "unknown option 'peple'; there are: people"),
        ("walk?people=-1", "people=-1: use a number of 0 to 200"),
        ("walk?people=many", "people=many"),
        ("walk?width=1", "width=1: use a number of 32"),
        ("walk?fps=0", "fps=0"),
        ("walk?rate=fast", "rate=fast: use one of native, max"),
        ("walk?view=4", "view=4: use a number of 0 to 3"),
        ("walk?camera=1,2", "camera=1,2: use DISTANCE,HEIGHT,ANGLE"),
        ("walk?camera=0.1,2,60", "camera=0.1,2,60"),
        ("walk?camera=a,b,c", "camera=a,b,c"),
        ("walk?stall_at=x", "stall_at=x"),
        ("walk?frames=1.5", "frames=1.5: use a whole number"),
        ("?clip=film.mp4", "clips are"),
    ],
)
def test_wrong_addresses(query, words):
    with pytest.raises(ConfigError, match=words):
        synthetic.kind(parse(f"synthetic://{query}"))
    with pytest.raises(ConfigError, match=words):
        opened(query)


def test_clip(tmp_path):
    with pytest.raises(NoInputError, match=r"none\.bvh: No such file"):
        opened(f"?clip={tmp_path}/none.bvh")
    (tmp_path / "bad.txt").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.txt: not a clip"):
        opened(f"?clip={tmp_path}/bad.txt")


def test_too_large():
    with pytest.raises(ConfigError, match=r"1000x1200 is more than capture\.max_megapixels = 1"):
        opened("walk?width=1000&height=1200", CaptureOptions(max_megapixels=1))
