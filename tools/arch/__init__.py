"""PyTorch definitions of the networks whose official checkpoints `edge-tools export` reads.

`names()` lists them, `describe(name)` returns the inputs and outputs of one, `build(name)` makes
it. Parameters have the keys and shapes of the published mmpose and mmdetection checkpoints.
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
    """The names of all architectures."""
    return list(CATALOG)


def describe(name: str) -> Architecture:
    """The architecture of a name.

    `_` counts as `-`. The usual input size (height x width) and the training data set may be added
    to the name or left out of it.

    Raises:
        ConfigError: the name is unknown. The message names the most similar ones.
    """
    wanted = name.lower().replace("_", "-")
    found = _possible_names(wanted)
    if found:
        return CATALOG[found[0]]
    near = difflib.get_close_matches(wanted, CATALOG, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`edge-tools export --list` has all"
    raise ConfigError(f"no architecture called {name}; {hint}")


def _possible_names(wanted: str) -> List[str]:
    """The names that may be meant: with and without the input size and the data set."""
    stem, size, pixels = wanted, "", None
    sized = re.fullmatch(r"(.+)(-(\d+)x(\d+))", wanted)
    if sized:
        stem, size, pixels = sized[1], sized[2], (int(sized[3]), int(sized[4]))
    bare = re.sub(r"-(coco|coco17|coco80|wholebody|body17)$", "", stem)
    known = [n for n in (stem + size, bare + size, stem, bare) if n in CATALOG]
    return [n for n in known if pixels in (None, CATALOG[n].size)]


def build(name: str, size: Optional[Tuple[int, int]] = None) -> Network:
    """Make a network with random weights, in evaluation mode.

    Args:
        name: one of `names()`.
        size: height and width of the input in px, multiples of 32. None = the usual size.

    Raises:
        ConfigError: the name is unknown.
    """
    return describe(name).build(size)
