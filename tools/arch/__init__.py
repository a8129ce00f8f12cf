"""PyTorch definitions of the networks whose official checkpoints we take.

`names()` lists them, `describe(name)` says what a network wants and gives, `build(name)` makes it.
Keys and shapes of the parameters are those of the published mmpose and mmdet checkpoints.
"""

from __future__ import annotations

import difflib
import re
from typing import List, Optional, Tuple

from edge.errors import ConfigError
from tools.arch.catalog import CATALOG, Architecture
from tools.arch.network import Network

__all__ = ["Architecture", "Network", "build", "describe", "names"]


def names() -> List[str]:
    """All architectures."""
    return list(CATALOG)


def describe(name: str) -> Architecture:
    """One architecture by name.

    `_` is read as `-`, and what a name says twice may be left out or added: the usual input size
    (height x width) and the data set it is trained on.

    Raises:
        ConfigError: there is none; the message names the nearest.
    """
    wanted = name.lower().replace("_", "-")
    found = _readings(wanted)
    if found:
        return CATALOG[found[0]]
    near = difflib.get_close_matches(wanted, CATALOG, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`edge-tools export --list` has all"
    raise ConfigError(f"no architecture called {name}; {hint}")


def _readings(wanted: str) -> List[str]:
    """Names that this may stand for: with and without its input size and its data set."""
    stem, size, pixels = wanted, "", None
    sized = re.fullmatch(r"(.+)(-(\d+)x(\d+))", wanted)
    if sized:
        stem, size, pixels = sized[1], sized[2], (int(sized[3]), int(sized[4]))
    bare = re.sub(r"-(coco|coco17|coco80|wholebody|body17)$", "", stem)
    known = [n for n in (stem + size, bare + size, stem, bare) if n in CATALOG]
    return [n for n in known if pixels in (None, CATALOG[n].size)]


def build(name: str, size: Optional[Tuple[int, int]] = None) -> Network:
    """A network with fresh weights, in evaluation mode.

    Args:
        name: one of `names()`.
        size: height and width of the input in px, multiples of 32; its own if None.

    Raises:
        ConfigError: no such name.
    """
    return describe(name).build(size)
