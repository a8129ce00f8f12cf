"""The chosen frames of a calibration set, as its set.toml lists them."""

# edge.settings.schema evaluates the annotations: typing.List, no postponed evaluation.
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, DataError, NoInputError
from edge.settings.config import read_toml
from edge.settings.schema import build, key
from tools.fetch.files import has_sha256

FILE, BESIDE = "set.toml", "selection.toml"  # the second for a media set, which has a set.toml
CALIBRATION, HELD_OUT = "calibration", "held-out"
FOLDERS = {CALIBRATION: "frames", HELD_OUT: "heldout"}


@dataclass(frozen=True)
class Recording:
    """One recording that frames were chosen from."""

    name: str = key(help="path or URI as it was given")
    sha256: str = key("", "hash of the file; empty for a camera")
    frames: int = key(0, "number of frames in it", 0)
    chosen: int = key(0, "number of frames chosen from it", 0)


@dataclass(frozen=True)
class Picture:
    """One chosen frame."""

    file: str = key(help="path in the folder of the set")
    split: str = key(help="calibration or held-out", choices=(CALIBRATION, HELD_OUT))
    source: str = key(help="name of the recording")
    index: int = key(help="number of the frame in the recording", low=0)
    people: int = key(help="number of people that the detector found", low=0)
    sha256: str = key(help="hash of the file")
    t_s: float = key(0.0, "time in the recording", 0)
    height: float = key(0.0, "median height of people, share of the frame's", 0)
    brightness: float = key(0.0, "mean grey level", 0, 255)
    sharpness: float = key(0.0, "variance of the Laplacian at 360 px height", 0)


@dataclass(frozen=True)
class Selection:
    """Content of set.toml of a calibration set."""

    description: str = key(help="one line about the set")
    licence: str = key(help="licence of the recordings")
    seed: int = key(help="seed of all random choices", low=0)
    rule: str = key(help="how frames were chosen")
    detect: str = key(help="detector that found the people")
    pose: str = key(help="pose model whose inputs were recorded")
    sources: List[Recording] = key(help="one [[sources]] table for each recording")
    frames: List[Picture] = key(help="one [[frames]] table for each chosen frame")

    def of(self, split: str) -> List[Picture]:
        """Frames of one split."""
        return [p for p in self.frames if p.split == split]


def is_fetched(folder: Path) -> bool:
    """Whether a folder holds a media set, whose set.toml lists archives of a registry."""
    path = folder / FILE
    sources: Any = read_toml(path).get("sources", []) if path.is_file() else []
    return any(isinstance(s, dict) and "registry" in s for s in sources)


def is_made(folder: Path) -> bool:
    """Whether a folder's set.toml was written by `edge-tools calibrate`."""
    path = folder / FILE
    return path.is_file() and "frames" in read_toml(path) and not is_fetched(folder)


def file_of(folder: Path) -> Path:
    """File of a set that lists its chosen frames."""
    return folder / (BESIDE if is_fetched(folder) else FILE)


def load(folder: Path) -> Selection:
    """Read the chosen frames of a set.

    Raises:
        NoInputError: no such set. ConfigError: the file is wrong; names file and key.
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
    """Check that the pictures of a set are the chosen ones.

    Raises:
        DataError: a picture is missing or was changed.
    """
    for picture in pictures:
        if not has_sha256(folder / picture.file, picture.sha256):
            raise DataError(
                f"{folder / picture.file}: is missing or was changed since the set was made; "
                f"`edge-tools calibrate {folder.name} --from ...` makes it again"
            )


def save(folder: Path, selection: Selection) -> Path:
    """Write the chosen frames of a set; returns the file."""
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
