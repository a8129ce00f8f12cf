"""Cameras of the Jetson's board through Argus: csi://0?width=1920&height=1080&fps=30.

Options: width, height (px), fps, flip (none, 90, 180, 270 degrees clockwise, horizontal,
vertical), layout (bgr, or nv12 for an engine that reads it: no conversion on the CPU).
"""

from __future__ import annotations

from edge.capture import _gstreamer, _opencv, _query
from edge.capture._opencv import GSTREAMER, Video
from edge.capture._source import Address, CaptureOptions
from edge.capture._stream import Stream
from edge.errors import ConfigError, TempError

# nvvidconv's flip-method; its own numbers count quarter turns against the clock.
FLIPS = {"none": 0, "90": 3, "180": 2, "270": 1, "horizontal": 4, "vertical": 6}
_RESTART = "sudo systemctl restart nvargus-daemon"


def open_source(address: Address, options: CaptureOptions) -> Stream:
    """Start a camera.

    Raises:
        ConfigError: a wrong option. UnavailableError: this machine has no Argus, or an OpenCV
            without GStreamer. TempError: the camera does not start now.
    """
    text = pipeline(address, options)
    _gstreamer.need(address.uri, "nvarguscamerasrc", "nvidia-l4t-camera")
    video = Video(text, GSTREAMER, _opencv.timeouts(GSTREAMER, options.timeout_s),
                  _query.choice(address, "layout", ("bgr", "nv12")))  # fmt: skip
    if not video.is_open:
        video.close()
        raise TempError(
            f"{address.uri}: the camera does not start: not connected, in use by another program, "
            f"without this mode, or Argus hangs ({_RESTART})"
        )
    advice = f"is its cable loose, or does Argus hang ({_RESTART})?"
    return Stream(video, address.uri, options.timeout_s, advice)


def pipeline(address: Address, options: CaptureOptions) -> str:
    """The pipeline of an address.

    Raises:
        ConfigError: names the option.
    """
    address.only("width", "height", "fps", "flip", "layout")
    sensor = address.path or "0"
    if not sensor.isdecimal():
        raise ConfigError(f"{address.uri}: expected the camera's number, as in csi://0")
    width = _query.whole(address, "width", 1920, 64, 16384)
    height = _query.whole(address, "height", 1080, 64, 16384)
    if width * height > options.max_megapixels * 1e6:
        raise ConfigError(f"{address.uri}: {width}x{height} pixels are more than "
                          f"capture.max_megapixels = {options.max_megapixels:g}")  # fmt: skip
    rate_hz = _query.whole(address, "fps", 30, 1, 1000)
    flip = FLIPS[_query.choice(address, "flip", tuple(FLIPS))]
    layout = _query.choice(address, "layout", ("bgr", "nv12"))
    return _gstreamer.csi(int(sensor), width, height, rate_hz, flip, layout)
