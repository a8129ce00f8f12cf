"""Where a published file comes from, as recipes and media sets write it down."""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from edge.errors import ConfigError, NoInputError
from edge.recipe import Weights
from edge.settings.config import read_toml
from edge.settings.schema import build, key

SUFFIXES = {"pypi": ".whl", "npm": ".tgz", "debian": ".deb"}
HEX = frozenset("0123456789abcdef")


def _file_problem(value: str) -> Optional[str]:
    bad = "/" in value or "\\" in value or value in ("", ".", "..", "set.toml") or "\0" in value
    return "must be a plain file name inside the set's folder" if bad else None


def _sha256_problem(value: str) -> Optional[str]:
    fine = value == "" or (len(value) == 64 and HEX.issuperset(value))
    return None if fine else "must be 64 hexadecimal digits"


def _word_problem(value: str) -> Optional[str]:
    """Package names and versions become arguments of a client: never an option."""
    bad = value.startswith("-") or any(c.isspace() or ord(c) < 32 for c in value)
    return "must be one word that does not begin with -" if bad else None


@dataclass(frozen=True)
class Member:
    """One file of an archive and what it is called here."""

    member: str = key(help="path inside the archive")
    file: str = key(help="file name in the set's folder", check=_file_problem)
    sha256: str = key(help="of the file", check=_sha256_problem)


@dataclass(frozen=True)
class Source:
    """One archive of a media set and the files wanted from it."""

    registry: str = key(help="pypi, npm or debian", choices=tuple(SUFFIXES))
    package: str = key(help="name of the package", check=_word_problem)
    members: List[Member] = key(help="the files wanted from it")
    version: str = key(
        "", "its exact version; debian: empty takes the release's own", check=_word_problem
    )
    wheel: str = key("", "python-abi-platform tags of the wheel to ask for")
    archive_sha256: str = key("", "empty: only the members' sha256 count", check=_sha256_problem)
    archive_bytes: int = key(0, "size of the archive, for the progress bar", 0)


@dataclass(frozen=True)
class MediaSet:
    """The whole set.toml of a set that is fetched."""

    sources: List[Source] = key(help="one [[sources]] table for each archive")
    description: str = key("", "one line")
    licence: str = key("", "of the media")


@dataclass(frozen=True)
class Archive:
    """One archive of a registry: what the cache and the clients need to know of it."""

    registry: str
    package: str
    version: str
    wheel: str
    sha256: str
    size: int  # bytes; 0: unknown

    def __str__(self) -> str:
        return f"{self.package} {self.version}".strip()

    @property
    def file_name(self) -> str:
        """Its name in the cache: the sha256, or the package where that is not pinned."""
        return (self.sha256 or self.package.replace("/", "-")) + SUFFIXES[self.registry]


def archive_of_weights(weights: Weights) -> Archive:
    """The archive that a network's weights are in.

    Raises:
        ConfigError: a value that no client could take.
    """
    for name in ("package", "version"):
        problem = _word_problem(getattr(weights, name))
        if problem:
            raise ConfigError(f"weights.{name}: {getattr(weights, name)!r}: {problem}")
    size = int(weights.extra.get("archive_bytes", 0))
    return Archive(
        weights.registry,
        weights.package,
        weights.version,
        weights.wheel,
        weights.archive_sha256,
        size,
    )


def archive_of_source(source: Source) -> Archive:
    """The archive of one source of a media set."""
    return Archive(
        source.registry,
        source.package,
        source.version,
        source.wheel,
        source.archive_sha256,
        source.archive_bytes,
    )


def load_set(folder: Path) -> MediaSet:
    """Read a media set's description.

    Raises:
        NoInputError: no such set. ConfigError: names file and key.
    """
    path = folder / "set.toml"
    if not path.is_file():
        raise NoInputError(f"{path}: no such media set")
    try:
        return build(MediaSet, read_toml(path))
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(str(path)) else f"{path}: {text}") from error
