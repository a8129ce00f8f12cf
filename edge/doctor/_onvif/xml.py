"""XML from strangers: no document types, so no entities; bounded in size, depth and elements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterator, List
from xml.parsers import expat

from edge.errors import DataError

MOST_BYTES, MOST_DEPTH, MOST_ELEMENTS = 1 << 18, 32, 5000


@dataclass
class Element:
    """An element by its local name; namespaces are not kept."""

    name: str
    attributes: Dict[str, str] = field(default_factory=dict)
    text: str = ""
    inner: List[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """The elements of a name below this one, at any depth, in their order."""
        for one in self.inner:
            if one.name == name:
                yield one
            yield from one.all(name)

    def first(self, *path: str) -> str:
        """The text of the first element on a path of names; "" = there is none."""
        here = self
        for name in path:
            found = next(here.all(name), None)
            if found is None:
                return ""
            here = found
        return here.text.strip()


def parse(data: bytes) -> Element:
    """The root of a document.

    Raises:
        DataError: it is no XML, has a document type, or is too large.
    """
    if len(data) > MOST_BYTES:
        raise DataError(f"XML of more than {MOST_BYTES} bytes")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = builder.doctype
    parser.EntityDeclHandler = builder.doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"no XML: {error}") from error
    return builder.root.inner[0]


class _Builder:
    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]
        self._count = 0

    def doctype(self, *anything: object) -> None:
        raise DataError("XML with a document type; it is refused")

    def start(self, name: str, attributes: Dict[str, str]) -> None:
        self._count += 1
        if len(self._open) > MOST_DEPTH or self._count > MOST_ELEMENTS:
            raise DataError("XML with too many elements")
        one = Element(_local(name), {_local(key): value for key, value in attributes.items()})
        self._open[-1].inner.append(one)
        self._open.append(one)

    def end(self, name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        self._open[-1].text += data


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
