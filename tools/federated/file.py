"""A parameter file: how far the weights of a network moved at a site, signed.

    magic, length of the head, signature of the head, head (JSON), float32 little-endian

The head has the sha256 of the base network and of the data, names and shapes of the weights, the
number of examples, and the site's name. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge.durable import READABLE, new_file
from edge.errors import DataError, NoInputError
from edge.settings.schema import name_problem

MAGIC = b"EDGEPAR1"
SCHEMA = "parameters/1"
HEAD = struct.Struct("<8sI64s")
MOST_HEAD_BYTES = 8 << 20
MOST_EXAMPLES = 10**9


@dataclass(frozen=True)
class Moved:
    """How far weights moved at a site.

    Attributes:
        site: its name.
        base: sha256 of the network file that it began with.
        examples: labelled people that it trained on.
        names: of the weights, in order.
        shapes: of the weights.
        moved: [P] f32, all weights one after the other: new minus old.
    """

    site: str
    base: str
    examples: int
    names: Tuple[str, ...]
    shapes: Tuple[Tuple[int, ...], ...]
    moved: np.ndarray

    @property
    def norm(self) -> float:
        """Length of the move."""
        return float(np.linalg.norm(self.moved.astype(np.float64)))


def write(path: Path, moved: Moved, key: Ed25519PrivateKey) -> int:
    """Write a signed file; returns its bytes.

    Raises:
        NoInputError: the folder cannot be written.
    """
    data = moved.moved.astype("<f4").tobytes()
    table = {
        "schema": SCHEMA,
        "site": moved.site,
        "base": moved.base,
        "examples": moved.examples,
        "names": moved.names,
        "shapes": moved.shapes,
        "norm": moved.norm,
        "data": hashlib.sha256(data).hexdigest(),
    }
    head = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    try:
        with new_file(path, READABLE) as out:
            out.write(HEAD.pack(MAGIC, len(head), key.sign(head)))
            out.write(head)
            out.write(data)
    except OSError as error:
        raise NoInputError(f"{error.filename}: {error.strerror}") from error
    return HEAD.size + len(head) + len(data)


def read(path: Path, key: Ed25519PublicKey) -> Moved:
    """Read a file of a site.

    Args:
        path: of the file.
        key: of the site.

    Raises:
        NoInputError: it cannot be read. DataError: it is another kind of file, not signed with this
            key, changed since, or holds a value that is no number.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    magic, length, signature = (
        HEAD.unpack(content[: HEAD.size]) if len(content) >= HEAD.size else (b"", 0, b"")
    )
    if magic != MAGIC or length > MOST_HEAD_BYTES:
        raise DataError(f"{path}: is no parameter file; `edge-tools share` makes one")
    head, data = content[HEAD.size : HEAD.size + length], content[HEAD.size + length :]
    try:
        key.verify(signature, head)
    except InvalidSignature:
        raise DataError(f"{path}: is not signed with the key of this site") from None
    try:
        return _moved(json.loads(head), data)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error


def _moved(table: Dict[str, Any], data: bytes) -> Moved:
    """Check a signed head and its data; raises KeyError, TypeError, ValueError."""
    if table["schema"] != SCHEMA or name_problem(table["site"]):
        raise ValueError("is of another kind or version, or its site is no name")
    if hashlib.sha256(data).hexdigest() != table["data"]:
        raise ValueError("was changed since it was signed")
    shapes = tuple(tuple(int(n) for n in shape) for shape in table["shapes"])
    names: List[str] = [str(name) for name in table["names"]]
    sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes]
    moved = np.frombuffer(data, "<f4").astype(np.float32)
    if len(names) != len(shapes) or sum(sizes) != len(moved):
        raise ValueError("has another number of weights than it says")
    if not np.isfinite(moved).all():
        raise ValueError("holds a weight that is no number")
    if not 0 < int(table["examples"]) <= MOST_EXAMPLES:
        raise ValueError("its number of examples is outside its range")
    return Moved(
        table["site"], str(table["base"]), int(table["examples"]), tuple(names), shapes, moved
    )
