"""`edge doctor`: check this machine and a configuration; name every problem and its fix.

It changes nothing. It opens the configured cameras for a moment and connects once to the configured
brokers, with another client identifier than the service's.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from edge import __version__
from edge.doctor import (
    broker,
    cameras,
    heat,
    machine,
    models,
    permissions,
    report,
    sensors,
    service,
)
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.errors import EdgeError, UnavailableError
from edge.service import stdout
from edge.settings import config
from edge.settings.config import Config

__all__ = ["FAIL", "OK", "WARN", "Finding", "doctor", "examine"]

INSTALLED = Path("/etc/edge/edge.toml")  # as the package and systemd/edge.service have it
MACHINE: List[Callable[[], List[Finding]]] = [
    machine.machine,
    machine.libraries,
    machine.accelerator,
    machine.kernels,
    machine.cameras,
    service.clock,
    service.unit,
]
CONFIGURED: List[Callable[[Config], List[Finding]]] = [
    models.models,
    service.disk,
    heat.heat,
    permissions.secrets,
    cameras.cameras,
    sensors.sensors,
    broker.brokers,
]


def doctor(
    path: Optional[Path],
    as_json: bool,
    look: Optional[Callable[[Optional[Path]], List[Finding]]] = None,
    report_file: Optional[Path] = None,
) -> int:
    """Print all findings.

    Args:
        path: the configuration whose models, cameras and brokers are checked; None = the installed
            one if there is one, else the defaults.
        as_json: print one JSON object instead of lines.
        look: gives the findings; None = `examine`.
        report_file: gets the findings, versions and times as JSON, to be sent to somebody.

    Returns:
        The exit code: 0, or 69 if a finding says that the program cannot do its job.
    """
    path = path or (INSTALLED if INSTALLED.exists() else None)
    seconds: Dict[str, float] = {}
    findings = look(path) if look else examine(path, seconds)
    if report_file is not None:
        report.write(report_file, findings, seconds)
    if as_json:
        out = {"version": __version__, "findings": [asdict(f) for f in findings]}
        stdout.write(json.dumps(out, indent=2) + "\n")
    else:
        stdout.write("".join(map(_line, findings)))
    return UnavailableError.exit_code if any(f.state == FAIL for f in findings) else 0


def _line(finding: Finding) -> str:
    fix = f"\n       -> {finding.fix}" if finding.fix and finding.state != OK else ""
    return f"{finding.state:>5}  {finding.what}: {finding.found}{fix}\n"


def examine(path: Optional[Path], seconds: Optional[Dict[str, float]] = None) -> List[Finding]:
    """All findings: first about the machine, then about the configured parts.

    Args:
        path: the configuration; None = the defaults.
        seconds: gets the time of each check, by its name.
    """
    took_s = {} if seconds is None else seconds
    found = [f for check in MACHINE for f in _timed(check, took_s)]
    try:
        settings = config.load(path) if path else config.complete(Config())
    except EdgeError as error:
        fix = f"correct it: `edge check {path}`"
        return [*found, Finding("configuration", FAIL, str(error), fix)]
    found.append(Finding("configuration", OK, str(path or "defaults")))
    return found + [f for check in CONFIGURED for f in _timed(check, took_s, settings)]


def _timed(
    check: Callable[..., List[Finding]], took_s: Dict[str, float], *given: Any
) -> List[Finding]:
    begun_s = time.monotonic()
    found = check(*given)
    took_s[f"{check.__module__.rpartition('.')[2]}.{check.__name__}"] = time.monotonic() - begun_s
    return found
