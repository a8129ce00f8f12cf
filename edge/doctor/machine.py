"""The machine: board, Python, libraries, GPU, cameras."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import platform
import re
import sys
from pathlib import Path
from typing import List, Optional

from edge.capture._csi import nvmm
from edge.capture._v4l2 import abilities
from edge.capture._v4l2.calls import Io
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.errors import UnavailableError
from edge.runtime.kernels import cubins


def machine() -> List[Finding]:
    """Board, memory, Python."""
    release = Path("/etc/nv_tegra_release")
    board = Path("/proc/device-tree/model")
    name = platform.machine()
    if board.is_file():
        name = board.read_text(encoding="utf-8", errors="replace").strip("\0 ")
    l4t = ""
    if release.is_file():
        numbers = re.search(
            r"R(\d+).*REVISION: ([\d.]+)", release.read_text(encoding="utf-8", errors="replace")
        )
        l4t = f", L4T {numbers.group(1)}.{numbers.group(2)}" if numbers else ""
    python = platform.python_version()
    state = OK if sys.version_info >= (3, 8) else FAIL
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        Finding("machine", OK, f"{name}{l4t}, {os.cpu_count()} cores, {memory_gb:.0f} GiB"),
        Finding("python", state, python, "use Python 3.8 or newer"),
    ]


def libraries() -> List[Finding]:
    """Libraries: those that are always needed, and those for some configurations."""
    wanted = [
        ("numpy", FAIL, "pip install numpy"),
        ("cv2", FAIL, "pip install opencv-python-headless (JetPack brings its own)"),
        ("onnxruntime", WARN, "pip install onnxruntime: needed to run networks on the CPU"),
        ("paho.mqtt", WARN, "pip install paho-mqtt: needed for mqtt:// sinks"),
        ("cbor2", WARN, "pip install cbor2: needed for publish.codec = cbor"),
        ("cryptography", WARN, "pip install cryptography: needed for keys and certificates"),
        ("tomlkit", WARN, "pip install tomlkit: needed for edge provision"),
    ]
    return [_library(name, missing, fix) for name, missing, fix in wanted]


def _library(name: str, missing: str, fix: str) -> Finding:
    """Whether a library is installed. Importing it could take seconds, or crash (TensorRT)."""
    top = name.split(".")[0]
    if importlib.util.find_spec(top) is None:
        return Finding(name, missing, "is not installed", fix)
    return Finding(name, OK, "installed")


def accelerator() -> List[Finding]:
    """The GPU's driver, and TensorRT."""
    driver = ctypes.util.find_library("cuda")
    tensorrt = importlib.util.find_spec("tensorrt") is not None
    if driver is None:
        return [
            Finding(
                "gpu",
                WARN,
                "no NVIDIA driver; networks run on the CPU",
                "normal on a laptop; on a Jetson flash JetPack",
            )
        ]
    fix = (
        "on a Jetson: apt install python3-libnvinfer, and make the venv with --system-site-packages"
    )
    return [
        Finding("gpu", OK, f"NVIDIA driver {driver}"),
        Finding(
            "tensorrt",
            OK if tensorrt else WARN,
            "installed" if tensorrt else "is not installed",
            fix,
        ),
    ]


def kernels() -> List[Finding]:
    """How people are cut out of frames, and which memory frames are in."""
    if ctypes.util.find_library("cuda") is None:
        return [Finding("frame memory", OK, "plain memory; OpenCV makes the crops")]
    made = ", ".join(f"sm_{arch}" for arch in cubins.there())
    locked = all(importlib.util.find_spec(name) for name in ("tensorrt", "pycuda"))
    memory = "page-locked, read by the GPU in place" if locked else "plain memory"
    return [
        Finding(
            "kernels",
            OK if made else WARN,
            made or "none; OpenCV makes the crops",
            "run `edge-tools kernels`",
        ),
        Finding(
            "frame memory",
            OK if locked else WARN,
            memory,
            "pip install pycuda, and install TensorRT",
        ),
        *_board_cameras(locked),
    ]


def _board_cameras(locked: bool) -> List[Finding]:
    """How frames of csi:// cameras reach the GPU, on a board that has such cameras."""
    try:
        nvmm.library()
    except UnavailableError:
        return []
    memory = "dmabuf if the GPU takes it, else one copy" if locked else "one copy"
    return [Finding("csi memory", OK, memory)]


def cameras() -> List[Finding]:
    """Every /dev/video*, configured or not."""
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        return [
            Finding(
                "cameras",
                WARN,
                "no /dev/video*",
                "plug one in, or use rtsp://, file:// or synthetic://",
            )
        ]
    closed = [str(d) for d in devices if not os.access(d, os.R_OK | os.W_OK)]
    if closed:
        return [
            Finding(
                "cameras",
                WARN,
                f"no permission: {', '.join(closed)}",
                "add the user to the group video, then log in again",
            )
        ]
    return [camera(str(d)) for d in devices]


def camera(device: str, io: Optional[Io] = None) -> Finding:
    """How frames of a camera come into the loop."""
    try:
        return Finding(f"camera {device}", OK, abilities.frame_memory(device, io or Io()))
    except OSError as error:
        return Finding(
            f"camera {device}",
            WARN,
            f"does not answer: {error.strerror or error}",
            "unplug it, then plug it in again",
        )
