"""The GPU's half of the kernels on threads of the CPU: warps, blocks, shared memory and all."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Sequence

from tests.fakes.kernel_cpu import SOURCES, STRUCTURES

HEADER = Path(__file__).with_name("cuda_threads.h")
ENTRY = """extern "C" void run_{0}(const {1} *task, const unsigned *grid, const unsigned *block) {{
  run(grid, block, [=] {{ {0}(*task); }});
}}
"""


@functools.lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """Compiled once in a process."""
    text = f'#include "{HEADER}"\n#include "crop.cu"\n#include "decode.cu"\n'
    text += "".join(ENTRY.format(n, s.__name__) for n, s in STRUCTURES.items())
    command = ["g++", "-std=c++14", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-pthread"]
    with tempfile.TemporaryDirectory(prefix="edge-threads-") as name:
        source, made = Path(name) / "threads.cpp", Path(name) / "threads.so"
        source.write_text(text, encoding="utf-8")
        subprocess.run([*command, f"-I{SOURCES}", str(source), "-o", str(made)], check=True)
        return ctypes.CDLL(str(made))


def launch(name: str, task: Any, grid: Sequence[int], block: Sequence[int]) -> None:
    """Run a kernel as the GPU is told to."""
    shape = [(ctypes.c_uint * 3)(*s) for s in (grid, block)]
    getattr(library(), f"run_{name}")(ctypes.byref(task), *shape)
