"""The clock, the disk and the systemd unit."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.durable import find_state_dir
from edge.publish._clock import clock_quality
from edge.settings.config import Config

STATE = Path("/var/lib/edge/state")
SPARE_MB = 200  # free besides the outbox and the recordings
ERROR_MS = 1000.0


def clock() -> List[Finding]:
    """Whether UTC times in messages are right, as far as the kernel knows."""
    quality = clock_quality()
    fix = "timedatectl set-ntp true, or apt install chrony; check that the time server is reachable"
    if quality["source"] == "none":
        return [Finding("clock", WARN, "not synchronised; UTC times may be wrong", fix)]
    error_ms = quality["error_ms"]
    state = OK if error_ms is None or error_ms <= ERROR_MS else WARN
    return [Finding("clock", state, f"synchronised, off by at most {error_ms} ms", fix)]


def disk(settings: Config) -> List[Finding]:
    """Whether the state directory can hold the outbox and the recordings."""
    folder = find_state_dir(settings.state.dir) or (STATE if STATE.is_dir() else Path.cwd())
    if not folder.is_dir():
        return [Finding("disk", FAIL, f"{folder}: no such folder", f"mkdir -p {folder}")]
    if os.statvfs(str(folder)).f_flag & os.ST_RDONLY:
        return [
            Finding(
                "disk",
                FAIL,
                f"{folder} is mounted read-only",
                "journalctl -k shows why; replace a worn-out card",
            )
        ]
    free_mb = shutil.disk_usage(str(folder)).free >> 20
    wanted_mb = SPARE_MB + settings.outbox.max_mb + settings.record.max_mb
    state = OK if free_mb >= wanted_mb else WARN
    fix = f"make room: {wanted_mb} MB are needed; journalctl --vacuum-size=100M"
    return [Finding("disk", state, f"{free_mb} MB free at {folder}", fix)]


def unit() -> List[Finding]:
    """The state of edge.service, where it is installed."""
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
        return []
    names = ("LoadState", "ActiveState", "SubState", "NRestarts", "StatusText")
    done = subprocess.run(
        ["systemctl", "show", "edge.service", *(f"--property={n}" for n in names)],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    return judge_unit(dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line))


def judge_unit(properties: Dict[str, str]) -> List[Finding]:
    """The finding for the properties that `systemctl show` prints."""
    if properties.get("LoadState") != "loaded":
        return []
    state, restarts = properties.get("ActiveState", ""), int(properties.get("NRestarts") or 0)
    found = f"{state} ({properties.get('SubState', '')}), {restarts} restarts"
    found += f": {properties['StatusText']}" if properties.get("StatusText") else ""
    fix = "journalctl -u edge -n 50 shows why"
    good = state in ("active", "reloading")
    return [Finding("service", OK if good and not restarts else WARN, found, fix)]
