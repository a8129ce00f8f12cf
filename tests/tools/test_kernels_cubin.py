"""The CUDA kernels compile for every board, by NVIDIA's own compilers, without a GPU."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any, List

import pytest

from edge.errors import ConfigError, DataError, UnavailableError
from edge.runtime.kernels import cubins
from tools import kernels
from tools.__main__ import main
from tools.benches.peer import environment
from tools.nvrtc import Nvrtc, open_nvrtc

PACKAGES = [f"nvidia-{n}==13.0.88" for n in ("cuda-nvcc", "cuda-crt", "cuda-runtime", "nvvm")]


def arch_of(cubin: bytes) -> int:
    """What the ELF header says: in e_flags, in the second byte since CUDA 13's ABI."""
    flags, abi = struct.unpack_from("<I", cubin, 48)[0], cubin[8]
    return int(flags >> 8 & 0xFF if abi >= 8 else flags & 0xFF)


def test_the_command_makes_every_boards_cubin(tmp_path: Path, capsys: Any) -> None:
    stale = tmp_path / "edge-000000000000.sm_87.cubin"
    stale.write_bytes(b"old")
    assert main(["kernels", "--out", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["arch"], r["nvrtc"]) for r in rows] == [
        (72, "11.8"),
        (87, "11.8"),
        (90, "11.8"),
        (110, "13.0"),
    ]
    assert not stale.exists()
    assert cubins.there(tmp_path) == [72, 87, 90, 110]
    for arch in cubins.ARCHES:
        cubin = cubins.fitting((arch // 10, arch % 10), tmp_path)
        assert arch_of(cubin) == arch
        kernels.check(cubin, arch)


@pytest.mark.parametrize("arch", [72, 87, 90])
def test_the_compiler_of_jetpack_6_takes_them_too(arch: int) -> None:
    nvrtc = open_nvrtc("12.9", quiet=True)
    cubin = nvrtc.compile(arch, cubins.sources())
    assert arch_of(cubin) == arch
    kernels.check(cubin, arch)


@pytest.fixture(scope="module")
def nvcc() -> str:
    """NVIDIA's compiler from its wheels, whatever the machine has."""
    python = environment("nvcc", PACKAGES)
    (found,) = python.parents[1].glob("lib/python*/site-packages/nvidia/cu13/bin/nvcc")
    return str(found)


@pytest.mark.parametrize("arch", [87, 90, 110])
def test_nvcc_takes_them_without_a_warning(nvcc: str, arch: int, tmp_path: Path) -> None:
    source = tmp_path / "all.cu"
    source.write_text('#include "crop.cu"\n#include "decode.cu"\n', encoding="utf-8")
    made = tmp_path / "made.cubin"
    done = subprocess.run(
        [
            nvcc,
            f"-arch=sm_{arch}",
            "-cubin",
            "-Werror",
            "all-warnings",
            f"-I{cubins.HERE}",
            "-o",
            str(made),
            str(source),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    kernels.check(made.read_bytes(), arch)


def test_one_arch_only(tmp_path: Path, capsys: Any) -> None:
    assert main(["kernels", "--out", str(tmp_path), "--arch", "87"]) == 0
    assert "sm_87" in capsys.readouterr().out
    assert cubins.there(tmp_path) == [87]
    with pytest.raises(UnavailableError, match=r"sm_72 \(there are: sm_87\).*kernels --arch 72"):
        cubins.fitting((7, 2), tmp_path)


def test_a_changed_source_makes_cubins_stale(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / cubins.file_name(87)).write_bytes(b"x")
    assert cubins.there(tmp_path) == [87]
    for name, text in cubins.sources().items():
        (tmp_path / name).write_text(text + "// changed\n", encoding="utf-8")
    monkeypatch.setattr(cubins, "HERE", tmp_path)
    assert cubins.there(tmp_path) == []
    with pytest.raises(UnavailableError, match="there are: none"):
        cubins.fitting((8, 7), tmp_path)


@pytest.fixture(scope="module")
def nvrtc() -> Nvrtc:
    return open_nvrtc("11.8", quiet=True)


def test_mistakes_are_one_line(nvrtc: Nvrtc, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(ConfigError, match=r"NVRTC 11\.8 does not support sm_110; supported"):
        nvrtc.compile(110, cubins.sources())
    with pytest.raises(DataError, match=r"sm_87: crop\.cu\(2\): error: .*nonsense"):
        nvrtc.compile(87, {"crop.cu": "\nnonsense x;\n"})
    assert main(["kernels", "--out", str(tmp_path / "none")]) == 66
    wrong = tmp_path / "libnvrtc.so"
    wrong.write_bytes(b"x")
    assert main(["kernels", "--out", str(tmp_path), "--nvrtc", str(wrong)]) == 69
    lines: List[str] = capsys.readouterr().err.strip().split("\n")
    assert "no such folder" in lines[0]
    assert "is not an NVRTC library" in lines[1]
    assert len(lines) == 2


def test_a_board_that_knows_only_some(nvrtc: Nvrtc, tmp_path: Path, monkeypatch: Any) -> None:
    """The board's one compiler serves for what it knows, and says so where that is nothing."""
    monkeypatch.setattr(kernels, "open_nvrtc", lambda *_: nvrtc)
    made = kernels.build(None, tmp_path, None, True)
    assert [row["arch"] for row in made] == [72, 87, 90]
    monkeypatch.setattr(nvrtc, "arches", lambda: [35])
    with pytest.raises(ConfigError, match="supports none of"):
        kernels.build(None, tmp_path, None, True)


def test_what_is_no_cubin_is_refused(nvrtc: Nvrtc) -> None:
    cubin = nvrtc.compile(87, {"a.cu": 'extern "C" __global__ void crop() {}'})
    with pytest.raises(DataError, match="no kernel simcc_peaks"):
        kernels.check(cubin, 87)
    with pytest.raises(DataError, match="gave no cubin"):
        kernels.check(b"\x7fELF" + bytes(100), 87)
