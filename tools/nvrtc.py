"""Compile CUDA source to a cubin with NVIDIA's NVRTC through ctypes; no GPU is needed.

A release uses the oldest NVRTC that supports an architecture, because a driver runs cubins of its
own toolkit and of older ones: 11.8 for all up to Hopper (JetPack 5 has CUDA 11.4, whose driver
accepts 11.x), 13.0 for Thor. On x86-64 both are installed from wheels; on a board, its own library
is used.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, DataError, UnavailableError
from tools.fetch.archives import read_members
from tools.fetch.cache import cache_folder, cached_archive
from tools.fetch.files import locked
from tools.fetch.sources import Archive

_LIB = "nvidia/cuda_nvrtc/lib/"
# Version -> the wheel, its library, and that library's built-in header.
_WHEELS: Dict[str, Tuple[Archive, str, str]] = {
    "11.8": (
        Archive(
            "pypi",
            "nvidia-cuda-nvrtc-cu11",
            "11.8.89",
            "py3-none-manylinux2014_x86_64",
            "a8d02f3cba345be56b1ffc3e74d8f61f02bb758dd31b0f20e12277a5a244f756",
            23173745,
        ),
        f"{_LIB}libnvrtc.so.11.2",
        f"{_LIB}libnvrtc-builtins.so.11.8",
    ),
    "12.9": (
        Archive(
            "pypi",
            "nvidia-cuda-nvrtc-cu12",
            "12.9.86",
            "py3-none-manylinux_2_12_x86_64",
            "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4",
            89568129,
        ),
        f"{_LIB}libnvrtc.so.12",
        f"{_LIB}libnvrtc-builtins.so.12.9",
    ),
    "13.0": (
        Archive(
            "pypi",
            "nvidia-cuda-nvrtc",
            "13.0.88",
            "py3-none-manylinux_2_12_x86_64",
            "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
            90215200,
        ),
        "nvidia/cu13/lib/libnvrtc.so.13",
        "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
    ),
}
VERSIONS = tuple(_WHEELS)
_BOARD = ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/aarch64-linux/lib")


class Nvrtc:
    """A loaded compiler.

    Raises:
        UnavailableError: the library cannot be loaded.
    """

    def __init__(self, path: str, builtins: str = "") -> None:
        try:
            # The library opens its built-in header by name, and finds it if it is loaded.
            self._builtins = ctypes.CDLL(builtins) if builtins else None
            self._lib = ctypes.CDLL(path)
            self._lib.nvrtcGetErrorString.restype = ctypes.c_char_p
        except (OSError, AttributeError) as error:
            raise UnavailableError(f"{path}: is not an NVRTC library: {error}") from error
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check(self._lib.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)), "its version")
        self.version = f"{major.value}.{minor.value}"

    def arches(self) -> List[int]:
        """Supported architectures, such as 87."""
        count = ctypes.c_int()
        self._check(self._lib.nvrtcGetNumSupportedArchs(ctypes.byref(count)), "its list")
        found = (ctypes.c_int * count.value)()
        self._check(self._lib.nvrtcGetSupportedArchs(found), "its list")
        return list(found)

    def compile(self, arch: int, sources: Mapping[str, str], name: str = "edge") -> bytes:
        """Compile all .cu files together into a cubin.

        Args:
            arch: architecture, such as 87.
            sources: .cu files and headers by name.
            name: name of the program, for messages.

        Raises:
            ConfigError: the architecture is not supported. DataError: the source has errors.
        """
        if arch not in self.arches():
            known = ", ".join(map(str, self.arches()))
            raise ConfigError(
                f"NVRTC {self.version} does not support sm_{arch}; supported: {known}"
            )
        whole = "".join(f'#include "{s}"\n' for s in sources if s.endswith(".cu"))
        program = self._program(name, whole, sources)
        try:
            options = [f"--gpu-architecture=sm_{arch}".encode(), b"--std=c++14"]
            code = self._lib.nvrtcCompileProgram(
                program, len(options), (ctypes.c_char_p * len(options))(*options)
            )
            if code:
                raise DataError(f"{name}: NVRTC {self.version}, sm_{arch}: {self._log(program)}")
            return self._bytes(program, "CUBIN")
        finally:
            self._lib.nvrtcDestroyProgram(ctypes.byref(program))

    def _program(self, name: str, whole: str, headers: Mapping[str, str]) -> ctypes.c_void_p:
        program, count = ctypes.c_void_p(), len(headers)
        texts = (ctypes.c_char_p * count)(*(t.encode() for t in headers.values()))
        names = (ctypes.c_char_p * count)(*(n.encode() for n in headers))
        create = self._lib.nvrtcCreateProgram
        whole_name = f"{name}.cu".encode()
        code = create(ctypes.byref(program), whole.encode(), whole_name, count, texts, names)
        self._check(code, "a program")
        return program

    def _log(self, program: ctypes.c_void_p) -> str:
        text = self._bytes(program, "ProgramLog").decode(errors="replace").strip("\0 \n")
        return next((line for line in text.split("\n") if "error" in line), text[:300])

    def _bytes(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(getattr(self._lib, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), what)
        data = ctypes.create_string_buffer(size.value)
        self._check(getattr(self._lib, f"nvrtcGet{what}")(program, data), what)
        return data.raw

    def _check(self, code: int, what: str) -> None:
        if code:
            said = self._lib.nvrtcGetErrorString(code).decode()
            raise UnavailableError(f"NVRTC does not give {what}: {said}")


def open_nvrtc(version: str, library: Optional[Path] = None, quiet: bool = False) -> Nvrtc:
    """The compiler of a version: from a wheel if possible, else the board's own.

    Args:
        version: one of VERSIONS.
        library: a library file to use instead.
        quiet: no progress.

    Raises:
        UnavailableError: no compiler was found.
    """
    if library is not None:
        return Nvrtc(str(library))
    if platform.machine() == "x86_64":
        folder = _unpacked(version, quiet)
        main, builtins = (str(folder / Path(member).name) for member in _WHEELS[version][1:])
        return Nvrtc(main, builtins)
    return Nvrtc(_board_library())


def _unpacked(version: str, quiet: bool) -> Path:
    """The cache folder with the library of a wheel and its built-in header."""
    archive, library, builtins = _WHEELS[version]
    folder = cache_folder() / f"nvrtc-{archive.version}"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        if not (folder / Path(library).name).is_file():
            members = read_members(cached_archive(archive, quiet=quiet), (library, builtins))
            for member in (
                builtins,
                library,
            ):  # the library last: its presence means that both are complete
                write_whole(folder / Path(member).name, members[member], READABLE)
    return folder


def _board_library() -> str:
    found = [str(p) for d in _BOARD for p in sorted(Path(d).glob("libnvrtc.so*"))]
    path = found[0] if found else ctypes.util.find_library("nvrtc")
    if path is None:
        raise UnavailableError(
            "NVRTC is not installed; apt install cuda-nvrtc, or name its file with --nvrtc"
        )
    return path
