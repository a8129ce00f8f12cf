"""Whether the machine is throttled, and where its figures come from."""

from __future__ import annotations

from pathlib import Path
from typing import List

from edge.doctor.finding import OK, WARN, Finding
from edge.settings.config import Config
from edge.telemetry.reader import Telemetry
from edge.telemetry.sysfs import Reading

FIX = (
    "cool it (fan, dust, sun); for over-current use a stronger power supply or a smaller power "
    "mode (`nvpmodel -m`)"
)


def heat(settings: Config, root: Path = Path("/")) -> List[Finding]:
    """Read the machine once, as the service does."""
    telemetry = Telemetry(settings.telemetry, root)
    try:
        reading = telemetry.read()
    finally:
        telemetry.close()
    findings = [Finding("heat", WARN if reading.throttled else OK, _line(reading), FIX)]
    if settings.telemetry.source == "jtop" != reading.telemetry:
        fix = 'pip install jetson-stats, systemctl status jtop; or telemetry.source = "auto"'
        findings.append(Finding("jtop", WARN, "does not answer", fix))
    return findings


def _line(reading: Reading) -> str:
    """The hottest sensor, the power, the power mode, and what throttles the machine."""
    parts = []
    if reading.temperatures_c:
        name, hottest = max(reading.temperatures_c.items(), key=lambda item: item[1])
        parts.append(f"{hottest:.0f} C at {name}")
    if reading.power_mw:
        parts.append(f"{reading.power_mw['total'] / 1000:.1f} W")
    if reading.power_mode:
        parts.append(f"power mode {reading.power_mode}")
    parts += [f"throttled: {name}" for name in reading.throttled]
    source = "jetson-stats" if reading.telemetry == "jtop" else "the kernel's files"
    return (", ".join(parts) or "no figures on this machine") + f" ({source})"
