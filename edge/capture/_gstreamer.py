"""Texts of GStreamer pipelines, for an OpenCV built with GStreamer as on JetPack."""

from __future__ import annotations

import functools
import subprocess

from edge.capture import _opencv
from edge.capture._gstreamer_calls import SINK_NAME
from edge.errors import UnavailableError

# Gives the newest frame at once; with sync, a frame would wait for its time stamp.
SINK = "appsink drop=true max-buffers=1 sync=false"
JITTER_MS = 100  # rtspsrc waits this long for packets out of order; its default is 2000


@functools.lru_cache(maxsize=None)
def has_element(name: str) -> bool:
    """Whether GStreamer has an element; False if its tools are not installed."""
    command = ["gst-inspect-1.0", "--exists", name]
    try:
        return subprocess.run(command, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def need(shown: str, element: str, package: str) -> None:
    """Check that OpenCV and GStreamer can run a pipeline with this element.

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
    """Check that GStreamer has an element.

    Raises:
        UnavailableError: it is missing; names the package to install.
    """
    if not has_element(element):
        raise UnavailableError(
            f"{shown}: GStreamer has no element {element!r} (gst-inspect-1.0 {element}): on a "
            f"Jetson install {package}; other machines do not have it"
        )


def quoted(text: str) -> str:
    """Quote a text as the value of a property."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def rtsp(url: str, transport: str, timeout_s: float, hardware: bool, layout: str) -> str:
    """The pipeline for the video of an RTSP stream of any codec.

    Args:
        url: with user and password, so never log the result.
        transport: tcp or udp.
        timeout_s: limit to connect, and between two packets.
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
    """The pipeline for a camera on the Jetson board, with frames in the CPU's memory.

    Args:
        sensor: number of the camera.
        width: px, of a mode of the sensor or one that Argus scales to.
        height: px.
        rate_hz: frames per second.
        flip: nvvidconv's flip-method, 0..7.
        layout: bgr or nv12.
    """
    return " ! ".join((_argus(sensor, width, height, rate_hz), convert(layout, True, flip), SINK))


def csi_in_place(
    sensor: int, width: int, height: int, rate_hz: int, flip: int, buffers: int
) -> str:
    """The pipeline for the same camera, with frames left in NVMM memory.

    The format is YUYV, because the GPU takes a surface of one plane only.

    Args:
        sensor: number of the camera.
        width: px, before the flip.
        height: px, before the flip.
        rate_hz: frames per second.
        flip: nvvidconv's flip-method, 0..7.
        buffers: how many surfaces the camera and the loop use together.
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
    """The stages from the output of a decoder or camera to BGR or NV12.

    nvvidconv copies out of NVMM memory but cannot write three-byte pixels, so BGR needs a second
    conversion by the CPU.
    """
    last = "videoconvert ! video/x-raw,format=" + ("BGR" if layout == "bgr" else "NV12")
    if not hardware:
        return last
    leave = "nvvidconv" + (f" flip-method={flip}" if flip else "")
    if layout == "bgr":
        return f"{leave} ! video/x-raw,format=BGRx ! {last}"
    return f"{leave} ! video/x-raw,format=NV12"
