"""The same recording or the same picture in training and in the test."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Dict, List, Optional, Protocol, Sequence, Tuple

from edge.errors import DataError
from tools.evaluation.truth import Picture, Truth

_READ = 1 << 20  # bytes of a file that are compared, from its start


class Sample(Protocol):
    """A labelled person, or a labelled picture."""

    @property
    def truth(self) -> Truth:
        """The data set."""

    @property
    def picture(self) -> Picture:
        """The picture."""

    @property
    def recording(self) -> str:
        """Name of the recording."""


def require_apart(train: Sequence[Sample], test: Sequence[Sample]) -> None:
    """Refuse a test that was seen in training.

    Raises:
        DataError: a recording or a picture is in both; the message names it.
    """
    found = shared(train, test)
    if found:
        raise DataError(
            f"training and test share {found[0]}, so the test would tell nothing; leave it out of "
            "one of them"
        )


def shared(train: Sequence[Sample], test: Sequence[Sample]) -> List[str]:
    """What is in both, in words: files of the same content, and recordings of the same name.

    Recordings of one name whose videos differ are two recordings.
    """
    mine, theirs = _sources(train), _sources(test)
    found: List[str] = []
    contents = {_content(path): name for name, path in mine.items() if path is not None}
    for name, path in theirs.items():
        same = contents.get(_content(path)) if path is not None else None
        if same is not None:
            found.append(f"the recording {name}" if same == name else f"{name}, which is {same}")
        elif name in mine and (path is None or mine[name] is None):
            found.append(f"the recording {name}")
    return found or _pictures(train, test)


def _sources(samples: Sequence[Sample]) -> Dict[str, Optional[Path]]:
    """Recording -> its video; None if it is pictures."""
    return {s.recording: s.truth.videos.get(s.picture.sequence) for s in samples}


def _pictures(train: Sequence[Sample], test: Sequence[Sample]) -> List[str]:
    known = {_content(s.picture.path): s.picture.file for s in train if s.picture.path}
    for sample in test:
        if sample.picture.path and _content(sample.picture.path) in known:
            return [f"the picture {sample.picture.file}"]
    return []


_seen: Dict[Tuple[str, int, int], str] = {}


def _content(path: Optional[Path]) -> str:
    """Changes with the content of a file: its size and its first megabyte."""
    if path is None:
        return ""
    there = path.stat()
    key = (str(path), there.st_size, there.st_mtime_ns)
    if key not in _seen:
        with path.open("rb") as file:
            _seen[key] = f"{there.st_size} {hashlib.sha256(file.read(_READ)).hexdigest()}"
    return _seen[key]
