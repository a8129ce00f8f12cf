"""Loads plugs by name: a plug is a file in a room, such as edge/capture/v4l2.py.

A room is a package of edge/. Each file in it without a leading underscore is a plug. The file name
is the plug's name in the configuration. Only the chosen file is imported.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from types import ModuleType
from typing import List

from edge.errors import ConfigError


def names(room: str) -> List[str]:
    """The names of a room's plugs, sorted."""
    package = importlib.import_module(f"edge.{room}")
    found = (m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg)
    return sorted(n for n in found if not n.startswith("_"))


def load(room: str, name: str) -> ModuleType:
    """Import one plug of a room.

    Raises:
        ConfigError: no such plug; the message lists all plugs of the room.
    """
    known = names(room)
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"no {room} plug called {name!r}; {hint}there are: {', '.join(known)}")
    return importlib.import_module(f"edge.{room}.{name}")
