"""Depth of a RealSense camera: realsense://, or realsense://SERIAL. Not yet run on hardware.

The plug takes the depth stream alone, so that the colour stream stays free for v4l2://, and moves
each depth image into the colour camera's view. It needs the package pyrealsense2. Options: width,
height, fps of the depth stream (640, 480, 30), color_width, color_height (640, 480) of the camera's
pictures.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from edge.errors import NoInputError, TempError, UnavailableError
from edge.sensors._address import Address
from edge.sensors.depth import DepthCamera, DepthSource

_OPTIONS = ("width", "height", "fps", "color_width", "color_height")
_OLD_NS = 200_000_000  # an older image is not that of the frame


def check(address: Address) -> None:
    """Refuse wrong options.

    Raises:
        ConfigError: a wrong option.
    """
    address.only(_OPTIONS)
    for name in _OPTIONS:
        _size(address, name)


def _size(address: Address, name: str) -> int:
    defaults = {"width": 640, "height": 480, "fps": 30, "color_width": 640, "color_height": 480}
    return int(address.number(name, defaults[name], 5, 4096))


def open_depth(address: Address) -> DepthSource:
    """Open the camera.

    Raises:
        UnavailableError: pyrealsense2 is missing. NoInputError: no such camera.
    """
    check(address)
    try:
        import pyrealsense2
    except ImportError as error:
        raise UnavailableError(
            f"{address.uri}: needs the package pyrealsense2: pip install pyrealsense2"
        ) from error
    return _RealSense(address, pyrealsense2)


class _RealSense:
    def __init__(self, address: Address, rs: Any) -> None:
        self.about = address.uri
        config, self._pipeline = rs.config(), rs.pipeline()
        if address.path:
            config.enable_device(address.path)
        size = [_size(address, name) for name in ("width", "height")]
        config.enable_stream(rs.stream.depth, *size, rs.format.z16, _size(address, "fps"))
        try:
            profile = self._pipeline.start(config)
        except RuntimeError as error:
            raise NoInputError(
                f"{address.uri}: {error}; `rs-enumerate-devices` lists cameras and their streams"
            ) from error
        device, depth = profile.get_device(), profile.get_stream(rs.stream.depth)
        wanted = _size(address, "color_width"), _size(address, "color_height")
        colour = _colour_profile(address, device, rs, wanted)
        self._depth = depth.as_video_stream_profile().get_intrinsics()
        lens = colour.as_video_stream_profile().get_intrinsics()
        scale_m = device.first_depth_sensor().get_depth_scale()
        self.camera = DepthCamera(
            lens.width, lens.height, lens.fx, lens.fy, lens.ppx, lens.ppy, scale_m
        )
        move = depth.get_extrinsics_to(colour)
        self._rotation = np.array(move.rotation, float).reshape(3, 3, order="F")
        self._shift_m = np.array(move.translation, float)
        self._rays = _rays(self._depth)
        self._newest: Optional[np.ndarray] = None
        self._newest_ns = 0

    def image(self, index: int, t_ns: int) -> Optional[np.ndarray]:
        try:
            frames = self._pipeline.poll_for_frames()
            frame = frames.get_depth_frame() if frames else None
        except RuntimeError as error:
            raise TempError(f"{self.about}: {error}; is it plugged in?") from error
        if frame:
            raw = np.asanyarray(frame.get_data())
            self._newest = aligned(raw, self._rays, self._rotation, self._shift_m, self.camera)
            self._newest_ns = t_ns
        return self._newest if t_ns - self._newest_ns < _OLD_NS else None

    def close(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.stop()


def _colour_profile(address: Address, device: Any, rs: Any, size: Any) -> Any:
    for sensor in device.query_sensors():
        for profile in sensor.get_stream_profiles():
            if profile.stream_type() == rs.stream.color:
                video = profile.as_video_stream_profile()
                if (video.width(), video.height()) == size:
                    return profile
    raise NoInputError(
        f"{address.uri}: the camera has no colour stream of {size[0]}x{size[1]}; set color_width "
        "and color_height to the size of its pictures"
    )


def _rays(lens: Any) -> np.ndarray:
    """[H,W,3] points at depth 1."""
    u, v = np.meshgrid(np.arange(lens.width), np.arange(lens.height))
    x, y = (u - lens.ppx) / lens.fx, (v - lens.ppy) / lens.fy
    return np.stack((x, y, np.ones_like(x)), 2)


def aligned(
    raw: np.ndarray,
    rays: np.ndarray,
    rotation: np.ndarray,
    shift_m: np.ndarray,
    camera: DepthCamera,
) -> np.ndarray:
    """Move a depth image into the view of the colour camera.

    Args:
        raw: [h,w] u16.
        rays: [h,w,3] of the depth camera.
        rotation: [3,3] from the depth camera's axes to the colour camera's.
        shift_m: [3] the same.
        camera: the colour camera.

    Returns:
        [H,W] u16; where several points fall on a pixel, the nearest. Pixels between them are 0.
    """
    seen = raw > 0
    points = rays[seen] * (raw[seen, None] * camera.scale_m) @ rotation.T + shift_m
    points = points[points[:, 2] > 0]
    points = points[np.argsort(-points[:, 2], kind="stable")]  # the nearest is written last
    u = np.rint(points[:, 0] / points[:, 2] * camera.fx + camera.cx).astype(np.intp)
    v = np.rint(points[:, 1] / points[:, 2] * camera.fy + camera.cy).astype(np.intp)
    inside = (u >= 0) & (v >= 0) & (u < camera.width) & (v < camera.height)
    out = np.zeros((camera.height, camera.width), np.uint16)
    units = np.rint(points[inside, 2] / camera.scale_m)
    out[v[inside], u[inside]] = np.minimum(units, 65535).astype(np.uint16)
    return out
