"""The ground the service stands on: clock, disk, systemd."""

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
SPARE_MB = 200  # beside what the program itself may take
ERROR_MS = 1000.0


def clock() -> List[Finding]:
    """Whether UTC times in messages can be believed, as the kernel judges its own clock."""
    quality = clock_quality()
    fix = "timedatectl set-ntp true, or apt install chrony; check that the time server is reached"
    if quality["source"] == "none":
        return [Finding("clock", WARN, "not synchronised; UTC times may be off", fix)]
    error_ms = quality["error_ms"]
    state = OK if error_ms is None or error_ms <= ERROR_MS else WARN
    return [Finding("clock", state, f"synchronised, off by at most {error_ms} ms", fix)]


def disk(settings: Config) -> List[Finding]:
    """Room and rights where events wait."""
    folder = find_state_dir(settings.state.dir) or (STATE if STATE.is_dir() else Path.cwd())
    if not folder.is_dir():
        return [Finding("disk", FAIL, f"{folder}: no such folder", f"mkdir -p {folder}")]
    if os.statvfs(str(folder)).f_flag & os.ST_RDONLY:
        return [
            Finding(
                "disk",
                FAIL,
                f"{folder} is mounted read-only",
                "journalctl -k tells why; a worn-out card has to be replaced",
            )
        ]
    free_mb = shutil.disk_usage(str(folder)).free >> 20
    wanted_mb = SPARE_MB + settings.outbox.max_mb + settings.record.max_mb
    state = OK if free_mb >= wanted_mb else WARN
    fix = f"make room: {wanted_mb} MB are wanted; journalctl --vacuum-size=100M"
    return [Finding("disk", state, f"{free_mb} MB free at {folder}", fix)]


def unit() -> List[Finding]:
    """How systemd sees the service, where it is installed."""
    if not Path("/run/systemd/system").is_dir() or shutil.which("systemctl") is None:
        return []
    names = ("LoadState", "ActiveState", "SubState", "NRestarts", "StatusText")
    done = subprocess.run(
        ["systemctl", "show", "edge.service", *(f"--property={n}" for n in names)],
        capture_output=True,
        text=True,
        check=False,
    )
    return judge_unit(dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line))


def judge_unit(said: Dict[str, str]) -> List[Finding]:
    """From what `systemctl show` says."""
    if said.get("LoadState") != "loaded":
        return []
    state, restarts = said.get("ActiveState", ""), int(said.get("NRestarts") or 0)
    found = f"{state} ({said.get('SubState', '')}), {restarts} restarts"
    found += f": {said['StatusText']}" if said.get("StatusText") else ""
    fix = "journalctl -u edge -n 50 tells why"
    good = state in ("active", "reloading")
    return [Finding("service", OK if good and not restarts else WARN, found, fix)]
