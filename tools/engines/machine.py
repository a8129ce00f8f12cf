"""GPU, driver, TensorRT and JetPack of this machine, found without importing TensorRT.

Without a driver, the runtime of TensorRT 8.6 and the lean runtime end the process with SIGSEGV. So
the driver is asked first, through its C interface.
"""

from __future__ import annotations

import ctypes
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from edge.errors import UnavailableError

DRIVER = "libcuda.so.1"
LOADABLE = (  # one library of each group must load
    ("libcublas.so.11", "libcublas.so.12", "libcublas.so.13"),
    ("libcudnn.so.8", "libcudnn.so.9"),
)
# CUdevice_attribute numbers of cuda.h; the driver's interface has kept them since CUDA 2.
MAJOR, MINOR, INTEGRATED = 75, 76, 18
# L4T release -> JetPack, as jetson-stats 7.2.2 has it.
JETPACK = {
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5.0": "5.1.3",
    "35.6.0": "5.1.4",
    "35.6.1": "5.1.5",
    "35.6.2": "5.1.5",
    "35.6.3": "5.1.5",
    "35.6.4": "5.1.6",
    "35.6.5": "5.1.7",
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5.0": "6.2.2",
    "36.5.2": "6.2.3",
    "38.2.0": "7.0",
    "38.4.0": "7.1",
    "39.2.0": "7.2",
    "39.2.2": "7.2.2",
}
TEGRA_RELEASE = Path("/etc/nv_tegra_release")
BOARD = Path("/proc/device-tree/model")


@dataclass(frozen=True)
class Gpu:
    """The first GPU of this machine."""

    name: str
    compute_capability: str  # "8.7"
    driver_cuda: str  # newest CUDA the driver knows
    integrated: bool  # shares the board's memory, as on a Jetson


@dataclass(frozen=True)
class Machine:
    """What an engine depends on, and the name of the board.

    Attributes:
        gpu: None if there is none.
        no_gpu: why there is no GPU.
        l4t: L4T release, such as 36.4.3; empty if this is not a Jetson.
        jetpack: JetPack of this release; empty if not known.
        board: model of the board, or the processor.
    """

    gpu: Optional[Gpu]
    no_gpu: str
    l4t: str
    jetpack: str
    board: str

    def as_json(self) -> Dict[str, Any]:
        """Values for a build record."""
        gpu = vars(self.gpu) if self.gpu else {"name": None, "compute_capability": None}
        board = {"l4t": self.l4t, "jetpack": self.jetpack, "board": self.board}
        return {"gpu": dict(gpu), **board, "python": platform.python_version()}


def read_machine(load: Callable[[str], Any] = ctypes.CDLL) -> Machine:
    """Read the facts of this machine.

    Args:
        load: opens a shared library.
    """
    gpu, why = None, ""
    try:
        gpu = read_gpu(load)
    except UnavailableError as error:
        why = str(error)
    l4t = read_l4t(TEGRA_RELEASE)
    board = (
        BOARD.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
        if BOARD.is_file()
        else ""
    )
    return Machine(gpu, why, l4t, JETPACK.get(l4t, ""), board or platform.machine())


def read_gpu(load: Callable[[str], Any] = ctypes.CDLL) -> Gpu:
    """Ask the driver for the first GPU.

    Raises:
        UnavailableError: there is no driver, or it has no device.
    """
    try:
        driver = load(DRIVER)
    except OSError:
        raise UnavailableError(
            f"no NVIDIA driver ({DRIVER}): build on the machine that will run the engine; "
            "--dry-run shows the plan"
        ) from None
    _call(driver.cuInit, 0)
    count, device = ctypes.c_int(), ctypes.c_int()
    _call(driver.cuDeviceGetCount, ctypes.byref(count))
    if count.value < 1:
        raise UnavailableError("the NVIDIA driver finds no GPU; --dry-run shows the plan")
    _call(driver.cuDeviceGet, ctypes.byref(device), 0)
    name, newest = ctypes.create_string_buffer(256), ctypes.c_int()
    _call(driver.cuDeviceGetName, name, 256, device)
    _call(driver.cuDriverGetVersion, ctypes.byref(newest))
    major, minor, integrated = (_attribute(driver, a, device) for a in (MAJOR, MINOR, INTEGRATED))
    cuda = f"{newest.value // 1000}.{newest.value % 1000 // 10}"
    return Gpu(name.value.decode(errors="replace"), f"{major}.{minor}", cuda, bool(integrated))


def _attribute(driver: Any, which: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _call(driver.cuDeviceGetAttribute, ctypes.byref(value), which, device)
    return value.value


def _call(function: Any, *arguments: Any) -> None:
    code = function(*arguments)
    if code != 0:
        name = getattr(function, "__name__", "CUDA")
        raise UnavailableError(
            f"{name} of the NVIDIA driver returns error {code}: no usable GPU; "
            "--dry-run shows the plan"
        )


def read_l4t(path: Path) -> str:
    """L4T release, `36.4.3`, from a line such as `# R36 (release), REVISION: 4.3, ...`.

    Empty if the file does not exist: this is not a Jetson.
    """
    if not path.is_file():
        return ""
    found = re.search(
        r"R(\d+).*REVISION: ([\d.]+)", path.read_text(encoding="utf-8", errors="replace")
    )
    return f"{found.group(1)}.{found.group(2)}" if found else ""


def has_libraries(load: Callable[[str], Any] = ctypes.CDLL) -> bool:
    """Whether cuBLAS and cuDNN can be loaded; some TensorRT kernels come from them."""
    return all(any(_loads(load, name) for name in group) for group in LOADABLE)


def _loads(load: Callable[[str], Any], name: str) -> bool:
    try:
        load(name)
    except OSError:
        return False
    return True
