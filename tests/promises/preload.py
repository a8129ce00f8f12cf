"""Libraries for LD_PRELOAD, made from the C++ files of this folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def compiled(folder: Path, name: str) -> Path:
    """The library `folder`/NAME.so, made of tests/promises/NAME.cpp."""
    library = folder / f"{name}.so"
    command = ["g++", "-shared", "-fPIC", "-O1", str(HERE / f"{name}.cpp"), "-o", str(library)]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True)
    return library
