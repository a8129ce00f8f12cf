"""`edge-tools contract`: write the contract of the messages, and the keypoint sets as JSON.

The schemas of edge/publish/contract refer to each other by file. Many code generators take only one
file and name types by their titles. So `bundle` makes one AsyncAPI document that contains all
schemas and has a title for each object.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
from pathlib import Path
from typing import Any, Dict, List

import edge.publish
from edge import skeletons
from edge.durable import READABLE, write_whole
from edge.errors import NoInputError

HELP = "write the contract of the messages as one file, and the keypoint sets as JSON"
FOLDER = Path(edge.publish.__file__).parent / "contract"
DOCUMENT, SKELETONS = "asyncapi.json", "skeletons.json"
BUNDLE = "bundle.json"
Json = Dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(),
        help=f"folder for {BUNDLE} and {SKELETONS}; default: the current folder",
    )
    parser.add_argument("--json", action="store_true", help=f"print {BUNDLE} and write nothing")


def run(arguments: argparse.Namespace) -> int:
    """Write or print the contract."""
    text = as_text(bundle())
    if arguments.json:
        print(text, end="")
        return 0
    if not arguments.out.is_dir():
        raise NoInputError(f"{arguments.out}: no such folder; create it")
    for name, body in ((BUNDLE, text), (SKELETONS, as_text(sets()))):
        write_whole(arguments.out / name, body.encode(), READABLE)
        print(arguments.out / name)
    return 0


def as_text(document: Json) -> str:
    """A document as JSON with each list of numbers or names on one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^][{}]*\]", lambda m: " ".join(m.group().split()), text) + "\n"


def sets() -> Json:
    """Names, edges, mirror indices, parts and colours of all keypoint sets.

    Returns:
        `skeletons`: for each name `points` (names by index), `parts` (indices of body, feet, face
        and hands), `mirror` (index of the point on the other side, or of the point itself), `edges`
        (pairs of indices), `colours` (#rrggbb of each edge).
    """
    return {"title": "Skeletons", "skeletons": {n: _set(n) for n in skeletons.names()}}


def _set(name: str) -> Json:
    skeleton = skeletons.get(name)
    return {
        "points": list(skeleton.names),
        "parts": {part: indices.tolist() for part, indices in skeleton.parts.items()},
        "mirror": skeleton.flip.tolist(),
        "edges": skeleton.edges.tolist(),
        "colours": ["#{:02x}{:02x}{:02x}".format(*c[::-1]) for c in skeleton.colours.tolist()],
    }


def bundle() -> Json:
    """The AsyncAPI document without references to other files."""
    document: Json = _read(DOCUMENT)
    for name, message in document["components"]["messages"].items():
        schema = _read(message["payload"]["schema"]["$ref"].rpartition("/")[2])
        message["payload"] = _whole(schema, schema, ())
        _name_objects(message["payload"], _camel(name))
    return document


def _read(name: str) -> Json:
    table: Json = json.loads((FOLDER / name).read_text("utf-8"))
    return table


def _whole(node: Any, file: Json, inside: Any) -> Any:
    """A part of a schema in which each reference is replaced by its target."""
    if isinstance(node, list):
        return [_whole(n, file, inside) for n in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _followed(node, file, inside)
    left_out = ("$schema", "$id", "$defs")
    return {key: _whole(n, file, inside) for key, n in node.items() if key not in left_out}


def _followed(node: Json, file: Json, inside: Any) -> Any:
    name, _, path = node["$ref"].partition("#")
    there = _read(name) if name else file
    if node["$ref"] in inside and not name:
        return {}  # a schema that contains itself: anything is allowed from here
    target: Any = there
    for step in path.strip("/").split("/") if path else []:
        target = target[step]
    beside = {k: copy.deepcopy(v) for k, v in node.items() if k != "$ref"}
    return {**_whole(target, there, (*inside, node["$ref"])), **beside}


def _name_objects(node: Any, name: str) -> None:
    """Give each object without a title the name of its place; generators name types by titles."""
    if not isinstance(node, dict):
        return
    if node.get("type") == "object" or "properties" in node:
        node.setdefault("title", name)
    for key, value in node.get("properties", {}).items():
        _name_objects(value, name + _camel(key))
    for key in ("items", "additionalProperties", "if", "then", "else"):
        _name_objects(node.get(key), name + "Item" * (key in ("items", "additionalProperties")))
    for key in ("oneOf", "anyOf", "allOf", "prefixItems"):
        branches: List[Any] = node.get(key, [])
        for i, value in enumerate(branches):
            _name_objects(value, f"{name}{i + 1}")


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
