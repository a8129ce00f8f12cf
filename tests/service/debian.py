"""This machine's architecture and Python, and commands in the source tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / "out/wheels-test"  # kept between runs
SYSTEM_PYTHON = "/usr/bin/python3"
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
OTHER = {"amd64": "arm64", "arm64": "amd64"}


def run(*command: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(c) for c in command],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )


def here() -> str:
    return DEBIAN[os.uname().machine]


def python_here() -> str:
    code = 'import sys; print("%d.%d" % sys.version_info[:2])'
    return run(SYSTEM_PYTHON, "-c", code).stdout.strip()
