"""Files that `[[rules]]` tables name: templates of exercises, shipped or of the user."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping

from edge.errors import ConfigError, EdgeError
from edge.settings.toml_text import read_toml

SHIPPED = Path(__file__).resolve().parents[1] / "rules/_action/templates"
SUFFIX = ".toml"


def names() -> List[str]:
    """The names of the templates that are shipped."""
    return sorted(p.stem for p in SHIPPED.glob("*" + SUFFIX))


def read(name: str) -> Dict[str, Any]:
    """The table of a template.

    Args:
        name: of a shipped one, or a path that ends in .toml.

    Raises:
        ConfigError: there is none, or the file cannot be read.
    """
    if not name.endswith(SUFFIX) and name not in names():
        there = ", ".join(names())
        raise ConfigError(f"no template {name!r}; there are: {there}; or give a path to a .toml")
    try:
        return read_toml(Path(name) if name.endswith(SUFFIX) else SHIPPED / (name + SUFFIX))
    except EdgeError as error:
        raise ConfigError(f"template {error}") from error


def resolved(table: Mapping[str, Any], where: str) -> Dict[str, Any]:
    """A `[[rules]]` table with the content of the template that it names.

    Args:
        table: as in the configuration.
        where: key path of the table, for error lines.

    Raises:
        ConfigError: there is no such template.
    """
    named = table.get("template")
    if named is None or isinstance(named, dict):
        return dict(table)
    if not isinstance(named, str):
        raise ConfigError(f"{where}.template: {named!r}: write a name or a path to a .toml")
    try:
        return {**table, "template": read(table["template"])}
    except ConfigError as error:
        raise ConfigError(f"{where}.template: {error}") from error
