"""Write a template as a file that people can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge.durable import READABLE, write_whole
from edge.rules._action.template import Template, as_table

_HEAD = "# Template of an exercise for the rule `action`; made by `edge-tools template`.\n"


def write(template: Template, path: Path) -> None:
    """Write a template; an old file of that name is replaced whole."""
    lines = [f"{name} = {_value(value)}" for name, value in as_table(template).items()]
    write_whole(path, (_HEAD + "\n".join(lines) + "\n").encode(), READABLE)


def _value(value: Any) -> str:
    """A value as TOML; a list of rows has a line for each row."""
    if isinstance(value, list) and value and isinstance(value[0], (list, dict)):
        return "[\n" + "".join(f"  {_value(row)},\n" for row in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)  # of strings, numbers and lists also TOML
