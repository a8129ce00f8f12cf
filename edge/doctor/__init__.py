"""`edge doctor`: check this machine and a configuration; name every problem and its fix.

It changes nothing. It opens the configured cameras for a moment and connects once to the configured
brokers, with another client identifier than the service's.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Callable, List, Optional

from edge import __version__
from edge.doctor import broker, cameras, heat, machine, models, permissions, sensors, service
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
) -> int:
    """Print all findings.

    Args:
        path: the configuration whose models, cameras and brokers are checked; None = the installed
            one if there is one, else the defaults.
        as_json: print one JSON object instead of lines.
        look: gives the findings; None = `examine`.

    Returns:
        The exit code: 0, or 69 if a finding says that the program cannot do its job.
    """
    findings = (look or examine)(path or (INSTALLED if INSTALLED.exists() else None))
    if as_json:
        out = {"version": __version__, "findings": [asdict(f) for f in findings]}
        stdout.write(json.dumps(out, indent=2) + "\n")
    else:
        stdout.write("".join(map(_line, findings)))
    return UnavailableError.exit_code if any(f.state == FAIL for f in findings) else 0


def _line(finding: Finding) -> str:
    fix = f"\n       -> {finding.fix}" if finding.fix and finding.state != OK else ""
    return f"{finding.state:>5}  {finding.what}: {finding.found}{fix}\n"


def examine(path: Optional[Path]) -> List[Finding]:
    """All findings: first about the machine, then about the configured parts."""
    found = [f for check in MACHINE for f in check()]
    try:
        settings = config.load(path) if path else config.complete(Config())
    except EdgeError as error:
        fix = f"correct it: `edge check {path}`"
        return [*found, Finding("configuration", FAIL, str(error), fix)]
    found.append(Finding("configuration", OK, str(path or "defaults")))
    return found + [f for check in CONFIGURED for f in check(settings)]
