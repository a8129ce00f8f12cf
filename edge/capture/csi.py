"""Cameras on the Jetson board, through Argus: csi://0?width=1920&height=1080&fps=30.

Options: width, height (px), fps, layout (auto, bgr, nv12), memory (auto, dmabuf, copy). Deprecated:
flip=none, 90, 180, 270, horizontal, vertical; use rotate and flip=h|v, which every source has.

- memory=dmabuf: the GPU reads the camera's surfaces, and the layout is yuyv. memory=copy: each
  frame is copied once. auto: dmabuf if the GPU accepts the surfaces and layout is auto, else copy.
- layout=auto of copied frames: nv12 if a GPU reads the copy (the CPU converts nothing), else bgr.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Tuple

from edge.capture import _gstreamer, _opencv, _query
from edge.capture._csi import nvmm
from edge.capture._csi.argus import InPlace, InPlaceOrCopied
from edge.capture._gstreamer_calls import Pipeline
from edge.capture._opencv import GSTREAMER, Video
from edge.capture._ring import Ring
from edge.capture._source import CAMERA, OLD_CSI_FLIPS, Address, CaptureOptions, Source
from edge.capture._stream import Stream
from edge.errors import ConfigError, TempError, UnavailableError

log = logging.getLogger(__name__)

# nvvidconv's flip-method; its numbers count quarter turns counter-clockwise.
FLIPS = {"none": 0, "90": 3, "180": 2, "270": 1, "horizontal": 4, "vertical": 6}
_SPARE = 4  # surfaces beside the ring's: one being filled, one waiting, two in reserve
_PLUGIN = ("nvarguscamerasrc", "nvidia-l4t-camera")
_RESTART = "sudo systemctl restart nvargus-daemon"
_ADVICE = f"is its cable loose, or does Argus hang ({_RESTART})?"


@dataclass(frozen=True)
class CsiRequest:
    """The options of a csi:// address."""

    sensor: int
    width: int  # px, from Argus, before the flip
    height: int  # px, before the flip
    rate_hz: int
    flip: int
    layout: str
    memory: str

    @property
    def mode(self) -> Tuple[int, int, int, int, int]:
        """Sensor, width, height, rate and flip: the arguments of a pipeline."""
        return self.sensor, self.width, self.height, self.rate_hz, self.flip

    @property
    def size(self) -> Tuple[int, int]:
        """Width and height in px of the frames, after the flip."""
        turned = self.flip in (FLIPS["90"], FLIPS["270"])
        return (self.height, self.width) if turned else (self.width, self.height)


def open_source(address: Address, options: CaptureOptions) -> Source:
    """Start a camera; at its first read if a GPU may read the frames in place.

    Raises:
        ConfigError: a wrong option. UnavailableError: this machine has no Argus, or an OpenCV
            without GStreamer. TempError: the camera does not start.
    """
    request = read_request(address, options)
    if "flip" in address.query:
        log.warning(
            "%s: flip=%s is deprecated; use rotate=0|90|180|270 and flip=h|v",
            address.uri,
            address.query["flip"],
        )
    opener = _Opener(request, address, options)
    if request.memory != "copy" and request.layout == "auto":
        try:
            calls = nvmm.library()
        except UnavailableError as why:
            if request.memory == "dmabuf":
                raise UnavailableError(
                    f"{address.uri}: memory=dmabuf: {why}; use memory=auto"
                ) from why
        else:
            _gstreamer.need_element(address.uri, *_PLUGIN)
            return InPlaceOrCopied(
                lambda ring: opener.in_place(calls, ring),
                opener.copied,
                request.memory == "dmabuf",
                address.uri,
            )
    return opener.copied(False)


def kind(address: Address) -> str:
    """CAMERA; checks the options.

    Raises:
        ConfigError: an option.
    """
    read_request(address, CaptureOptions(max_megapixels=float("inf")))
    return CAMERA


def read_request(address: Address, options: CaptureOptions) -> CsiRequest:
    """Read and check the options of an address.

    Raises:
        ConfigError: names the option.
    """
    address.only("width", "height", "fps", "flip", "layout", "memory")
    sensor = address.path or "0"
    if not sensor.isdecimal():
        raise ConfigError(f"{address.uri}: expected the camera's number, as in csi://0")
    width = _query.integer(address, "width", 1920, 64, 16384)
    height = _query.integer(address, "height", 1080, 64, 16384)
    if width * height > options.max_megapixels * 1e6:
        raise ConfigError(
            f"{address.uri}: {width}x{height} pixels are more than "
            f"capture.max_megapixels = {options.max_megapixels:g}"
        )
    layout = _query.choice(address, "layout", ("auto", "bgr", "nv12"))
    memory = _query.choice(address, "memory", ("auto", "dmabuf", "copy"))
    if memory == "dmabuf" and layout != "auto":
        raise ConfigError(f"{address.uri}: memory=dmabuf gives yuyv, so leave layout out")
    rate_hz = _query.integer(address, "fps", 30, 1, 1000)
    flip = FLIPS[_query.choice(address, "flip", OLD_CSI_FLIPS)]
    return CsiRequest(int(sensor), width, height, rate_hz, flip, layout, memory)


@dataclass(frozen=True)
class _Opener:
    """The two ways to start a camera."""

    request: CsiRequest
    address: Address
    options: CaptureOptions

    def in_place(self, calls: Any, ring: Ring) -> Source:
        """Start it for a GPU that reads the frames in place."""
        request, shown = self.request, self.address.uri
        text = _gstreamer.csi_in_place(*request.mode, buffers=ring.count + _SPARE)
        try:
            pipeline = Pipeline(text)
        except TempError as error:
            raise TempError(f"{shown}: the camera does not start ({error}); {_ADVICE}") from error
        timeout_s, masked = self.options.timeout_s, self.options.masked
        return InPlace(
            pipeline, calls, request.size, ring.memory, shown, timeout_s, _ADVICE, masked
        )

    def copied(self, gpu: bool) -> Source:
        """Start it through OpenCV; `gpu`: whether a GPU reads the copied frames."""
        request, shown = self.request, self.address.uri
        layout = request.layout
        if layout == "auto":
            layout = "nv12" if gpu else "bgr"
        _gstreamer.need(shown, *_PLUGIN)
        video = Video(
            _gstreamer.csi(*request.mode, layout=layout),
            GSTREAMER,
            _opencv.timeouts(GSTREAMER, self.options.timeout_s),
            layout,
        )
        if not video.is_open:
            video.close()
            raise TempError(
                f"{shown}: the camera does not start: not connected, in use by another program, "
                f"without this mode, or Argus hangs ({_RESTART})"
            )
        return Stream(video, shown, self.options.timeout_s, _ADVICE)
