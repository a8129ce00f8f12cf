"""Finds the compiled kernels for a GPU.

Cubins are built by `edge-tools kernels`, ignored by git, and part of a release's package. They are
code and are not signed: they lie beside the daemon's own code, and an attacker who could change
them could change that, too. A file's name contains a hash of the sources, so that no outdated
cubin is loaded.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Dict, List, Tuple

from edge.errors import UnavailableError

HERE = Path(__file__).parent
SOURCES = ("crop.cu", "decode.cu", "portable.h")
KERNELS = ("crop", "simcc_peaks", "choose")
# Xavier, Orin, data-centre Hopper, Thor (named sm_101 before CUDA 13).
ARCHES = (72, 87, 90, 110)


def sources() -> Dict[str, str]:
    """The texts of the CUDA sources, by file name."""
    return {name: (HERE / name).read_text("utf-8") for name in SOURCES}


def file_name(arch: int) -> str:
    """The file name of the cubin that is made of the present sources."""
    text = "\0".join(sources().values())
    return f"edge-{hashlib.sha256(text.encode()).hexdigest()[:12]}.sm_{arch}.cubin"


def there(folder: Path = HERE) -> List[int]:
    """The architectures whose cubin is up to date, such as 87."""
    found = [int(p.stem.rpartition("_")[2]) for p in folder.glob("edge-*.sm_*.cubin")]
    return sorted(arch for arch in found if (folder / file_name(arch)).is_file())


def fitting(compute_capability: Tuple[int, int], folder: Path = HERE) -> bytes:
    """Read the cubin for a GPU.

    It must be compiled for exactly this architecture: Jetson boards do not run cubins of others of
    the same family (CUDA Compatibility guide: binary compatibility is for desktop GPUs).

    Raises:
        UnavailableError: there is no such cubin; the message names the command that makes it.
    """
    arch = compute_capability[0] * 10 + compute_capability[1]
    path = folder / file_name(arch)
    try:
        return path.read_bytes()
    except OSError as error:
        has = ", ".join(f"sm_{a}" for a in there(folder)) or "none"
        raise UnavailableError(
            f"no kernels for this GPU, sm_{arch} (there are: {has}); "
            f"`edge-tools kernels --arch {arch}` makes them"
        ) from error
