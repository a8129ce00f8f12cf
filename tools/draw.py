"""`edge-tools draw`: zones, lines, masks and the ground, drawn on a still in a local page.

The page writes them into the configuration file and keeps its comments. Only browsers of this
machine with the link of the terminal reach it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Any, Dict, List, Tuple

from edge.durable import new_file
from edge.errors import ConfigError, TempError
from edge.settings import config
from edge.settings.config import Camera, Config
from edge.settings.toml_text import parse_toml
from tools.drawing import shapes, still
from tools.drawing.server import Drawing

HELP = "draw zones, lines, masks and ground points on a still; writes the configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "still",
        nargs="?",
        metavar="STILL",
        help="picture, video or address of a camera (default: the camera of the configuration)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("edge.toml"),
        metavar="F.toml",
        help="read and written; made if it is missing (default: %(default)s)",
    )
    parser.add_argument("--camera", default="", help="name of the camera (default: the only one)")
    parser.add_argument("--port", type=int, default=0, help="of the page (default: any free one)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM."""
    if not 0 <= arguments.port < 65536:
        raise ConfigError(f"--port {arguments.port}: a port is 0 to 65535; 0 = any free one")
    settings = config.load(arguments.config) if arguments.config.exists() else Config()
    camera = chosen(settings, arguments.camera, arguments.still, arguments.config)
    picture = still.of(camera, settings.capture)
    page = File(arguments.config, camera, (picture.width, picture.height))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with Drawing(picture, page.about(), page.save, arguments.port) as server:
            print(f"open {server.guard.link}\n(works once; Ctrl-C ends it)", flush=True)
            if arguments.open and not webbrowser.open(server.guard.link):
                print("edge-tools: there is no browser on this machine", file=sys.stderr)
            threading.Event().wait()
    except KeyboardInterrupt:
        print(f"the page has ended; {arguments.config} has what was saved")
    return 0


def chosen(settings: Config, name: str, given: str, path: Path) -> Camera:
    """The camera to draw for, with the source of the still.

    Raises:
        ConfigError: it is not clear which. NoInputError: the still is missing.
    """
    names = [camera.name for camera in settings.cameras]
    if not name and len(names) > 1:
        raise ConfigError(f"--camera: name one of {', '.join(names)}")
    known = [c for c in settings.cameras if c.name == name or not name]
    if not known and names:
        raise ConfigError(f"--camera: no camera {name!r} in {path}; there are: {', '.join(names)}")
    if not known and not given:
        raise ConfigError(f"{path}: has no camera; give a picture, a video or an address")
    source = still.source_of(given) if given else known[0].source
    if not known:
        return Camera(source, name or "cam0")
    return Camera(source, known[0].name, known[0].rotate, known[0].flip)


class File:
    """The configuration file behind a page.

    Args:
        path: of the file; it may be missing.
        camera: the camera that is drawn for.
        size: width, height px of its upright picture.
    """

    def __init__(self, path: Path, camera: Camera, size: Tuple[int, int]) -> None:
        self._path, self._camera, self._size = path, camera, size

    def about(self) -> Dict[str, Any]:
        """What the page is told at first."""
        width, height = self._size
        return {
            "file": str(self._path),
            "camera": self._camera.name,
            "width": width,
            "height": height,
            "least": shapes.KINDS,
            "shapes": self._shapes(),
        }

    def save(self, records: Any) -> List[Dict[str, Any]]:
        """Write the shapes of the page; returns those of the file.

        Raises:
            EdgeError: they cannot be used; the file stays as it is.
        """
        name, source = self._camera.name, self._camera.source
        drawn = shapes.from_page(records)
        made = shapes.written(self._path, self._text(), name, source, self._size, drawn)
        _replace(self._path, made.encode())
        return self._shapes()

    def _shapes(self) -> List[Dict[str, Any]]:
        table = parse_toml(self._path, self._text())
        return [s.record() for s in shapes.read(table, self._camera.name, self._size)]

    def _text(self) -> str:
        return self._path.read_text("utf-8-sig") if self._path.exists() else ""


def _replace(path: Path, data: bytes) -> None:
    """Replace a file in one step; owner and mode stay."""
    before = path.stat() if path.exists() else None
    mode = before.st_mode & 0o777 if before else 0o644
    try:
        with new_file(path, mode) as file:
            if before is not None:
                os.fchmod(file.fileno(), mode)
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
            file.write(data)
    except OSError as error:
        raise TempError(f"{path}: {error.strerror}; is it writable?") from error
