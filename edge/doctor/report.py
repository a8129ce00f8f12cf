"""One file about a machine, to send to somebody: what `edge doctor` found, versions and times."""

from __future__ import annotations

import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List

from edge import __version__
from edge.doctor.finding import Finding
from edge.errors import ConfigError

RELEASES = {"system": Path("/etc/os-release"), "l4t": Path("/etc/nv_tegra_release")}


def write(path: Path, findings: List[Finding], seconds: Dict[str, float]) -> None:
    """Write the report as JSON.

    Findings have addresses without user and password, and name files of keys, not their content.

    Args:
        path: the file; an existing one is replaced.
        findings: as they are printed.
        seconds: how long each check took, by its name.

    Raises:
        ConfigError: the file cannot be written.
    """
    report = {
        "version": __version__,
        "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"platform": platform.platform(), "python": sys.version.split()[0], **_named()},
        "packages": _packages(),
        "findings": [asdict(finding) for finding in findings],
        "seconds": {name: round(took_s, 3) for name, took_s in seconds.items()},
    }
    try:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--report {path}: {error.strerror}; name a file in a folder of yours"
        ) from None


def _named() -> Dict[str, str]:
    """Names of the system's release and of the board's, where there are such files."""
    found = {}
    for name, path in RELEASES.items():
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        pretty = [line for line in lines if line.startswith("PRETTY_NAME=")]
        if lines:
            found[name] = (pretty or lines)[0].partition("PRETTY_NAME=")[2].strip('"') or lines[0]
    return found


def _packages() -> Dict[str, Any]:
    """Version of each Python package that the program can see."""
    from importlib import metadata

    found = {}
    for package in metadata.distributions():
        name = package.metadata["Name"]
        if name:
            found[name] = package.version
    return dict(sorted(found.items()))
