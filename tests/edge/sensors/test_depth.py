"""Depth sources: folders of images, and a RealSense made of Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict

import cv2
import numpy as np
import pytest

from edge import plug
from edge.errors import ConfigError, DataError, NoInputError, TempError, UnavailableError
from edge.sensors import depth
from edge.sensors.depth import DepthCamera
from edge.sensors.depth.realsense import aligned

NUMBERS: Dict[str, Any] = {
    "width": 64,
    "height": 48,
    "fx": 60.0,
    "fy": 60.0,
    "ppx": 31.5,
    "ppy": 23.5,
    "depth_scale_m": 0.001,
}


def folder(path: Path, count: int = 3, **changes: Any) -> Path:
    (path / "depth.json").write_text(json.dumps({**NUMBERS, **changes}), encoding="utf-8")
    for i in range(count):
        cv2.imwrite(str(path / f"{i:06d}.png"), np.full((48, 64), 1000 + i, np.uint16))
    return path


def opened(path: Path, options: str = "") -> depth.DepthSource:
    return depth.open_depth(depth.check(f"file://{path}{options}", "cameras[0].depth"))


def test_a_folder_gives_the_image_of_each_frame_and_none_after_the_last(tmp_path: Path) -> None:
    source = opened(folder(tmp_path))
    assert source.camera == DepthCamera(64, 48, 60.0, 60.0, 31.5, 23.5, 0.001)
    for i in range(3):
        found = source.image(i, 0)
        assert found is not None
        assert found.dtype == np.uint16
        assert (found == 1000 + i).all()
    assert source.image(3, 0) is None
    again = opened(tmp_path, "?loop=on").image(4, 0)
    assert again is not None
    assert again[0, 0] == 1001
    source.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fx": 0}, "depth.json: fx: 0 is not a number"),
        ({"ppx": "left"}, "ppx: 'left' is not a number"),
        ({"depth_scale_m": None}, "depth_scale_m: None"),
        ({"width": True}, "width: True"),
        ({"height": float("nan")}, "height: nan"),
    ],
)
def test_wrong_numbers_are_named(tmp_path: Path, changes: Dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        opened(folder(tmp_path, **changes))


def test_missing_and_damaged_files_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"depth\.json: No such file"):
        opened(tmp_path)
    with pytest.raises(NoInputError, match="holds no depth images"):
        opened(folder(tmp_path, 0))
    source = opened(folder(tmp_path, 4))
    (tmp_path / "000000.png").write_bytes(b"no picture")
    (tmp_path / "000001.png").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "000002.png"), np.zeros((48, 64), np.uint8))
    cv2.imwrite(str(tmp_path / "000003.png"), np.zeros((48, 64, 3), np.uint16))
    for i in range(4):
        with pytest.raises(DataError, match="is no PNG of one channel of 16 bit"):
            source.image(i, 0)
    (tmp_path / "depth.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="is no JSON"):
        opened(tmp_path)


def test_wrong_addresses_name_the_key() -> None:
    assert plug.names("sensors.depth") == ["file", "realsense"]
    for uri, said in (
        ("file://", "names no folder"),
        ("file:///a?pace=1", "unknown option 'pace'"),
        ("kinect://", "there are: file, realsense"),
        ("realsense://?fps=0", "use a number of 5 to 4096"),
    ):
        with pytest.raises(ConfigError, match=f"cameras.0..depth: .*{said}"):
            depth.check(uri, "cameras[0].depth")


def test_without_the_package_realsense_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(UnavailableError, match="pip install pyrealsense2"):
        depth.open_depth(depth.check("realsense://123", "x"))


class Profile:
    """A stream's profile."""

    def __init__(self, kind: str, width: int, height: int) -> None:
        self._kind = kind
        self._lens = SimpleNamespace(
            width=width, height=height, fx=60.0, fy=60.0, ppx=width / 2 - 0.5, ppy=height / 2 - 0.5
        )

    def stream_type(self) -> str:
        return self._kind

    def width(self) -> int:
        return int(self._lens.width)

    def height(self) -> int:
        return int(self._lens.height)

    def as_video_stream_profile(self) -> Profile:
        return self

    def get_intrinsics(self) -> Any:
        return self._lens

    def get_extrinsics_to(self, other: Profile) -> Any:
        turned = np.eye(3)
        return SimpleNamespace(rotation=turned.ravel(order="F"), translation=[0.1, 0, 0])


class Pipeline:
    """The camera: a wall at 2 m."""

    gone = False

    def start(self, config: Any) -> Any:
        if config.serial == "none":
            raise RuntimeError("No device connected")
        return self

    def get_stream(self, kind: str) -> Profile:
        return Profile(kind, 64, 48)

    def get_device(self) -> Any:
        profiles = [Profile("color", 128, 96), Profile("color", 64, 48)]
        sensor = SimpleNamespace(get_stream_profiles=lambda: profiles)
        scale = SimpleNamespace(get_depth_scale=lambda: 0.001)
        return SimpleNamespace(query_sensors=lambda: [sensor], first_depth_sensor=lambda: scale)

    def poll_for_frames(self) -> Any:
        if self.gone:
            raise RuntimeError("device disconnected")
        frame = SimpleNamespace(get_data=lambda: np.full((48, 64), 2000, np.uint16))
        return SimpleNamespace(get_depth_frame=lambda: frame)

    def stop(self) -> None:
        self.gone = True


class Config:
    serial = ""

    def enable_device(self, serial: str) -> None:
        self.serial = serial

    def enable_stream(self, *words: Any) -> None:
        assert words == ("depth", 64, 48, "z16", 30)


def test_realsense_gives_depth_in_the_colour_cameras_view(monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(
        config=Config,
        pipeline=Pipeline,
        stream=SimpleNamespace(depth="depth", color="color"),
        format=SimpleNamespace(z16="z16"),
    )
    monkeypatch.setitem(sys.modules, "pyrealsense2", library)
    size = "width=64&height=48&color_width=64&color_height=48"
    source = depth.open_depth(depth.check(f"realsense://123?{size}", "x"))
    found = source.image(0, 10**9)
    assert found is not None
    assert found.shape == (48, 64)
    assert (found[:, 3:] == 2000).all()  # the colour camera is 10 cm to the left: 3 px at 2 m
    assert (found[:, :3] == 0).all()
    source.close()
    source.close()
    with pytest.raises(NoInputError, match="No device connected; `rs-enumerate-devices`"):
        depth.open_depth(depth.check(f"realsense://none?{size}", "x"))
    with pytest.raises(NoInputError, match="no colour stream of 640x480"):
        depth.open_depth(depth.check("realsense://1?width=64&height=48", "x"))
    monkeypatch.setattr(Pipeline, "gone", True)
    broken = depth.open_depth(depth.check(f"realsense://1?{size}", "x"))
    with pytest.raises(TempError, match="device disconnected; is it plugged in"):
        broken.image(0, 0)


def test_where_two_points_fall_on_a_pixel_the_nearest_counts() -> None:
    camera = DepthCamera(3, 1, 1.0, 1.0, 1.0, 0.0, 0.001)
    rays = np.array([[[0.0, 0, 1], [0.1, 0, 1], [5.0, 0, 1]]])
    raw = np.array([[1500, 900, 0]], np.uint16)
    found = aligned(raw, rays, np.eye(3), np.zeros(3), camera)
    np.testing.assert_array_equal(found, [[0, 900, 0]])
