"""`edge-tools ground`: the floor of a camera in metres, for rules that measure on it."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, NoInputError
from edge.lens import Lens
from edge.loop.grounds import ground_of
from edge.loop.lenses import lens_of_camera
from edge.scene.ground import Ground
from edge.settings import config
from tools.floor import from_points, from_walkers, picture, walkers
from tools.playback.player import find

HELP = "the floor of a camera in metres, from four known points or from people who walk"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    points = actions.add_parser("points", help="from points of the picture with known places")
    points.add_argument(
        "--px", nargs="+", type=_pair, required=True, metavar="X,Y", help="four points or more, px"
    )
    points.add_argument(
        "--size",
        type=_size,
        metavar="WxD",
        help="the points are the corners of a rectangle, in order: the first two are W m apart, "
        "the second and the third D m",
    )
    points.add_argument(
        "--m", nargs="+", type=_pair, metavar="X,Y", help="places of the points on the floor, m"
    )
    walking = actions.add_parser("walkers", help="from a recording of people who walk upright")
    walking.add_argument("recording", type=Path, help="a segment (.poses), or a folder of them")
    walking.add_argument(
        "--stature-m", type=float, default=1.70, metavar="M", help="mean (default: %(default)g)"
    )
    walking.add_argument(
        "--pitch-deg", type=float, metavar="DEG", help="how far it looks down (default: learned)"
    )
    walking.add_argument(
        "--fov-deg", type=float, metavar="DEG", help="across the picture (default: learned)"
    )
    show = actions.add_parser("show", help="draw the ground of a configuration over a still")
    show.add_argument("config", type=Path, help="a configuration file")
    for action in (points, walking, show):
        action.add_argument("--camera", default="", help="name of the camera")
        action.add_argument("--still", type=Path, metavar="F", help="picture or video to draw on")
        action.add_argument(
            "--picture", type=Path, metavar="F.png", help="(default: ground.png, or beside --out)"
        )
    for action in (points, walking):
        action.add_argument(
            "--out", type=Path, metavar="F.toml", help="write the table (default: print it)"
        )
        action.add_argument("--json", action="store_true", help="print the figures as JSON")
        action.add_argument(
            "--config", type=Path, metavar="F", help="configuration that gives --camera its lens"
        )


def run(arguments: argparse.Namespace) -> int:
    """Do one of the actions."""
    for path in (arguments.picture, getattr(arguments, "out", None)):
        if path is not None and not path.parent.is_dir():
            raise NoInputError(f"{path.parent}: no such folder; create it")
    {"points": _points, "walkers": _walkers, "show": _show}[arguments.action](arguments)
    return 0


def _points(arguments: argparse.Namespace) -> None:
    pixels, metres = np.array(arguments.px), _places(arguments)
    if len(pixels) < 4:
        raise ConfigError(f"--px: {len(pixels)} points; give four or more")
    if len(metres) != len(pixels):
        raise ConfigError(f"--m: {len(metres)} places for {len(pixels)} points; give one each")
    lens = _lens(arguments)
    straight = pixels if lens is None else lens.undistorted(pixels)
    if not np.isfinite(straight).all():
        raise ConfigError("--px: a point lies where the lens shows nothing; choose others")
    found = from_points.fit(straight, metres)
    notes = [f"of {len(pixels)} points, which it misses by {found.error_m:.3f} m (RMS)"]
    unsure = f"{found.unsure:.0%}" if np.isfinite(found.unsure) else "any amount"
    notes.append(f"points that are 2 px off change lengths between them by up to {unsure}")
    figures = {"points": len(pixels), "error_m": found.error_m, "unsure": found.unsure}
    size = (round(pixels.real.max() * 1.25) + 1, round(pixels.imag.max() * 1.25) + 1)
    ground = replace(found.ground, lens=lens)
    _tell(arguments, ground, pixels, size, notes, figures)


def _places(arguments: argparse.Namespace) -> np.ndarray:
    if (arguments.size is None) == (arguments.m is None):
        raise ConfigError("give the --size of a rectangle, or places with --m")
    if arguments.m is not None:
        return np.array(arguments.m)
    if len(arguments.px) != 4:
        raise ConfigError(f"--size: a rectangle has four corners, not {len(arguments.px)}")
    wide, deep = arguments.size
    return np.array([0, wide, wide + 1j * deep, 1j * deep])


def _walkers(arguments: argparse.Namespace) -> None:
    _check_range("--stature-m", arguments.stature_m, 0.5, 2.5)
    _check_range("--pitch-deg", arguments.pitch_deg, -20, 75)
    _check_range("--fov-deg", arguments.fov_deg, 10, 150)
    seen = walkers.of_recording(find(arguments.recording), arguments.camera)
    lens = _lens(arguments)
    straight = seen if lens is None else walkers.without_lens(seen, lens)
    found = from_walkers.fit(straight, arguments.stature_m, arguments.pitch_deg, arguments.fov_deg)
    learned = {
        "camera height": (*found.height_m, "m"),
        "pitch": (*found.pitch_deg, "deg"),
        "roll": (*found.roll_deg, "deg"),
        "field of view": (*found.fov_deg, "deg"),
    }
    notes = [
        f"of {found.people} people of {arguments.stature_m:g} m on average, {found.seen} views, "
        f"{found.near_m:.1f} to {found.far_m:.1f} m away; median misfit {found.misfit:.1%} of a "
        "body",
        "; ".join(
            f"{name} {value:.1f} {unit}" + (f" +- {error:.1f}" if error else " (given)")
            for name, (value, error, unit) in learned.items()
        ),
    ]
    figures = {name: getattr(found, name) for name in found._fields if name != "ground"}
    _tell(
        arguments,
        replace(found.ground, lens=lens),
        seen.ankles[:: max(len(seen.ids) // 60, 1)],
        seen.size,
        notes,
        figures,
    )


def _show(arguments: argparse.Namespace) -> None:
    settings = config.load(arguments.config)
    names = [camera.name for camera in settings.cameras]
    name = arguments.camera or (names[0] if len(names) == 1 else "")
    if name not in names:
        raise ConfigError(f"--camera: name one of {', '.join(names)}")
    ground = ground_of(settings, name)
    if ground is None:
        raise ConfigError(
            f"{arguments.config}: camera {name} has no [[grounds]] table and no scene"
        )
    if arguments.still is None:
        raise ConfigError("--still: is missing; give a picture or a video of the camera")
    out = arguments.picture or Path("ground.png")
    image = picture.still_of(arguments.still, (0, 0))
    step_m = picture.draw(out, image, ground, np.zeros(0, complex))
    print(f"{out}: a cell is {step_m:g} m")


def _tell(
    arguments: argparse.Namespace,
    ground: Ground,
    points: np.ndarray,
    size: Tuple[int, int],
    notes: List[str],
    figures: Dict[str, Any],
) -> None:
    """Write or print the table, and draw the picture."""
    default = arguments.out.with_suffix(".png") if arguments.out else Path("ground.png")
    drawn = arguments.picture or default
    image = picture.still_of(arguments.still, size)
    step_m = picture.draw(drawn, image, ground, points)
    rows = np.array(ground.matrix).reshape(3, 3).tolist()
    table = _table(arguments.camera, rows, ground.lens is not None)
    text = "".join(f"# {note}\n" for note in notes) + table
    if arguments.out:
        write_whole(arguments.out, text.encode(), READABLE)
    if arguments.json:
        print(json.dumps({**figures, "matrix": rows, "picture": str(drawn), "cell_m": step_m}))
        return
    print("\n".join(notes) if arguments.out else text.rstrip())
    print(f"{arguments.out}, {drawn}" if arguments.out else f"# {drawn}: a cell is {step_m:g} m")


def _table(camera: str, rows: List[List[float]], lens: bool) -> str:
    """The table of a configuration; numbers with 9 digits are exact to .01 px."""
    inner = ", ".join("[" + ", ".join(f"{value:.9g}" for value in row) + "]" for row in rows)
    table = f'[[grounds]]\ncamera = "{camera or "CAMERA"}"\nmatrix = [{inner}]\n'
    return table + "lens = true\n" * lens


def _lens(arguments: argparse.Namespace) -> Optional[Lens]:
    """The lens that --config gives the camera; None = none."""
    if arguments.config is None:
        return None
    cameras = config.load(arguments.config, grounds=False).cameras
    names = [camera.name for camera in cameras]
    name = arguments.camera or (names[0] if len(names) == 1 else "")
    if name not in names:
        raise ConfigError(f"--camera: name one of {', '.join(names)}")
    arguments.camera = name
    i = names.index(name)
    return lens_of_camera(cameras[i], f"{arguments.config}: cameras[{i}]")


def _check_range(name: str, value: Optional[float], low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ConfigError(f"{name}: {value:g} is not within {low:g} to {high:g}")


def _pair(text: str) -> complex:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        x, y = math.nan, math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise argparse.ArgumentTypeError(f"{text!r}: use X,Y such as 640,480")
    return complex(x, y)


def _size(text: str) -> Tuple[float, float]:
    try:
        wide, deep = (float(part) for part in text.lower().split("x"))
    except ValueError:
        wide, deep = 0.0, 0.0
    if not (0 < wide < 1e4 and 0 < deep < 1e4):
        raise argparse.ArgumentTypeError(f"{text!r}: use metres WxD such as 3.0x4.5")
    return wide, deep
