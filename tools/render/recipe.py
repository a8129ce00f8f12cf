"""Recipes of rendered sets: what people do, how they are seen, and how much is made.

A recipe is the file `recipe.toml` of a folder in `calibration/`. `edge-tools synth NAME` makes it.
"""

# edge.settings.schema evaluates the annotations: typing.List, no postponed evaluation.
import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Mapping, Optional

from edge.errors import ConfigError, NoInputError
from edge.settings.config import read_toml
from edge.settings.schema import build, key
from tools.places import SOURCE_SETS
from tools.render.scene.camera import LENSES

FILE = "recipe.toml"
PICTURES, CLIPS = "pictures", "clips"
BACKDROPS = ("room", "environment")
LIGHTS = ("day", "lamp", "dim", "infrared")
MOST_PEOPLE = 30


def _between(low: float, high: float, default: List[float], help: str) -> Any:
    return key(default, help, low, high)


@dataclass(frozen=True)
class View:
    """How people are seen. Each range is [least, most]; a value is drawn for each picture."""

    width: int = key(384, "px", 64, 3840)
    height: int = key(384, "px", 64, 2160)
    camera_m: List[float] = _between(0.1, 12, [0.8, 2.2], "height of the camera")
    distance_m: List[float] = _between(
        0.5, 60, [2.0, 7.0], "distance of the camera, over the floor, to the middle of the people"
    )
    fov_deg: List[float] = _between(10, 170, [35, 75], "horizontal field of view")
    share: List[float] = _between(
        0, 4, [0, 0], "height of a person in shares of the picture's; sets the field; 0 = fov_deg"
    )
    focus: str = key(
        "body",
        "what is looked at, and what `share` is the size of: the whole body, or head and shoulders",
        choices=("body", "head"),
    )
    azimuth_deg: List[float] = _between(-180, 180, [-180, 180], "side of the people that is seen")
    pitch_deg: List[float] = key(
        [], "how far the camera looks down; empty = at the people", -30, 90
    )
    roll_deg: List[float] = _between(-180, 180, [-3, 3], "roll of the camera")
    lenses: List[str] = key(["pinhole", "radial"], "pinhole, radial or fisheye, drawn evenly")


@dataclass(frozen=True)
class Recipe:
    """One rendered set."""

    description: str = key(help="one line about the set")
    kind: str = key(PICTURES, "pictures or clips", choices=(PICTURES, CLIPS))
    count: int = key(200, "number of pictures or clips", 1, 10_000_000)
    seconds: float = key(10.0, "length of a clip", 0.2, 600)
    fps: float = key(30.0, "frames per second of a clip", 1, 120)
    rates: List[float] = key([], "frames per second, drawn for each clip; empty = fps", 1, 120)
    starts_s: List[float] = _between(
        0, 600, [0, 0], "when a movement that happens once starts (lie_down, hands_up ...)"
    )
    people: List[int] = key(
        [1, 1], "[least, most] people; a motion of two counts as one", 0, MOST_PEOPLE
    )
    motions: List[str] = key(["walk", "stand"], "motions, drawn evenly; `synth --list` shows them")
    spread_m: float = key(1.5, "people stand within this distance of the middle", 0.3, 40)
    child_share: float = key(0.08, "share of children", 0, 1)
    lights: List[str] = key(["day", "lamp", "dim"], "day, lamp, dim or infrared, drawn evenly")
    backdrops: List[str] = key(
        ["room", "room", "environment"], "room (drawn) or environment (panoramas), drawn evenly"
    )
    hard: float = key(0.3, "0 clean .. 1 bad: blur, noise, low resolution", 0, 1)
    cut_off: float = key(0.0, "share of pictures that cut people off", 0, 1)
    occluders: float = key(0.0, "share of pictures with things in front of people", 0, 1)
    clutter: List[int] = key([0, 0], "[least, most] things that stand around", 0, 40)
    props: float = key(0.2, "share of people who hold something", 0, 1)
    view: View = key(View, "the camera")


def load(name: str, sets_dir: Optional[Path] = None) -> Recipe:
    """The recipe of a set, or of a .toml file.

    Raises:
        NoInputError: no such recipe. ConfigError: it is wrong; names file and key.
    """
    path = Path(name) if name.endswith(".toml") else _recipe_file(name, sets_dir)
    if not path.is_file():
        raise NoInputError(f"{path}: no such recipe")
    return of_table(read_toml(path), str(path))


def of_table(table: Mapping[str, Any], where: str) -> Recipe:
    """Check a recipe's table.

    Raises:
        ConfigError: a key is wrong; names `where` and the key.
    """
    try:
        recipe = build(Recipe, table)
        _require(recipe.view.lenses, LENSES, "view.lenses")
        _require(recipe.lights, LIGHTS, "lights")
        _require(recipe.backdrops, BACKDROPS, "backdrops")
        _require(recipe.motions, (), "motions")
        _require_ranges(recipe)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(where) else f"{where}: {text}") from error
    return recipe


def _require(words: List[str], known: Any, name: str) -> None:
    if not words:
        raise ConfigError(f"{name}: is empty; name at least one")
    for word in words:
        if known and word not in known:
            raise ConfigError(f"{name}: {word!r} is not one of {', '.join(known)}")


def _require_ranges(recipe: Recipe) -> None:
    """Check that each range has two numbers, the smaller first."""
    for where, part in (("", recipe), ("view.", recipe.view)):
        for name, value in vars(part).items():
            if not isinstance(value, list) or isinstance((value or [""])[0], str):
                continue
            if name == "rates":
                continue
            if len(value) != 2 or value[0] > value[1]:
                raise ConfigError(f"{where}{name}: must be [least, most], got {value}")


def _recipe_file(name: str, sets_dir: Optional[Path]) -> Path:
    for parent in (sets_dir, SOURCE_SETS):
        if parent and (parent / name / FILE).is_file():
            return parent / name / FILE
    known = names(sets_dir)
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}"
    raise NoInputError(f"no recipe called {name}; {hint}")


def names(sets_dir: Optional[Path] = None) -> List[str]:
    """Names of all recipes."""
    parents = [p for p in (sets_dir, SOURCE_SETS) if p]
    return sorted({path.parent.name for p in parents for path in p.glob(f"*/{FILE}")})


def changed(recipe: Recipe, **values: Any) -> Recipe:
    """The recipe with other values; None leaves a value as it is.

    Raises:
        ConfigError: a value is outside its range.
    """
    table = dataclasses.asdict(recipe)
    view = {k[5:]: v for k, v in values.items() if k.startswith("view_") and v is not None}
    table.update({k: v for k, v in values.items() if k[:5] != "view_" and v is not None})
    table["view"].update(view)
    return of_table(table, "synth")
