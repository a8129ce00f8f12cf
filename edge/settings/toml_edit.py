"""Set keys in a TOML file that a person wrote; comments, order and line ends stay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Comment, Item, Table

from edge.errors import ConfigError
from edge.settings.toml_text import BYTE_ORDER_MARK, parse_toml

_BARE_NEWLINE = re.compile(r"(?<!\r)\n")


def set_keys(path: Path, text: str, wanted: Mapping[Tuple[str, str], Any]) -> str:
    """Set several keys, then read the result: nothing but these keys may have changed.

    Args:
        path: the file, for messages.
        text: its content; may begin with a byte order mark.
        wanted: values by section ("" = the top level) and key.

    Returns:
        The new text.

    Raises:
        ConfigError: the text cannot be edited.
    """
    expected, made = parse_toml(path, text), text
    try:
        for (section, name), value in wanted.items():
            made = set_key(made, section, name, value)
            (expected.setdefault(section, {}) if section else expected)[name] = value
        fits = parse_toml(path, made) == expected
    except ConfigError:
        fits = False
    if not fits:
        keys = ", ".join(f"{section}.{name}".lstrip(".") for section, name in wanted)
        raise ConfigError(f"{path}: cannot be edited by this program; set {keys} by hand")
    return made


def set_key(text: str, section: str, name: str, value: Any) -> str:
    """Set one key: in its place, in the place of a commented-out line, or as a new line.

    Args:
        text: the file; may begin with a byte order mark.
        section: name of a table at the top level; "" = the top level itself.
        name: the key.
        value: a string, a number, a boolean, or a list of these.

    Returns:
        The new text; the same one where the key has this value already. A new line stands below the
        last key of its section; a missing section is added at the end.

    Raises:
        ConfigError: the text is not TOML, or the section is not a table.
    """
    body = text[1:] if text.startswith(BYTE_ORDER_MARK) else text
    try:
        made = _edited(body, section, name, value)
    except (TOMLKitError, RecursionError) as error:
        raise ConfigError(f"cannot be edited: {error}") from error
    if "\r\n" in body and not _BARE_NEWLINE.search(body):
        made = _BARE_NEWLINE.sub("\r\n", made)
    return text[: len(text) - len(body)] + made


def _edited(text: str, section: str, name: str, value: Any) -> str:
    document = tomlkit.parse(text)
    if section and section not in document:
        document.append(section, tomlkit.table().add(name, value))
        return document.as_string()
    table: Any = document[section] if section else document
    plain = table.unwrap()
    if not isinstance(plain, dict):
        raise ConfigError(f"cannot be edited: {section} is not a table")
    if name in plain and _line(name, plain[name]) == _line(name, value):
        return text
    comment = None if name in table else _commented_out(table, name)
    above = None if name in table else _last_line(table)
    if comment is not None:
        # An item is written as its trivia says: this comment becomes the key's line.
        comment.trivia.comment = _line(name, value)
    elif above is not None:
        # tomlkit would add the key below the comments that end this section; these may belong to
        # the next one.
        trivia = above.trivia
        trivia.trail = f"{trivia.trail or chr(10)}{trivia.indent}{_line(name, value)}\n"
    else:
        table[name] = value
    return document.as_string()


def _line(name: str, value: Any) -> str:
    return tomlkit.dumps({name: value}).rstrip("\n")


def _commented_out(table: Any, name: str) -> Optional[Comment]:
    """The comment that is this key's line behind a #."""
    comments = [item for item in _items(table) if isinstance(item, Comment)]
    return next((c for c in comments if _sets(c.trivia.comment.lstrip("# \t"), name)), None)


def _sets(line: str, name: str) -> bool:
    try:
        return list(tomlkit.parse(line)) == [name]
    except TOMLKitError:
        return False


def _last_line(table: Any) -> Optional[Item]:
    """The last key of a section, or its head; None where neither has a line of its own."""
    keys = [item for item in _items(table, with_key=True) if not isinstance(item, (Table, AoT))]
    head = table if isinstance(table, Table) and not table.is_super_table() else None
    return keys[-1] if keys else head


def _items(table: Any, with_key: bool = False) -> List[Item]:
    """Items of a section in their order; none where its keys are written as `section.key = 1`."""
    if isinstance(table, Table):
        table = None if table.is_super_table() else table.value
    body = getattr(table, "body", ())
    return [item for key, item in body if key is not None or not with_key]
