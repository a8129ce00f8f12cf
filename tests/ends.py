"""A shorter run of the same tests: of each test its first and last set of parameters."""

from __future__ import annotations

from typing import Dict, List

import pytest


def between_ends(items: List[pytest.Item]) -> List[pytest.Item]:
    """The sets of parameters of each test but for its first and last one."""
    sets: Dict[str, List[pytest.Item]] = {}
    for item in items:
        sets.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return [item for of_one in sets.values() for item in of_one[1:-1]]
