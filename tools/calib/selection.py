"""What a calibration set is made of, as it stands in its set.toml."""

# Annotations are evaluated by edge.settings.schema: typing.List, and no postponed evaluation.
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, DataError, NoInputError
from edge.settings.config import read_toml
from edge.settings.schema import build, key
from tools.fetch.files import has_sha256

FILE, BESIDE = "set.toml", "selection.toml"  # beside the set.toml of a set that is fetched
CALIBRATION, HELD_OUT = "calibration", "held-out"
FOLDERS = {CALIBRATION: "frames", HELD_OUT: "heldout"}


@dataclass(frozen=True)
class Source:
    """One recording."""

    name: str = key(help="as it was named")
    sha256: str = key("", "of a file; a camera has none")
    frames: int = key(0, "in it", 0)
    chosen: int = key(0, "of them in this set", 0)


@dataclass(frozen=True)
class Picture:
    """One chosen frame."""

    file: str = key(help="in the set's folder")
    split: str = key(help="which side", choices=(CALIBRATION, HELD_OUT))
    source: str = key(help="the recording")
    index: int = key(help="frame in it", low=0)
    people: int = key(help="seen by the detector", low=0)
    sha256: str = key(help="of the file")
    t_s: float = key(0.0, "time in the recording", 0)
    height: float = key(0.0, "median of people, share of the frame's", 0)
    brightness: float = key(0.0, "mean grey", 0, 255)
    sharpness: float = key(0.0, "variance of the Laplacian at 360 px height", 0)


@dataclass(frozen=True)
class Selection:
    """The whole file."""

    description: str = key(help="one line")
    licence: str = key(help="of the recordings")
    seed: int = key(help="of every draw", low=0)
    rule: str = key(help="how frames were chosen")
    detect: str = key(help="model that saw the people")
    pose: str = key(help="model whose inputs were recorded with it")
    sources: List[Source] = key(help="one [[sources]] table each")
    frames: List[Picture] = key(help="one [[frames]] table each")

    def of(self, split: str) -> List[Picture]:
        """Frames of one side."""
        return [p for p in self.frames if p.split == split]


def is_fetched(folder: Path) -> bool:
    """Whether the set.toml there tells of archives of a registry."""
    path = folder / FILE
    sources: Any = read_toml(path).get("sources", []) if path.is_file() else []
    return any(isinstance(s, dict) and "registry" in s for s in sources)


def is_made(folder: Path) -> bool:
    """Whether the set.toml there is a selection, as `edge-tools calibrate` writes it."""
    path = folder / FILE
    return path.is_file() and "frames" in read_toml(path) and not is_fetched(folder)


def file_of(folder: Path) -> Path:
    """Where the selection of a set stands."""
    return folder / (BESIDE if is_fetched(folder) else FILE)


def load(folder: Path) -> Selection:
    """Read a set's selection.

    Raises:
        NoInputError: none was made. ConfigError: names file and key.
    """
    path = file_of(folder)
    if not path.is_file():
        raise NoInputError(
            f"{path}: no such calibration set; `edge-tools calibrate {folder.name} --from ...` "
            "makes it"
        )
    try:
        return build(Selection, read_toml(path))
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def require_pictures(folder: Path, pictures: List[Picture]) -> None:
    """Refuse a set whose pictures are not those that were chosen.

    Raises:
        DataError: one is missing or changed.
    """
    for picture in pictures:
        if not has_sha256(folder / picture.file, picture.sha256):
            raise DataError(
                f"{folder / picture.file}: is missing or was changed since the set was made; "
                f"`edge-tools calibrate {folder.name} --from ...` makes it again"
            )


def save(folder: Path, selection: Selection) -> Path:
    """Write it; returns the file."""
    lines = [f"{name} = {_text(getattr(selection, name))}" for name in _scalars(Selection)]
    for table in ("sources", "frames"):
        for row in getattr(selection, table):
            lines += ["", f"[[{table}]]"]
            lines += [f"{name} = {_text(getattr(row, name))}" for name in _scalars(type(row))]
    path = file_of(folder)
    write_whole(path, ("\n".join(lines) + "\n").encode(), READABLE)
    return path


def _scalars(kind: Any) -> List[str]:
    types: Dict[str, Any] = kind.__annotations__
    return [name for name, of in types.items() if of in (str, int, float)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return repr(round(value, 4))
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted) + '"'
