"""GStreamer pipelines as text, for an OpenCV that was built with GStreamer (JetPack's is)."""

from __future__ import annotations

import functools
import subprocess

from edge.capture import _opencv
from edge.capture._gstreamer_calls import SINK_NAME
from edge.errors import UnavailableError

# Only the newest frame, at once: a frame that waits for its time is late.
SINK = "appsink drop=true max-buffers=1 sync=false"
JITTER_MS = 100  # rtspsrc waits this long for packets out of order; its default is 2000


@functools.lru_cache(maxsize=None)
def has_element(name: str) -> bool:
    """Whether GStreamer has an element; False where its tools are not installed."""
    command = ["gst-inspect-1.0", "--exists", name]
    try:
        return subprocess.run(command, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def need(shown: str, element: str, package: str) -> None:
    """Refuse, with the fix, a machine on which a pipeline cannot run.

    Raises:
        UnavailableError: OpenCV lacks GStreamer, or GStreamer the element.
    """
    if not _opencv.has(_opencv.GSTREAMER):
        raise UnavailableError(
            f"{shown}: this OpenCV is built without GStreamer: on a Jetson use the system's "
            "(python3-opencv, and a virtual environment made with --system-site-packages)"
        )
    need_element(shown, element, package)


def need_element(shown: str, element: str, package: str) -> None:
    """Refuse, with the fix, a machine whose GStreamer lacks an element.

    Raises:
        UnavailableError: names it.
    """
    if not has_element(element):
        raise UnavailableError(
            f"{shown}: GStreamer has no element {element!r} (gst-inspect-1.0 {element}): on a "
            f"Jetson install {package}; other machines do not have it"
        )


def quoted(text: str) -> str:
    """Text as a property's value: no character of it ends the value."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def rtsp(url: str, transport: str, timeout_s: float, hardware: bool, layout: str) -> str:
    """A pipeline that shows the video of an RTSP stream, in whatever codec it is.

    Args:
        url: with user and password: never log the result.
        transport: tcp or udp.
        timeout_s: to connect, and without a packet.
        hardware: decode with the Jetson's decoder instead of the CPU.
        layout: bgr or nv12.
    """
    limit_us = round(timeout_s * 1e6)
    source = (
        f"rtspsrc location={quoted(url)} protocols={transport} latency={JITTER_MS} "
        f"drop-on-latency=true tcp-timeout={limit_us} timeout={limit_us}"
    )
    decode = "parsebin ! nvv4l2decoder" if hardware else "decodebin"
    stages = [source, "application/x-rtp,media=video", decode, convert(layout, hardware), SINK]
    return " ! ".join(stages)


def csi(sensor: int, width: int, height: int, rate_hz: int, flip: int, layout: str) -> str:
    """A pipeline that shows a camera of the board through Argus.

    Args:
        sensor: number of the camera.
        width: in pixels, of a mode that the sensor has or that Argus scales to.
        height: in pixels.
        rate_hz: frames per second.
        flip: nvvidconv's flip-method, 0..7.
        layout: bgr or nv12.
    """
    return " ! ".join((_argus(sensor, width, height, rate_hz), convert(layout, True, flip), SINK))


def csi_in_place(
    sensor: int, width: int, height: int, rate_hz: int, flip: int, buffers: int
) -> str:
    """A pipeline whose frames stay in the board's memory: YUYV, since that is one plane of rows.

    Args:
        sensor: number of the camera.
        width: in pixels, before turning.
        height: in pixels.
        rate_hz: frames per second.
        flip: nvvidconv's flip-method, 0..7.
        buffers: how many frames the camera and the loop have in hand together.
    """
    stay = f"nvvidconv bl-output=false output-buffers={buffers}"
    stay += f" flip-method={flip}" if flip else ""
    rows = "video/x-raw(memory:NVMM),format=YUY2"
    sink = f"{SINK} name={SINK_NAME}"
    return " ! ".join((_argus(sensor, width, height, rate_hz), stay, rows, sink))


def _argus(sensor: int, width: int, height: int, rate_hz: int) -> str:
    mode = f"width={width},height={height},framerate={rate_hz}/1,format=NV12"
    return f"nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),{mode}"


def convert(layout: str, hardware: bool, flip: int = 0) -> str:
    """From what a decoder or camera gives to what the loop reads.

    nvvidconv leaves the GPU's memory but cannot make three-byte pixels, so BGR takes one more
    conversion, on the CPU.
    """
    last = "videoconvert ! video/x-raw,format=" + ("BGR" if layout == "bgr" else "NV12")
    if not hardware:
        return last
    leave = "nvvidconv" + (f" flip-method={flip}" if flip else "")
    if layout == "bgr":
        return f"{leave} ! video/x-raw,format=BGRx ! {last}"
    return f"{leave} ! video/x-raw,format=NV12"
