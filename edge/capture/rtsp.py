"""Network cameras: rtsp://USER:PASSWORD@HOST:554/path?transport=tcp.

Options, removed before the camera receives the address: transport=tcp (default) or udp;
decoder=auto (the Jetson's hardware decoder if there is one, else the CPU), software or nvv4l2;
layout=bgr, or nv12 with decoder=nvv4l2; threads=1 for the software decoder (each further thread
delays the video by one frame). All other parts of the query go to the camera. Special characters
of a password are written %40 for @, %2F for /, %23 for #, %3F for ?. The certificate of rtsps:// is
not checked: libav offers no way to pin it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import List
from urllib.parse import urlsplit

from edge.capture import _gstreamer, _opencv, _query
from edge.capture._decoder.video import RemoteVideo, too_large
from edge.capture._opencv import FFMPEG, GSTREAMER, Video
from edge.capture._rtsp_probe import failure_reason
from edge.capture._source import CAMERA, Address, CaptureOptions
from edge.capture._stream import Stream
from edge.errors import ConfigError, TempError, UnavailableError

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
    _query.choice(address, "layout", ("bgr", "nv12") if hardware else ("bgr",))
    threads = _query.integer(address, "threads", 1, 1, 64)
    advice = "is the camera on and in reach?"
    if hardware:
        return Stream(_in_place(address, url, options), address.uri, options.timeout_s, advice)
    if _opencv.has(FFMPEG):
        parameters = _opencv.timeouts(FFMPEG, options.timeout_s) + _opencv.threads(threads)
        wish = _Wish(with_transport(url, transport), FFMPEG, parameters)
    else:
        text = _gstreamer.rtsp(url, transport, options.timeout_s, False, "bgr")
        wish = _Wish(text, GSTREAMER, _opencv.timeouts(GSTREAMER, options.timeout_s))
    return Stream(_remote(address, url, wish, options), address.uri, options.timeout_s, advice)


@dataclass(frozen=True)
class _Wish:
    """What a decoder process opens."""

    target: str
    backend: int
    parameters: List[int]
    layout: str = "bgr"


def _remote(address: Address, url: str, wish: _Wish, options: CaptureOptions) -> RemoteVideo:
    """Open it in a process of its own."""
    video = RemoteVideo(address.uri, options)
    try:
        if not video.open(asdict(wish), options.timeout_s + options.grace_s):
            video.close()
            if options.stopped:
                raise TempError(f"{address.uri}: stopped")
            video = RemoteVideo(address.uri, options)
            raise TempError(f"{address.uri}: {video.probe(url, min(_PROBE_S, options.timeout_s))}")
        too_large(address.uri, *video.coded_size, options)
    except BaseException:
        video.close()
        raise
    return video


def _in_place(address: Address, url: str, options: CaptureOptions) -> Video:
    """Open it with the Jetson's hardware decoder, in this process."""
    transport = _query.choice(address, "transport", ("tcp", "udp"))
    layout = _query.choice(address, "layout", ("bgr", "nv12"))
    text = _gstreamer.rtsp(url, transport, options.timeout_s, True, layout)
    video = Video(text, GSTREAMER, _opencv.timeouts(GSTREAMER, options.timeout_s), layout)
    try:
        if not video.is_open:
            reason = failure_reason(url, min(_PROBE_S, options.timeout_s))
            raise TempError(f"{address.uri}: {reason}")
        too_large(address.uri, *video.coded_size, options)
    except BaseException:
        video.close()
        raise
    return video


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
