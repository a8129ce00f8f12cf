"""Where published files come from, as recipes and media sets say it."""

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
    """Names and versions become arguments of a client, so they must not look like options."""
    bad = value.startswith("-") or any(c.isspace() or ord(c) < 32 for c in value)
    return "must be one word that does not begin with -" if bad else None


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    member: str = key(help="path inside the archive")
    file: str = key(help="file name in the folder of the set", check=_file_problem)
    sha256: str = key(help="hash of the file", check=_sha256_problem)


@dataclass(frozen=True)
class MediaArchive:
    """One archive of a media set, and its files that are used."""

    registry: str = key(help="pypi, npm or debian", choices=tuple(SUFFIXES))
    package: str = key(help="name of the package", check=_word_problem)
    members: List[Member] = key(help="files of the archive that are used")
    version: str = key(
        "",
        "exact version; debian: empty = the version of the distribution's release",
        check=_word_problem,
    )
    wheel: str = key("", "python-abi-platform tags of the wheel")
    archive_sha256: str = key(
        "", "hash of the archive; empty = only the files are checked", check=_sha256_problem
    )
    archive_bytes: int = key(0, "size of the archive, for the progress bar", 0)


@dataclass(frozen=True)
class MediaSet:
    """Content of the set.toml of a media set."""

    sources: List[MediaArchive] = key(help="one [[sources]] table for each archive")
    description: str = key("", "one line about the set")
    licence: str = key("", "licence of the media")


@dataclass(frozen=True)
class Archive:
    """One archive of a registry, for the cache and the clients.

    Attributes:
        registry: pypi, npm or debian.
        package: name of the package.
        version: exact version; may be empty for debian.
        wheel: python-abi-platform tags; empty = any.
        sha256: empty = not checked.
        size: in bytes; 0 = unknown.
    """

    registry: str
    package: str
    version: str
    wheel: str
    sha256: str
    size: int

    def __str__(self) -> str:
        return f"{self.package} {self.version}".strip()

    @property
    def file_name(self) -> str:
        """Name in the cache: the sha256, or the package if there is no sha256."""
        return (self.sha256 or self.package.replace("/", "-")) + SUFFIXES[self.registry]


def archive_of_weights(weights: Weights) -> Archive:
    """The archive with the weights of a network.

    Raises:
        ConfigError: package or version cannot be an argument of a client.
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


def archive_of_media(source: MediaArchive) -> Archive:
    """The archive of a media set's [[sources]] table."""
    return Archive(
        source.registry,
        source.package,
        source.version,
        source.wheel,
        source.archive_sha256,
        source.archive_bytes,
    )


def load_set(folder: Path) -> MediaSet:
    """Read the set.toml of a media set.

    Raises:
        NoInputError: no such set. ConfigError: the file is wrong; names file and key.
    """
    path = folder / "set.toml"
    if not path.is_file():
        raise NoInputError(f"{path}: no such media set")
    try:
        return build(MediaSet, read_toml(path))
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(str(path)) else f"{path}: {text}") from error
