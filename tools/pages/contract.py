"""docs/contract.md, made of the contract: every message and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from tools.pages.configuration import MADE

FOLDER = Path(__file__).resolve().parents[2] / "edge" / "publish" / "contract"
MESSAGES = ("status", "frame", "event", "state", "scene", "metrics", "command", "answer", "ack")
HEAD = f"""{MADE}

# Fields of the messages

Made of the JSON Schemas in `edge/publish/contract`. [Messages](messages.md) says when each comes.
"""


def text() -> str:
    """The page."""
    parts = [HEAD]
    for name in MESSAGES:
        path = FOLDER / f"{name}.json"
        if path.is_file():
            schema = json.loads(path.read_text("utf-8"))
            parts.append(_message(name, schema))
    return "\n".join(parts)


def _message(name: str, schema: Mapping[str, Any]) -> str:
    parts = [f"## {name}\n", schema.get("description", "") + "\n"]
    if schema.get("properties"):
        parts.append(_table(schema))
    for inner, part in schema.get("$defs", {}).items():
        if part.get("properties"):
            note = part.get("description", "")
            note = f"{note}\n\n" if note else ""
            parts.append(f"### {name}: {inner}\n\n{note}{_table(part)}")
    return "\n".join(parts)


def _table(schema: Mapping[str, Any]) -> str:
    lines = ["| field | type | meaning |", "|---|---|---|"]
    required = set(schema.get("required", ()))
    for path, part in _fields(schema, ""):
        optional = "" if path.split(".")[0].rstrip("[]") in required else " (optional)"
        meaning = part.get("description", "").replace("|", "\\|")
        lines.append(f"| `{path}`{optional} | {_type(part)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    """Path and schema of each field, those of inner objects and lists, too."""
    for name, part in schema.get("properties", {}).items():
        known = _resolved(part)
        yield path + name, known
        items = _resolved(known.get("items") or {}) if known.get("type") == "array" else {}
        if items.get("properties"):
            yield from _fields(items, f"{path}{name}[].")
        elif known.get("properties"):
            yield from _fields(known, f"{path}{name}.")


def _resolved(part: Mapping[str, Any]) -> Dict[str, Any]:
    """A schema with what its reference into types.json says."""
    reference = part.get("$ref", "")
    if not reference.startswith("types.json#/$defs/"):
        return dict(part)
    types = json.loads((FOLDER / "types.json").read_text("utf-8"))["$defs"]
    return {**types[reference.rsplit("/", 1)[1]], **{k: v for k, v in part.items() if k != "$ref"}}


def _type(part: Mapping[str, Any]) -> str:
    if "const" in part:
        return f"`{json.dumps(part['const'])}`"
    if "enum" in part:
        return " ".join(f"`{json.dumps(value)}`" for value in part["enum"])
    kinds: List[str] = part.get("type", "")
    words = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if "$ref" in part:
        return part["$ref"].rsplit("/", 1)[1]
    low, high = part.get("minimum"), part.get("maximum")
    if low is not None and high is not None:
        return f"{words} {low} to {high}"
    return f"{words} from {low}" if low is not None else words
