"""The Python packages of a Debian package's wheels, or of this environment, with their licences."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

from edge.errors import DataError, NoInputError

OWN = "edge-pose"
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST_NAME = 64  # of a licence; a longer field is the whole text
_UNKNOWN = ("", "unknown", "none")


@dataclass(frozen=True)
class Part:
    """One package of one version."""

    name: str  # normalised (PEP 503)
    version: str
    licence: str  # SPDX expression or a name; empty = the package does not say
    is_expression: bool  # whether `licence` is an SPDX expression (PEP 639)
    home: str  # URL; empty = the package does not say
    needs: Tuple[str, ...]  # names of packages, whether or not they are here
    file: str = ""  # of the wheel
    sha256: str = ""  # of the wheel

    @property
    def purl(self) -> str:
        """The package URL (github.com/package-url/purl-spec)."""
        return f"pkg:pypi/{self.name}@{self.version.replace('+', '%2B')}"

    @property
    def reference(self) -> str:
        """Names the part in the document; wheels for several Pythons are several parts."""
        return f"{self.purl}#{self.file}" if self.file else self.purl


def normal(name: str) -> str:
    """The one spelling of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def of_wheels(folder: Path) -> List[Part]:
    """The wheels in a folder and below it, each file once.

    Raises:
        NoInputError: there are none. DataError: a file is no wheel.
    """
    files = {path.name: path for path in sorted(folder.rglob("*.whl"))}
    if not files:
        raise NoInputError(f"{folder}: contains no wheels; `make wheels` fetches them")
    return [_of_wheel(path) for _, path in sorted(files.items())]


def _of_wheel(path: Path) -> Part:
    try:
        with zipfile.ZipFile(path) as wheel:
            inner = [n for n in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
            text = wheel.read(inner[0]).decode("utf-8")
    except (OSError, zipfile.BadZipFile, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no wheel") from error
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return _part(Parser().parsestr(text, headersonly=True), path.name, sha256)


def of_environment(root: str = OWN) -> List[Part]:
    """The packages of this environment that a package needs, itself included.

    Raises:
        NoInputError: it is not installed here.
    """
    there: Dict[str, Message] = {}
    for found in importlib.metadata.distributions():
        data: Message = found.metadata  # type: ignore[assignment]
        if data["Name"]:
            there.setdefault(normal(data["Name"]), data)
    if root not in there:
        raise NoInputError(f"{root} is not installed in this environment; make setup")
    wanted, todo = {}, [root]
    while todo:
        name = todo.pop()
        if name in there and name not in wanted:
            wanted[name] = _part(there[name])
            todo += wanted[name].needs
    return [wanted[name] for name in sorted(wanted)]


def _part(data: Message, file: str = "", sha256: str = "") -> Part:
    licence, is_expression = _licence(data)
    needs: Set[str] = set()
    for line in data.get_all("Requires-Dist") or []:
        match = _REQUIREMENT.match(line)
        if match and "extra ==" not in line.replace("'", '"'):
            needs.add(normal(match.group()))
    return Part(
        normal(str(data["Name"])),
        str(data["Version"]),
        licence,
        is_expression,
        _home(data),
        tuple(sorted(needs)),
        file,
        sha256,
    )


def _licence(data: Message) -> Tuple[str, bool]:
    """The licence, and whether it is an SPDX expression."""
    expression = str(data["License-Expression"] or "").strip()
    if expression:
        return expression, True
    said = str(data["License"] or "").strip()
    if said.lower() not in _UNKNOWN and len(said) <= _LONGEST_NAME and "\n" not in said:
        return said, False
    found = [line for line in data.get_all("Classifier") or [] if line.startswith("License ::")]
    return " OR ".join(_last(line) for line in found), False


def _last(classifier: str) -> str:
    return classifier.rsplit("::", 1)[-1].strip()


def _home(data: Message) -> str:
    named = [line.partition(",") for line in data.get_all("Project-URL") or []]
    urls: Sequence[str] = [str(data["Home-page"] or ""), *(url.strip() for _, _, url in named)]
    return next((u for u in urls if re.fullmatch(r"https?://[\x21-\x7e]+", u)), "")
