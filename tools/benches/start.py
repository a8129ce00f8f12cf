"""Time from the command to the first published frame, and the memory after it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Tuple

from edge.errors import InternalError
from tools.benches import Row, row
from tools.fetch.by_name import ensure_model, ensure_set


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Start the daemon on one camera several times."""
    for name in ("hybrid", "blazepose"):
        ensure_model(name, models)
    video = ensure_set("walker", sets) / "demo.mp4"
    found = [_once(models, video) for _ in range(max(3, rounds // 4))]
    return [
        row("start: command to first frame", [s for s, _ in found], "s"),
        row("start: memory after 60 frames", [m for _, m in found], "MB"),
    ]


def _once(models: Path, video: Path) -> Tuple[float, float]:
    command = [sys.executable, "-m", "edge", "run", "--source", f"file://{video}"]
    command += ["--models", str(models), "--max-frames", "60"]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
    )
    first_s, memory_mb = 0.0, 0.0
    assert process.stdout
    for line in process.stdout:
        message = json.loads(line)
        if message["topic"].endswith("/frame") and not first_s:
            first_s = time.perf_counter() - start
        if message["topic"].endswith("/metrics"):
            memory_mb = message["payload"]["memory_mb"]
    if process.wait() or not first_s:
        raise InternalError(
            "bench: the daemon published no frame; run `edge run` by hand to see why"
        )
    return first_s, memory_mb
