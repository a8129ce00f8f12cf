"""`edge doctor`: what this machine has and lacks, and what to do about it. Opens nothing."""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, List, Optional

from edge import __version__, config
from edge.assemble import models_dir, network_file
from edge.errors import EdgeError
from edge.recipe import load_recipe

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: str  # ok | warn | fail; fail = the program cannot do its job
    found: str
    fix: str = ""


def doctor(path: Optional[Path], as_json: bool) -> int:
    """Look, print, and tell by the exit code whether the program could run.

    Args:
        path: a configuration whose models and files are looked for; None = the defaults.
        as_json: print one JSON object instead of lines.

    Returns:
        0, or 69 when something needed is missing.
    """
    findings = examine(path)
    if as_json:
        out = {"version": __version__, "findings": [asdict(f) for f in findings]}
        sys.stdout.write(json.dumps(out, indent=2) + "\n")
    else:
        sys.stdout.writelines(_line(f) for f in findings)
    return 69 if any(f.state == FAIL for f in findings) else 0


def _line(finding: Finding) -> str:
    fix = f"\n       -> {finding.fix}" if finding.fix and finding.state != OK else ""
    return f"{finding.state:>5}  {finding.what}: {finding.found}{fix}\n"


def examine(path: Optional[Path]) -> List[Finding]:
    """Every finding, in the order a person would look."""
    checks: List[Callable[[], List[Finding]]] = [
        _machine, _libraries, _accelerator, _cameras, _disk, _clock,
    ]
    found = [f for check in checks for f in check()]
    return found + _configured(path)


def _machine() -> List[Finding]:
    release = Path("/etc/nv_tegra_release")
    board = Path("/proc/device-tree/model")
    name = platform.machine()
    if board.is_file():
        name = board.read_text(errors="replace").strip("\0 ")
    l4t = ""
    if release.is_file():
        numbers = re.search(r"R(\d+).*REVISION: ([\d.]+)", release.read_text(errors="replace"))
        l4t = f", L4T {numbers.group(1)}.{numbers.group(2)}" if numbers else ""
    python = platform.python_version()
    state = OK if sys.version_info >= (3, 8) else FAIL
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        Finding("machine", OK, f"{name}{l4t}, {os.cpu_count()} cores, {memory_gb:.0f} GiB"),
        Finding("python", state, python, "use Python 3.8 or newer"),
    ]


def _libraries() -> List[Finding]:
    wanted = [
        ("numpy", FAIL, "pip install numpy"),
        ("cv2", FAIL, "pip install opencv-python-headless (JetPack brings its own)"),
        ("onnxruntime", WARN, "pip install onnxruntime: networks run on the CPU with it"),
        ("paho.mqtt", WARN, "pip install paho-mqtt: needed for mqtt:// sinks"),
        ("cbor2", WARN, "pip install cbor2: needed for codec = cbor"),
    ]
    return [_library(name, missing, fix) for name, missing, fix in wanted]


def _library(name: str, missing: str, fix: str) -> Finding:
    """Whether it could be imported; importing would cost seconds and can crash (TensorRT)."""
    top = name.split(".")[0]
    if importlib.util.find_spec(top) is None:
        return Finding(name, missing, "is not installed", fix)
    return Finding(name, OK, "installed")


def _accelerator() -> List[Finding]:
    driver = ctypes.util.find_library("cuda")
    tensorrt = importlib.util.find_spec("tensorrt") is not None
    if driver is None:
        return [Finding("gpu", WARN, "no NVIDIA driver; ONNX Runtime serves on the CPU",
                        "expected on a laptop; on a Jetson flash JetPack")]
    fix = "on a Jetson: apt install python3-libnvinfer, and a venv with --system-site-packages"
    return [
        Finding("gpu", OK, f"NVIDIA driver {driver}"),
        Finding("tensorrt", OK if tensorrt else WARN,
                "installed" if tensorrt else "is not installed", fix),
    ]


def _cameras() -> List[Finding]:
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        return [Finding("cameras", WARN, "no /dev/video*",
                        "plug one in, or use rtsp://, file:// or synthetic://")]
    closed = [str(d) for d in devices if not os.access(d, os.R_OK | os.W_OK)]
    if closed:
        return [Finding("cameras", WARN, f"not allowed: {', '.join(closed)}",
                        "add the user to the group video and log in again")]
    return [Finding("cameras", OK, ", ".join(str(d) for d in devices))]


def _disk() -> List[Finding]:
    folder = next(p for p in (Path("/var/lib/edge"), Path.cwd()) if p.is_dir())
    free_gb = shutil.disk_usage(folder).free / 2**30
    state = OK if free_gb >= 1 else WARN
    return [Finding("disk", state, f"{free_gb:.1f} GiB free at {folder}", "make room: 1 GiB")]


def _clock() -> List[Finding]:
    marks = (Path("/run/systemd/timesync/synchronized"), Path("/run/chrony/chronyd.pid"))
    if any(m.exists() for m in marks):
        return [Finding("clock", OK, "kept by a time service")]
    return [Finding("clock", WARN, "no time service seen; UTC times may be off",
                    "apt install systemd-timesyncd or chrony")]


def _configured(path: Optional[Path]) -> List[Finding]:
    try:
        settings = config.load(path) if path else config.Config()
    except EdgeError as error:
        return [Finding("configuration", FAIL, str(error), f"correct it: `edge check {path}`")]
    found = [Finding("configuration", OK, str(path or "defaults"))]
    for name in (settings.detect.model, settings.pose.model):
        found += [_model(settings, name)] if name != "none" else []
    return found


def _model(settings: config.Config, name: str) -> Finding:
    try:
        folder = models_dir(settings) / name
        recipe = load_recipe(folder)
        for network in recipe.networks.values():
            network_file(folder, network, settings.runtime.precision)
    except EdgeError as error:
        return Finding(f"model {name}", FAIL, str(error), f"edge-tools get {name}")
    return Finding(f"model {name}", OK, str(folder))
