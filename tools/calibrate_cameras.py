"""`edge-tools calibrate-cameras`: lenses of cameras, and their places for a [[scenes]] table."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any, Dict, List

import cv2
import numpy as np

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, NoInputError
from edge.rig import pose2sim
from edge.scene.rig import Rig
from tools.cameras.boards import Board, look

HELP = "calibrate the lenses of cameras, and their places in the room, from a board that they see"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "cameras",
        nargs="*",
        metavar="NAME=PATH",
        help="video, or folder of pictures, of each camera; pictures of one moment have one place "
        "in their folder's order, frames of one moment one number",
    )
    parser.add_argument(
        "--board",
        default="9x6",
        metavar="CxR",
        help="inner corners of a chessboard, squares of a ChArUco board (default: %(default)s)",
    )
    parser.add_argument(
        "--square-mm", type=float, metavar="MM", help="side of a square, measured on the board"
    )
    parser.add_argument(
        "--charuco",
        metavar="DICTIONARY",
        help="the board is a ChArUco board with markers of this dictionary, such as 4X4_50",
    )
    parser.add_argument("--marker-mm", type=float, metavar="MM", help="side of a ChArUco marker")
    parser.add_argument(
        "--lens",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="other pictures or video of a camera for its lens; may be repeated",
    )
    parser.add_argument(
        "--fisheye",
        action="store_true",
        help="lenses wider than about 120 degrees: OpenCV's fisheye model, four coefficients",
    )
    parser.add_argument(
        "--every", type=int, default=0, metavar="N", help="look at each n-th frame of a video"
    )
    parser.add_argument("--out", type=Path, default=Path("rig.toml"), help="(default: %(default)s)")
    parser.add_argument(
        "--picture", type=Path, metavar="F.png", help="default: beside --out, with its name"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, write the file and the picture, and print the errors."""
    picture = arguments.picture or arguments.out.with_suffix(".png")
    for path in (arguments.out, picture):
        if not path.parent.is_dir():
            raise NoInputError(f"{path.parent}: no such folder; create it")
    figures = _of_board(arguments, picture)
    figures["file"], figures["picture"] = str(arguments.out), str(picture)
    print(json.dumps(figures) if arguments.json else _text(figures))
    return 0


def _of_board(arguments: argparse.Namespace, picture: Path) -> Dict[str, Any]:
    from tools.cameras.from_board import calibrate
    from tools.cameras.picture import draw

    board = _board(arguments)
    sources = _named(arguments.cameras, "NAME=PATH")
    if not sources:
        raise ConfigError("name one camera for its lens, or several: cam1=FOLDER cam2=FOLDER ...")
    lenses = _named(arguments.lens, "--lens")
    for name in lenses:
        if name not in sources:
            raise ConfigError(f"--lens: no camera {name!r}; there are: {', '.join(sources)}")
    outer = [look(name, path, board, arguments.every) for name, path in sources.items()]
    inner = [
        look(s.name, lenses[s.name], board, arguments.every) if s.name in lenses else s
        for s in outer
    ]
    for a, b in zip(inner, outer):
        if a.size != b.size:
            raise ConfigError(f"--lens: {a.name}: pictures of {a.size}, but of {b.size} elsewhere")
    done = calibrate(inner, outer, board, arguments.fisheye)
    error = float(np.sqrt(np.mean([np.square(e).sum(1).mean() for e in done.errors if len(e)])))
    _write(arguments.out, done.rig, error)
    draw(picture, done, outer)
    rows = zip(done.rig.names, done.own_px, done.rms_px, done.views, done.shared)
    return {
        "error_px": error,
        "cameras": {
            name: {"lens_px": float(own), "error_px": float(rms), "views": n, "shared": shared}
            for name, own, rms, n, shared in rows
        },
    }


def _board(arguments: argparse.Namespace) -> Board:
    match = re.fullmatch(r"(\d{1,3})x(\d{1,3})", arguments.board)
    if not match:
        raise ConfigError(f"--board: {arguments.board!r}: expected columns x rows, such as 9x6")
    if not arguments.square_mm or not arguments.square_mm > 0:
        raise ConfigError("--square-mm: is missing; measure the side of a square on the board")
    if arguments.charuco and not arguments.marker_mm:
        raise ConfigError("--marker-mm: is missing; measure the side of a marker on the board")
    marker = (arguments.marker_mm or 0) / 1000 if arguments.charuco else 0.0
    dictionary = re.sub("^DICT_", "", arguments.charuco or "4X4_50")
    return Board(int(match[1]), int(match[2]), arguments.square_mm / 1000, marker, dictionary)


def _named(words: List[str], what: str) -> Dict[str, Path]:
    found: Dict[str, Path] = {}
    for word in words:
        name, mark, path = word.partition("=")
        if not (name and mark and path):
            raise ConfigError(f"{what}: {word!r}: expected NAME=PATH, such as cam1=pictures/cam1")
        if name in found:
            raise ConfigError(f"{what}: {name!r} is there twice")
        found[name] = Path(path)
    return found


def _write(path: Path, rig: Rig, error_px: float) -> None:
    vectors = np.array([cv2.Rodrigues(turn)[0].reshape(3) for turn in rig.turns])
    write_whole(path, pose2sim.text_of(rig, vectors, error_px).encode(), READABLE)


def _text(figures: Dict[str, Any]) -> str:
    rows = [
        f"  {name}: {r['error_px']:.2f} px (its lens alone {r['lens_px']:.2f} px), board found in "
        f"{r['views']} pictures, {r['shared']} of them shared with another camera"
        for name, r in figures["cameras"].items()
    ]
    head = f"reprojection error {figures['error_px']:.2f} px (root mean square)"
    return "\n".join([head, *rows, f"{figures['file']}, {figures['picture']}"])
