"""`edge-tools synth`: draw people with exact truth, as pictures or as clips.

Bodies are MakeHuman's (CC0), motions are captured or scripted, clothes, rooms and light are drawn.
Nobody had to be filmed, so the set may hold falls, and it can be shared.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List

from edge.errors import ConfigError
from tools import places
from tools.render import make, recipe
from tools.render.body.files import LICENCE
from tools.render.motion.acts import SPLITS, TUNE, captured, scripts, split_of
from tools.render.scene.backdrop import require_files
from tools.render.sets import default_folder

HELP = "draw people with exact truth: pictures and clips for tests, bars and training"
MOST_WORKERS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="a recipe, or a recipe.toml; --list shows them"
    )
    parser.add_argument("--list", action="store_true", help="list recipes and motions")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the set (calibration/NAME/SPLIT)"
    )
    parser.add_argument(
        "--split", choices=SPLITS, default=TUNE, help="motion clips and seeds (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all random choices")
    parser.add_argument("--count", type=int, metavar="N", help="number of pictures or clips")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of a clip")
    parser.add_argument("--fps", type=float, metavar="N", help="frames per second of a clip")
    parser.add_argument("--people", type=int, nargs="+", metavar="N", help="least and most people")
    parser.add_argument("--motions", nargs="+", metavar="NAME", help="what people do")
    parser.add_argument(
        "--background",
        nargs="+",
        type=Path,
        default=[],
        metavar="PATH",
        help="your own empty room: pictures, folders or videos",
    )
    _add_camera(parser)
    parser.add_argument(
        "--depth", action="store_true", help="write the depth images of clips, too (pinhole)"
    )
    parser.add_argument("--lights", nargs="+", metavar="KIND", help=", ".join(recipe.LIGHTS))
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes; 0 = one for each core"
    )
    parser.add_argument("--sets", type=Path, metavar="DIR", help="folder of sets (calibration/)")
    parser.add_argument("--json", action="store_true", help="print JSON, show no progress")


def _add_camera(parser: argparse.ArgumentParser) -> None:
    """Declare the camera. One number stands for both ends of a range."""
    parser.add_argument("--size", type=int, nargs=2, metavar=("W", "H"), help="px")
    for name, what in (
        ("camera-m", "height of the camera above the floor, m"),
        ("distance-m", "distance of the camera to the people, m"),
        ("pitch-deg", "how far the camera looks down, degrees"),
        ("fov-deg", "horizontal field of view, degrees"),
    ):
        parser.add_argument(
            f"--{name}", type=float, nargs="+", metavar="X", help=f"{what}; one or [least most]"
        )
    parser.add_argument("--lens", nargs="+", metavar="KIND", help="pinhole, radial, fisheye")


def run(arguments: argparse.Namespace) -> int:
    """Draw a set, or list what there is."""
    sets = arguments.sets or places.own_sets()
    if arguments.list:
        return _list(sets, arguments.json)
    if not arguments.name:
        raise ConfigError("name a recipe; `edge-tools synth --list` shows them")
    if not 0 <= arguments.workers <= MOST_WORKERS:
        raise ConfigError(f"--workers: 0 to {MOST_WORKERS}")
    if arguments.seed < 0:
        raise ConfigError("--seed: must be at least 0")
    require_files(arguments.background)
    chosen = _with_options(recipe.load(arguments.name, sets), arguments)
    stem = Path(arguments.name).stem if arguments.name.endswith(".toml") else arguments.name
    order = make.Order(
        stem,
        chosen,
        arguments.out or default_folder(stem, arguments.split, sets),
        arguments.split,
        arguments.seed,
        tuple(arguments.background),
        arguments.workers or make.default_workers(),
        arguments.json,
        arguments.depth,
    )
    _tell(make.make(order), order, arguments.json)
    return 0


def _with_options(chosen: recipe.Recipe, arguments: argparse.Namespace) -> recipe.Recipe:
    view: Dict[str, Any] = {
        f"view_{name}": _both(getattr(arguments, name), name)
        for name in ("camera_m", "distance_m", "pitch_deg", "fov_deg")
    }
    if arguments.fov_deg:
        view["view_share"] = [0, 0]
    if arguments.size:
        view.update(view_width=arguments.size[0], view_height=arguments.size[1])
    return recipe.changed(
        chosen,
        count=arguments.count,
        seconds=arguments.seconds,
        fps=arguments.fps,
        people=_both(arguments.people, "people"),
        motions=arguments.motions,
        lights=arguments.lights,
        view_lenses=arguments.lens,
        **view,
    )


def _both(values: Any, name: str) -> Any:
    """A range of one or two numbers."""
    if values is not None and len(values) > 2:
        raise ConfigError(f"--{name.replace('_', '-')}: one number, or the least and the most")
    return [values[0], values[-1]] if values else None


def _tell(made: make.Made, order: make.Order, as_json: bool) -> None:
    if as_json:
        row = {
            "folder": str(order.folder),
            "pictures": made.pictures,
            "people": made.people,
            "clips": made.clips,
            "sheet": str(made.sheet),
            "split": order.split,
            "licence": LICENCE,
        }
        print(json.dumps(row))
        return
    what = f"{len(made.clips)} clips, " if made.clips else ""
    print(f"{order.folder}: {what}{made.pictures} pictures, {made.people} people ({order.split})")
    print(f"look at {made.sheet}; {LICENCE}")


def _list(sets: Any, as_json: bool) -> int:
    found = {name: recipe.load(name, sets) for name in recipe.names(sets)}
    motions: List[Dict[str, str]] = [{"name": n, "split": "both"} for n in scripts()]
    motions += [{"name": n, "split": split_of(n)} for n in captured(as_json)]
    if as_json:
        rows = [{"name": n, "kind": r.kind, "about": r.description} for n, r in found.items()]
        print(json.dumps({"recipes": rows, "motions": motions}))
        return 0
    print("recipes:")
    for name, one in found.items():
        print(f"  {name:20} {one.kind:8} {one.description}")
    print("motions (of both splits; captured ones of one):")
    for split in ("both", *SPLITS):
        names = " ".join(m["name"] for m in motions if m["split"] == split)
        print(f"  {split:7} {names}")
    return 0
