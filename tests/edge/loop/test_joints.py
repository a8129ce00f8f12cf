"""Joints of a configuration: sensors, depth and camera together; the page docs/sensors.md runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, List

import cv2
import numpy as np
import pytest

from edge.capture._synthetic.scene import Scene, Setup
from edge.errors import ConfigError, EdgeError
from edge.loop.joints import JointStage, check
from edge.service import daemon
from edge.settings import config
from edge.settings.config import Config
from edge.structures import Frame, Poses

MODELS = Path(__file__).parents[1] / "golden" / "models"
PAGE = Path(__file__).parents[3] / "docs" / "sensors.md"
ZERO_NS = 10**12


def settings(**tables: Any) -> Config:
    table: Dict[str, Any] = {"cameras": [{"source": "synthetic://", "name": "a"}], **tables}
    return config.complete(config.build(Config, table))


def knee(**changes: Any) -> Dict[str, Any]:
    return {"angle": "left_knee_flexion", **changes}


SENSORS = [{"name": "thigh", "source": "synthetic://"}, {"name": "shank", "source": "synthetic://"}]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"joints": [knee(angle="left_knee")]}, "joints[0].angle: no angle 'left_knee'; there are"),
        ({"joints": [knee(camera="b")]}, "joints[0].camera: no camera 'b'; there are: a"),
        ({"joints": [knee(far="shin")]}, "joints[0].far: no sensor 'shin'; there are: none; add"),
        (
            {"joints": [knee(far="shin")], "sensors": SENSORS},
            "joints[0].far: no sensor 'shin'; there are: thigh, shank",
        ),
        ({"joints": [knee(near="thigh")], "sensors": SENSORS}, "joints[0].far: is empty"),
        (
            {"joints": [knee(near="thigh", far="thigh")], "sensors": SENSORS},
            "joints[0].near: is the same sensor as far",
        ),
        ({"joints": [knee(), knee()]}, "joints[1].angle: 'left_knee_flexion' is there twice"),
        ({"joints": [knee(far_axis="up")]}, "joints[0].far_axis: use x, y, z"),
        ({"joints": [knee(delay_ms=900)]}, "joints[0].delay_ms: 900"),
        ({"sensors": [SENSORS[0], SENSORS[0]]}, "sensors[1].name: 'thigh' is taken"),
        ({"sensors": [{"name": "a", "source": "x://"}]}, "sensors[0].source: no sensors plug"),
        ({"sensors": [{"name": "a"}]}, "sensors[0].source: is missing"),
        (
            {"cameras": [{"source": "synthetic://", "depth": "x"}]},
            "cameras[0].depth: 'x' is no address",
        ),
        (
            {"cameras": [{"source": "synthetic://", "depth": "file:///a", "rotate": 90}]},
            "cameras[0].depth: needs a camera without rotate and flip",
        ),
    ],
)
def test_a_mistake_names_its_key(tables: Dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as told:
        check(settings(**tables))
    assert str(told.value).startswith(said)
    assert "\n" not in str(told.value)


SIZE = (640, 480)


class Room:
    """A drawn person who squats, and the frames of a camera that sees it."""

    def __init__(self) -> None:
        self.scene = Scene(Setup(people=1, motion="squat", rate_hz=30), *SIZE)
        self._image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)

    def frame(self, index: int) -> Frame:
        t_ns = ZERO_NS + index * 33_333_333
        return Frame(self._image, index, t_ns, "a")

    def people(self, index: int) -> Poses:
        return self.scene.poses(index, "coco17")


def bent_deg(poses: Poses) -> float:
    hip, knee_, ankle = poses.keypoints[0, [11, 13, 15]].astype(float)
    a, b = hip - knee_, ankle - knee_
    return float(180 - np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))))


class StandingClock:
    def __init__(self) -> None:
        self.ns = ZERO_NS

    def __call__(self) -> int:
        return self.ns


def test_a_joint_without_sensors_is_the_cameras(tmp_path: Path) -> None:
    room, clock = Room(), StandingClock()
    stage = JointStage(settings(joints=[knee(delay_ms=0)]), clock)
    assert stage.angle_of("left_knee_flexion")[2] == "none"
    assert stage.summaries("a")[0].unsure == "neither camera nor sensors see the joint"
    seen = []
    for i in range(60):
        clock.ns = room.frame(i).t_ns
        stage([room.frame(i)], [room.people(i)])
        seen.append((stage.angle_of("left_knee_flexion")[0], bent_deg(room.people(i))))
    known = np.array([pair for pair in seen if np.isfinite(pair[0])])
    assert len(known) > 40  # at first the thigh points to the camera: nothing is claimed
    assert np.abs(known[:, 0] - known[:, 1]).max() < 12
    degrees, error, stands_on = stage.angle_of("left_knee_flexion", "a")
    assert (np.isfinite(degrees), stands_on) == (True, "vision")
    assert 0 < error < 20
    summary = stage.summaries("a")[0]
    assert (summary.name, summary.kind) == ("left_knee_flexion", "joint")
    assert summary.data["dimensions"] == 2
    assert stage.summaries("b") == []
    with pytest.raises(KeyError):
        stage.angle_of("right_knee_flexion")
    clock.ns += 10 * 10**9
    assert stage.angle_of("left_knee_flexion")[2] == "none"
    stage.close()


def test_summaries_change_twice_a_second_at_most() -> None:
    room, clock = Room(), StandingClock()
    stage = JointStage(settings(joints=[knee()]), clock)
    said = []
    for i in range(60):
        clock.ns = room.frame(i).t_ns
        stage([room.frame(i)], [room.people(i)])
        said.append(stage.summaries("a")[0])
    assert len({id(s) for s in said}) <= 5


def depth_folder(folder: Path, room: Room, count: int) -> None:
    numbers = {"width": SIZE[0], "height": SIZE[1], "fx": 600.0, "fy": 600.0}
    numbers.update({"ppx": 319.5, "ppy": 239.5, "depth_scale_m": 0.001})
    (folder / "depth.json").write_text(json.dumps(numbers), encoding="utf-8")
    for i in range(count):
        cv2.imwrite(str(folder / f"{i:06d}.png"), np.full(SIZE[::-1], 3000, np.uint16))


def test_with_depth_the_angle_is_measured_in_space_while_there_are_images(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room, clock = Room(), StandingClock()
    depth_folder(tmp_path, room, 40)
    (tmp_path / "000035.png").write_bytes(b"broken")
    cameras = [{"source": "synthetic://", "name": "a", "depth": f"file://{tmp_path}"}]
    stage = JointStage(settings(cameras=cameras, joints=[knee(delay_ms=0)]), clock)
    dimensions: List[Any] = []
    for i in range(60):
        clock.ns += 600_000_000  # so that each summary is new
        stage([room.frame(i)], [room.people(i)])
        dimensions.append(stage.summaries("a")[0].data["dimensions"])
    assert dimensions[30:40] == [3] * 5 + [2] + [3] * 4
    assert dimensions[41:] == [2] * 19
    told = [r for r in caplog.records if "depth is left out" in r.message]
    assert len(told) == 1
    assert "000035.png: is no PNG" in told[0].message
    stage.close()


def test_depth_of_another_shape_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room()
    depth_folder(tmp_path, room, 2)
    numbers = json.loads((tmp_path / "depth.json").read_text(encoding="utf-8"))
    (tmp_path / "depth.json").write_text(json.dumps({**numbers, "width": 320}), encoding="utf-8")
    cameras = [{"source": "synthetic://", "name": "a", "depth": f"file://{tmp_path}"}]
    stage = JointStage(settings(cameras=cameras, joints=[knee()]), StandingClock())
    for i in range(2):
        stage([room.frame(i)], [room.people(i)])
    assert "depth is of 320x480, pictures are 640x480" in caplog.text
    assert stage.summaries("a")[0].data["dimensions"] == 2


def test_a_depth_folder_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    cameras = [{"source": "synthetic://", "name": "a", "depth": f"file://{tmp_path}/none"}]
    with pytest.raises(EdgeError, match=r"depth\.json: No such file"):
        JointStage(settings(cameras=cameras, joints=[knee()]))


def test_the_same_person_is_followed_until_it_is_gone() -> None:
    room, clock = Room(), StandingClock()
    stage = JointStage(settings(joints=[knee()]), clock)
    near = room.people(0)
    far = Poses(
        near.keypoints + 200, near.scores, near.boxes * 0.5, near.ids + 7, near.person_scores,
        near.skeleton,
    )  # fmt: skip
    persons = []
    for people in ([far, near], [far, near], [far], [far, near]):
        clock.ns += 600_000_000
        stage([room.frame(0)], [Poses.join(people)])
        persons.append(stage.summaries("a")[0].data["person"])
    assert persons == [near.ids[0], near.ids[0], far.ids[0], far.ids[0]]


@pytest.mark.one_python
def test_the_page_s_configuration_runs_and_its_messages_keep_the_contract(
    tmp_path: Path, contract: Callable[[str, Dict[str, Any]], None]
) -> None:
    text = re.findall(
        r"<!-- a test runs this -->\n```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(text) == 1
    out = tmp_path / "out.jsonl"
    path = tmp_path / "edge.toml"
    body = text[0].replace("jsonl:-", f"jsonl:{out}")
    tail = f'[models]\ndir = "{MODELS}"\n[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
    path.write_text(body + tail, encoding="utf-8")
    settings_ = config.load(path)
    assert daemon.run(settings_, max_frames=40) == 0
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        contract(line["topic"], line["payload"])
    states = [m["payload"] for m in lines if m["topic"].endswith("room/state")]
    joints = [s["rules"]["left_knee_flexion"] for s in states if "left_knee_flexion" in s["rules"]]
    assert joints[-1]["kind"] == "joint"
    # The tiny network's person stands with its front to the camera: no knee can be measured so.
    assert joints[-1]["data"]["stands_on"] == "none"
    assert joints[-1]["unsure"] == "neither camera nor sensors see the joint"
    metrics = [m["payload"] for m in lines if m["topic"].endswith("/metrics")][-1]
    assert metrics["sensor_states"] == {"thigh": "ok", "shank": "ok"}
    assert metrics["sensor_samples"]["shank"] > 0
    assert metrics["sensor_lost"] == {"thigh": 0, "shank": 0}
    assert metrics["sensor_temperatures_c"]["thigh"] == pytest.approx(30, abs=1)


def test_the_pages_options_are_those_of_the_program() -> None:
    page = PAGE.read_text(encoding="utf-8")
    from edge.sensors._mpu6050.request import OPTIONS
    from edge.settings.limbs import Joint, Sensor

    for name in (*OPTIONS, *Joint.__dataclass_fields__, *Sensor.__dataclass_fields__):
        assert f"`{name}`" in page, f"docs/sensors.md lacks {name}"
