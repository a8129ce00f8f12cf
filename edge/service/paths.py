"""What the paths of `edge run PATH ...` mean: cameras, and the files that are written for them."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple

from edge.capture._addresses import file_uri, meant
from edge.capture._image_size import image_size
from edge.capture._picture_files import Pages, foreign, is_animated_png, is_animated_webp
from edge.capture._reels import PictureReel, unreadable
from edge.capture.file import IMAGES, VIDEOS, natural
from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from edge.masking import masked_uri
from edge.service.mark import is_marked
from edge.settings.cameras import Camera

TOGETHER = 4  # videos that are read at the same time; each needs memory for its frames
_JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Output:
    """The annotated files of one camera."""

    video: Optional[Path] = None
    pictures: Sequence[Tuple[Path, Path]] = ()  # of each frame by its index: the file, its output


@dataclass
class Round:
    """Cameras that run together, and the output of those that are files."""

    cameras: List[Camera] = field(default_factory=list)
    outputs: Dict[str, Output] = field(default_factory=dict)


@dataclass
class Plan:
    """What the paths ask for."""

    rounds: List[Round]
    left_out: List[EdgeError]  # pictures that cannot be read; the others are processed
    only_files: bool

    @property
    def cameras(self) -> List[Camera]:
        """The cameras of all rounds."""
        return [camera for part in self.rounds for camera in part.cameras]


def plan(
    texts: Sequence[str],
    folder: Optional[Path] = None,
    max_megapixels: float = 64.0,
    together: int = TOGETHER,
) -> Plan:
    """Sort out paths and addresses as people type them.

    All pictures are one camera, so that any number of them fits in memory. Each video and each
    address is a camera of its own. Files that carry the mark of this program are left out.

    Args:
        texts: files, folders, globs, and addresses of any source.
        folder: for all outputs; None = each lies beside its input.
        max_megapixels: larger pictures are refused.
        together: cameras in a round, if all are files.

    Raises:
        EdgeError: something is not there, no picture can be read, or an output may not be written.
    """
    addresses, files = _sorted_out(texts)
    videos = [path for path in files if not _is_picture(path)]
    pictures, left_out = _readable([p for p in files if _is_picture(p)], max_megapixels)
    if left_out and not (addresses or videos or pictures):
        raise left_out[0]
    names = _Names(folder)
    first = Round([Camera(uri, f"cam{i}") for i, uri in enumerate(addresses)])
    if pictures:
        name = f"cam{len(first.cameras)}"
        first.cameras.append(Camera(file_uri(*pictures), name))
        first.outputs[name] = Output(pictures=[o for p in pictures for o in names.of_pages(p)])
    rounds = [first]
    for i, path in enumerate(videos, len(first.cameras)):
        if len(rounds[-1].cameras) >= max(together, len(addresses) + 1):
            rounds.append(Round())
        rounds[-1].cameras.append(Camera(file_uri(path), f"cam{i}"))
        rounds[-1].outputs[f"cam{i}"] = Output(video=names.of(path, ".mp4"))
    return Plan(rounds, left_out, not addresses)


def _sorted_out(texts: Sequence[str]) -> Tuple[List[str], List[Path]]:
    """Addresses, and files without repetition."""
    addresses: List[str] = []
    files: Dict[Path, None] = {}
    for text in texts:
        path = Path(text)
        if not text:
            raise NoInputError("a PATH of the command line is empty; give a file or folder")
        if "://" in text:
            addresses.append(text)
        elif path.is_dir():
            files.update(dict.fromkeys(_in_folder(path)))
        elif path.is_file():
            if len(texts) == 1 and is_marked(path):
                raise DataError(f"{path}: was annotated by this program; give its original")
            files.update(dict.fromkeys(_originals([path])))
        else:
            found = _originals([Path(p) for p in glob.glob(text, recursive=True)])  # noqa: PTH207
            files.update(dict.fromkeys(found))
            addresses += [] if found else [_address(text)]
    return addresses, list(files)


def _address(text: str) -> str:
    """The address of a local camera such as 0 or /dev/video0.

    Raises:
        NoInputError: a file that is not there. ConfigError: it may be an address without scheme.
    """
    typed = meant(text)
    if typed.startswith(("v4l2:", "csi:", "synthetic:")):
        return typed
    if typed and not typed.startswith("file:"):
        shown = masked_uri(typed)
        raise ConfigError(f"{masked_uri(text)}: no such file; for a camera write {shown}")
    raise NoInputError(f"{text}: no such file or folder")


def _in_folder(folder: Path) -> List[Path]:
    try:
        found = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    except OSError as error:
        raise NoInputError(f"{folder}: {unreadable(error)}") from error
    files = _originals([p for p in found if p.suffix.lower() in (*IMAGES, *VIDEOS)])
    if not files:
        raise NoInputError(f"{folder}: has no pictures and no videos; folders in it are not read")
    return sorted(files, key=natural)


def _originals(paths: Sequence[Path]) -> List[Path]:
    """The files that were not annotated by this program."""
    try:
        return sorted((p for p in paths if p.is_file() and not is_marked(p)), key=natural)
    except OSError as error:
        raise NoInputError(f"{error.filename}: {unreadable(error)}") from error


def _is_picture(path: Path) -> bool:
    if is_animated_png(path) or is_animated_webp(path):
        return False
    if path.suffix.lower() in IMAGES:
        return True
    return bool(foreign(path)) or image_size(path) is not None


def _readable(paths: Sequence[Path], max_megapixels: float) -> Tuple[List[Path], List[EdgeError]]:
    fine: List[Path] = []
    left_out: List[EdgeError] = []
    for path in paths:
        try:
            PictureReel([path], 1.0, True, max_megapixels)  # reads the header
            fine.append(path)
        except EdgeError as error:
            left_out.append(error)
    return fine, left_out


class _Names:
    """Names of outputs: each is given once, and belongs to no file of somebody else."""

    def __init__(self, folder: Optional[Path]) -> None:
        self._folder = folder
        self._taken: Set[Path] = set()
        if folder is not None and not folder.is_dir():
            raise NoInputError(f"{folder}: no such folder for the annotated files; create it")

    def of_pages(self, path: Path) -> List[Tuple[Path, Path]]:
        """The output of each picture in a file."""
        suffix = path.suffix if path.suffix.lower() in _JPEG else ".png"
        pages = Pages.count(path)
        if pages == 1:
            return [(path, self.of(path, suffix))]
        return [(path, self.of(path, suffix, f".{page + 1}")) for page in range(pages)]

    def of(self, path: Path, suffix: str, page: str = "") -> Path:
        """A free name.

        Raises:
            DataError: a file of somebody else has it. NoInputError: the folder is not writable.
        """
        folder = self._folder or path.parent
        stems = [path.stem, path.name, *(f"{path.name}-{n}" for n in range(2, 10000))]
        free = (folder / f"{stem}{page}.poses{suffix}" for stem in stems)
        output = next(name for name in free if name not in self._taken)
        self._taken.add(output)
        _check(output)
        return output


def _check(output: Path) -> None:
    if output.is_symlink() or (output.exists() and not (output.is_file() and is_marked(output))):
        raise DataError(
            f"{output}: exists, and this program did not write it; move it, or give --output DIR"
        )
    if not os.access(output.parent, os.W_OK):
        raise NoInputError(f"{output.parent}: may not be written; give --output DIR")
