"""`edge doctor`: what this machine and this configuration have and lack, and what to do about it.

It changes nothing. With a configuration it also tries what is configured: it opens cameras for a
moment and says hello to brokers, under another name than the service's.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Callable, List, Optional

from edge import __version__
from edge.doctor import broker, cameras, heat, machine, models, permissions, service
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.errors import EdgeError, UnavailableError
from edge.service.stdout import answer
from edge.settings import config
from edge.settings.config import Config

__all__ = ["FAIL", "OK", "WARN", "Finding", "doctor", "examine"]

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
    broker.brokers,
]


def doctor(path: Optional[Path], as_json: bool) -> int:
    """Look, print, and tell by the exit code whether the program could run.

    Args:
        path: a configuration whose models, cameras and brokers are tried; None = the defaults.
        as_json: print one JSON object instead of lines.

    Returns:
        0, or 69 when something needed is missing.
    """
    findings = examine(path)
    if as_json:
        out = {"version": __version__, "findings": [asdict(f) for f in findings]}
        answer(json.dumps(out, indent=2) + "\n")
    else:
        answer("".join(map(_line, findings)))
    return UnavailableError.exit_code if any(f.state == FAIL for f in findings) else 0


def _line(finding: Finding) -> str:
    fix = f"\n       -> {finding.fix}" if finding.fix and finding.state != OK else ""
    return f"{finding.state:>5}  {finding.what}: {finding.found}{fix}\n"


def examine(path: Optional[Path]) -> List[Finding]:
    """Every finding, in the order a person would look."""
    found = [f for look in MACHINE for f in look()]
    try:
        settings = config.load(path) if path else config.complete(Config())
    except EdgeError as error:
        fix = f"correct it: `edge check {path}`"
        return [*found, Finding("configuration", FAIL, str(error), fix)]
    found.append(Finding("configuration", OK, str(path or "defaults")))
    return found + [f for look in CONFIGURED for f in look(settings)]
