"""`edge-tools kernels`: compile the CUDA kernels for each board, without a GPU."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Dict, List, Optional

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, DataError, NoInputError
from edge.runtime.kernels import cubins
from tools.nvrtc import Nvrtc, open_nvrtc
from tools.progress import Progress

HELP = "compile the CUDA kernels for Xavier, Orin, Hopper and Thor; no GPU needed"
_NEWEST_OF_11 = 90  # the newest architecture of NVRTC 11.8, Hopper
_EM_CUDA = 190  # e_machine of NVIDIA's ELF files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    boards = " ".join(map(str, cubins.ARCHES))
    parser.add_argument("--arch", type=int, nargs="+", metavar="SM", help=f"default: {boards}")
    parser.add_argument(
        "--out",
        type=Path,
        default=cubins.HERE,
        help="folder for the cubins (default: in the package)",
    )
    parser.add_argument("--nvrtc", type=Path, metavar="FILE", help="the libnvrtc.so to use")
    parser.add_argument("--json", action="store_true", help="print JSON, show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Compile the kernels; outdated cubins in the folder are removed."""
    if not arguments.out.is_dir():
        raise NoInputError(f"{arguments.out}: no such folder")
    made = build(arguments.arch, arguments.out, arguments.nvrtc, arguments.json)
    if arguments.json:
        print(json.dumps(made, indent=1))
    else:
        for row in made:
            print(f"sm_{row['arch']}: {row['bytes']} bytes by NVRTC {row['nvrtc']}: {row['file']}")
    return 0


def build(
    arches: Optional[List[int]], folder: Path, library: Optional[Path] = None, quiet: bool = False
) -> List[Dict[str, object]]:
    """Write a cubin for each architecture, then remove cubins of other sources.

    Args:
        arches: numbers such as 87. None = all boards that the compiler of each board supports.
        folder: folder to write to.
        library: an NVRTC library to use for all.
        quiet: no progress.
    """
    wanted = list(arches or cubins.ARCHES)
    made: List[Dict[str, object]] = []
    loaded: Dict[str, Nvrtc] = {}
    with Progress("compiling kernels", len(wanted), "cubins", quiet) as bar:
        for arch in wanted:
            version = "11.8" if arch <= _NEWEST_OF_11 else "13.0"
            nvrtc = loaded.setdefault(version, open_nvrtc(version, library, quiet))
            if arches or arch in nvrtc.arches():
                made.append(_write(nvrtc, arch, folder))
            bar.update()
    if not made:
        raise ConfigError(f"this NVRTC supports none of {wanted}; name a supported one with --arch")
    for stale in set(folder.glob("edge-*.cubin")) - {
        folder / cubins.file_name(arch) for arch in cubins.there(folder)
    }:
        stale.unlink()
    return made


def _write(nvrtc: Nvrtc, arch: int, folder: Path) -> Dict[str, object]:
    cubin = nvrtc.compile(arch, cubins.sources())
    check(cubin, arch)
    path = folder / cubins.file_name(arch)
    write_whole(path, cubin, READABLE)
    return {"arch": arch, "bytes": len(cubin), "nvrtc": nvrtc.version, "file": str(path)}


def check(cubin: bytes, arch: int) -> None:
    """Refuse a file that is not a cubin with all our kernels.

    Raises:
        DataError: the file is wrong; the message says how.
    """
    if cubin[:4] != b"\x7fELF" or int.from_bytes(cubin[18:20], "little") != _EM_CUDA:
        raise DataError(f"sm_{arch}: the compiler gave no cubin")
    for name in cubins.KERNELS:
        if b"\0.text." + name.encode() + b"\0" not in cubin:
            raise DataError(f"sm_{arch}: the cubin has no kernel {name}")
