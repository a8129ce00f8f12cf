"""Network cameras: rtsp://USER:PASSWORD@HOST:554/path?transport=tcp.

Options, removed before the camera receives the address: transport=tcp (default) or udp;
decoder=auto (the Jetson's hardware decoder if there is one, else the CPU), software or nvv4l2;
layout=bgr, or nv12 with decoder=nvv4l2; threads=1 for the software decoder (each further thread
delays the video by one frame). All other parts of the query go to the camera. Special characters
of a password are written %40 for @, %2F for /, %23 for #, %3F for ?.
"""

from __future__ import annotations

from typing import List
from urllib.parse import urlsplit

from edge.capture import _gstreamer, _opencv, _query
from edge.capture._opencv import FFMPEG, GSTREAMER, Video
from edge.capture._rtsp_probe import failure_reason
from edge.capture._source import CAMERA, Address, CaptureOptions
from edge.capture._stream import Stream
from edge.errors import ConfigError, DataError, TempError, UnavailableError

OURS = ("transport", "decoder", "layout", "threads")
_PROBE_S = 2.0
_DECODERS = ("auto", "software", "nvv4l2")


def open_source(address: Address, options: CaptureOptions) -> Stream:
    """Connect to a camera.

    Raises:
        ConfigError: a wrong option or address. UnavailableError: this machine cannot decode it.
        TempError: no video came; says why. DataError: its picture is too large.
    """
    url = _checked(address)
    transport = _query.choice(address, "transport", ("tcp", "udp"))
    hardware = _hardware(address)
    layout = _query.choice(address, "layout", ("bgr", "nv12") if hardware else ("bgr",))
    threads = _query.integer(address, "threads", 1, 1, 64)
    if hardware or not _opencv.has(FFMPEG):
        text = _gstreamer.rtsp(url, transport, options.timeout_s, hardware, layout)
        video = Video(text, GSTREAMER, _opencv.timeouts(GSTREAMER, options.timeout_s), layout)
    else:
        parameters = _opencv.timeouts(FFMPEG, options.timeout_s) + _opencv.threads(threads)
        video = Video(with_transport(url, transport), FFMPEG, parameters)
    if not video.is_open:
        video.close()
        raise TempError(f"{address.uri}: {failure_reason(url, min(_PROBE_S, options.timeout_s))}")
    width, height = video.coded_size
    if width * height > options.max_megapixels * 1e6:
        video.close()
        raise DataError(
            f"{address.uri}: {width}x{height} pixels are more than capture.max_megapixels = "
            f"{options.max_megapixels:g}; set a smaller picture in the camera"
        )
    advice = "is the camera on and in reach?"
    return Stream(video, address.uri, options.timeout_s, advice)


def kind(address: Address) -> str:
    """CAMERA; checks the options.

    Raises:
        ConfigError: a wrong option or address.
    """
    _checked(address)
    _query.choice(address, "transport", ("tcp", "udp"))
    software = _query.choice(address, "decoder", _DECODERS) == "software"
    _query.choice(address, "layout", ("bgr",) if software else ("bgr", "nv12"))
    _query.integer(address, "threads", 1, 1, 64)
    return CAMERA


def _checked(address: Address) -> str:
    """The URL for the camera, without our options."""
    url = strip_options(address.secret_uri)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # its text may contain a part of the password
        host = None
    if not host:
        raise ConfigError(
            f"{address.uri}: expected rtsp://HOST:554/PATH; special characters of a password "
            "are written %40 for @, %2F for /, %23 for #, %3F for ?"
        ) from None
    return url


def _hardware(address: Address) -> bool:
    """Whether to use the Jetson's hardware decoder."""
    decoder = _query.choice(address, "decoder", _DECODERS)
    if decoder == "nvv4l2":
        _gstreamer.need(address.uri, "nvv4l2decoder", "nvidia-l4t-gstreamer")
        return True
    if not _opencv.has(FFMPEG) and not _opencv.has(GSTREAMER):
        raise UnavailableError(
            f"{address.uri}: this OpenCV has neither FFmpeg nor GStreamer: "
            "install opencv-python-headless, or on a Jetson the system's python3-opencv"
        )
    found = _opencv.has(GSTREAMER) and _gstreamer.has_element("nvv4l2decoder")
    return found and decoder == "auto"


def strip_options(url: str) -> str:
    """Remove our options from the query; the rest stays unchanged."""
    path, mark, query = url.partition("?")
    rest: List[str] = [p for p in query.split("&") if p.partition("=")[0] not in OURS]
    return path + mark + "&".join(rest) if mark and rest != [""] and rest else path


def with_transport(url: str, transport: str) -> str:
    """Add the transport to the query, where libav reads and removes it (libavformat/rtsp.c).

    OpenCV could set libav's option of the same name only by an environment variable, for the
    whole process.
    """
    return f"{url}{'&' if '?' in url else '?'}{transport}"
