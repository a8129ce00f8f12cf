"""Publish less: fewer keypoints and fewer frames, never fewer events or states."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from edge import skeletons
from edge.doctor import broker as doctor_broker
from edge.errors import ConfigError
from edge.publish import Publisher, parse, parse_all
from edge.publish._thinning import Lane, Lanes, Limits, split
from edge.scene_structures import Joints, SceneFrame
from edge.settings import config as settings
from edge.settings.config import Camera, Config
from edge.settings.publishing import Publish
from edge.structures import CameraState, Frame, Moment, PoseEvent, Poses

IMAGE = np.zeros((8, 8, 3), np.uint8)
HZ = 1_000_000_000


def somebody(skeleton: str = "wholebody133") -> Poses:
    k = len(skeletons.get(skeleton))
    points = np.arange(2 * k, dtype=np.float32).reshape(1, k, 2)
    box = np.array([[0, 0, 5, 5]], np.float32)
    scores = np.full((1, k), 0.9, np.float32)
    return Poses(points, scores, box, np.array([3]), np.array([0.8], np.float32), skeleton)


def lines(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def published(
    tmp_path: Path, frames: int, hz: float, options: str = "", **publish: Any
) -> List[Dict[str, Any]]:
    """What a sink gets of a camera with 30 frames a second; `hz` is the camera's own limit."""
    sinks = [f"jsonl:{tmp_path}/a.jsonl{options}"]
    camera = Camera("synthetic://", "door", max_hz=hz)
    publisher = Publisher(
        Config(cameras=[camera], publish=Publish(sinks=sinks, **publish)), lossless=True
    )
    for i in range(frames):
        publisher.frame(Frame(IMAGE, i, i * HZ // 30, "door"), somebody())
    publisher.close()
    found = [line["payload"] for line in lines(tmp_path / "a.jsonl")]
    return [p for p in found if "people" in p and "size" in p and "skeleton" in p]


@pytest.mark.parametrize(
    ("publish", "camera", "options", "expected"),
    [
        (0.0, 0.0, "", 90),
        (10.0, 0.0, "", 30),
        (0.0, 10.0, "", 30),
        (20.0, 10.0, "", 30),
        (10.0, 20.0, "", 30),
        (10.0, 0.0, "?max_hz=0", 90),
        (0.0, 0.0, "?max_hz=5", 15),
        (20.0, 0.0, "", 60),
        (12.0, 0.0, "", 36),
        (40.0, 0.0, "", 90),
        (0.5, 0.0, "", 2),
    ],
)
def test_a_limit_holds_on_average_and_numbers_have_no_gap(
    tmp_path: Path, publish: float, camera: float, options: str, expected: int
) -> None:
    found = published(tmp_path, 90, camera, options, max_hz=publish)
    assert abs(len(found) - expected) <= 1
    assert [p["seq"] for p in found] == list(range(len(found)))


@pytest.mark.parametrize(
    ("points", "options", "skeleton"),
    [
        ("all", "", "wholebody133"),
        ("body", "", "coco17"),
        ("body-feet", "", "halpe26"),
        ("body", "?points=all", "wholebody133"),
        ("all", "?points=body&max_hz=30", "coco17"),
        ("all", "?points=body-feet", "halpe26"),
    ],
)
def test_a_frame_says_which_keypoints_it_has(
    tmp_path: Path, points: str, options: str, skeleton: str
) -> None:
    (found,) = published(tmp_path, 1, 0, options, points=points)
    assert found["skeleton"] == skeleton
    assert len(found["people"][0]["keypoints"]) == 3 * len(skeletons.get(skeleton))
    nose = skeletons.get(skeleton).names.index("nose")
    assert found["people"][0]["keypoints"][3 * nose : 3 * nose + 3] == [0, 10, 90]


def test_each_sink_has_limits_and_numbers_of_its_own(tmp_path: Path) -> None:
    sinks = [f"jsonl:{tmp_path}/all", f"jsonl:{tmp_path}/few?max_hz=10&points=body"]
    publisher = Publisher(Config(publish=Publish(sinks=sinks)), lossless=True)
    for i in range(30):
        publisher.frame(Frame(IMAGE, i, i * HZ // 30, "door"), somebody())
    publisher.close()
    of = {n: [p["payload"] for p in lines(tmp_path / n)] for n in ("all", "few")}
    every, few = ([p for p in of[n] if "people" in p] for n in ("all", "few"))
    assert [p["seq"] for p in every] == list(range(30))
    assert [p["seq"] for p in few] == list(range(10))
    assert {p["skeleton"] for p in few} == {"coco17"}
    dates = {p["t_mono_ns"]: p["t_utc_ns"] for p in every}
    assert all(dates[p["t_mono_ns"]] == p["t_utc_ns"] for p in few)


def test_events_states_and_prerolls_are_not_thinned(tmp_path: Path) -> None:
    sinks = [f"jsonl:{tmp_path}/a.jsonl"]
    publisher = Publisher(
        Config(publish=Publish(sinks=sinks, max_hz=0.001, points="body")), lossless=True
    )
    for i in range(20):
        t_ns = i * HZ // 30
        publisher.frame(Frame(IMAGE, i, t_ns, "door"), somebody())
        before = (Moment(t_ns, somebody()),)
        publisher.event(PoseEvent("fall", "door", 3, t_ns, 0.9, before=before))
        publisher.camera(CameraState("door", "ok", "", t_ns), i)
    publisher.close()
    found = lines(tmp_path / "a.jsonl")
    events = [p["payload"] for p in found if p["topic"].endswith("/event/fall")]
    assert len(events) == 20
    assert len(events[0]["preroll"][0]["people"][0]["keypoints"]) == 3 * 133
    assert len([p for p in found if p["topic"].endswith("/state")]) == 21
    assert len([p for p in found if p["topic"].endswith("/frame")]) == 1


def test_an_event_of_a_frame_that_was_left_out_has_the_date_of_that_frame(tmp_path: Path) -> None:
    publisher = Publisher(Config(publish=Publish(sinks=[], max_hz=0.001)))
    for i in range(3):
        publisher.frame(Frame(IMAGE, i, 10**12 + i, "door"), somebody())
    assert publisher.build._frames["door"][0] == 10**12 + 2
    publisher.close()


def test_pictures_for_themselves_are_all_published(tmp_path: Path) -> None:
    sinks = [f"jsonl:{tmp_path}/a.jsonl"]
    publisher = Publisher(Config(publish=Publish(sinks=sinks, max_hz=1)), lossless=True)
    for i in range(5):
        publisher.frame(Frame(IMAGE, i, i, "door", still=True), somebody())
    publisher.close()
    assert sum(p["topic"].endswith("/frame") for p in lines(tmp_path / "a.jsonl")) == 5


def test_a_scene_is_thinned_as_a_camera_is() -> None:
    whole = somebody()
    k = whole.scores.shape[1]
    joints = Joints(np.ones((1, k, 3), np.float32), whole.scores, "views")
    errors = np.full((2, 1, k), 1.5, np.float32)
    ids = np.array([1])
    live, seen = np.ones(2, bool), np.array([[1, 2]])
    found = SceneFrame("hall", 0, "wholebody133", ("a", "b"), live, joints, ids, seen, errors)
    body = Lane(Limits("body"), "").scene(found)
    assert (body.skeleton, body.joints.points.shape) == ("coco17", (1, 17, 3))
    assert body.errors_px.shape == (2, 1, 17)
    assert Lane(Limits(), "").scene(found) is found
    again = Lane(Limits("body"), "").scene(body)
    assert again is body


def test_a_clock_that_goes_back_does_not_silence_a_camera() -> None:
    lane = Lane(Limits(max_hz=1.0), "")
    assert lane.takes("door", 100 * HZ)
    assert not lane.takes("door", 100 * HZ + 1)
    assert lane.takes("door", 5 * HZ), "a recording that begins again"
    assert not lane.takes("door", 5 * HZ + 1)


def test_a_slow_camera_does_not_save_frames_up() -> None:
    lane = Lane(Limits(max_hz=10.0), "")
    assert lane.takes("door", 0)
    times = [60 * HZ + i * HZ // 100 for i in range(100)]
    assert sum(lane.takes("door", t) for t in times) <= 11


def test_a_reload_changes_the_limits_of_cameras() -> None:
    lanes = Lanes(Limits())
    ((lane, _),) = lanes.of([object()])
    lanes.limit({"door": 1.0})
    assert [lanes.takes(lane, "door", t) for t in (0, 1)] == [True, False]
    lanes.limit({"door": 0.0})
    assert lanes.takes(lane, "door", 2)


@pytest.mark.parametrize(
    ("uri", "rest"),
    [
        ("mqtt://h?max_hz=5", "mqtt://h"),
        ("mqtt://h:1?keepalive_s=9&points=body", "mqtt://h:1?keepalive_s=9"),
        ("jsonl:/tmp/what?.jsonl", "jsonl:/tmp/what?.jsonl"),
        ("prometheus://127.0.0.1?max_hz=1", "prometheus://127.0.0.1?max_hz=1"),
    ],
)
def test_the_limits_are_taken_out_of_an_address(uri: str, rest: str) -> None:
    assert split(uri, Publish())[0] == rest


@pytest.mark.parametrize("options", ["max_hz=fast", "max_hz=-1", "max_hz=2000", "points=hands"])
def test_a_wrong_limit_is_refused(options: str) -> None:
    with pytest.raises(ConfigError, match=options.partition("=")[0]):
        parse(f"mqtt://user@h?{options}")
    with pytest.raises(ConfigError):
        parse_all([f"mqtt://h?{options}"])


def test_the_doctor_reads_addresses_with_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {"publish": {"sinks": ["mqtt://127.0.0.1:1?max_hz=5&points=body"]}}
    config = settings.complete(settings.build(Config, table))
    parse_all(config.publish.sinks)
    (found, *_) = doctor_broker.brokers(config)
    assert "unknown key" not in str(dataclasses.astuple(found))
