"""What we call of PyCUDA exists in it, and the fake has nothing that it lacks.

The list was read off the wrapper's source of version 2026.1 (src/wrapper/wrap_cudadrv.cpp).
"""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any, Dict, List, Set

from tests.fakes.cuda_fake import FakeCuda
from tests.fakes.pycuda_fake import modules

ROOT = Path(__file__).resolve().parents[3]
LIST: Dict[str, Any] = json.loads((ROOT / "tests/data/pycuda_names.json").read_text("utf-8"))


def used() -> Dict[str, Set[str]]:
    """`drv.X` and `drv.X.Y` of each file."""
    found: Dict[str, Set[str]] = {}
    for path in sorted((ROOT / "edge").rglob("*.py")):
        names: Set[str] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                parts: List[str] = [node.attr]
                owner: Any = node.value
                while isinstance(owner, ast.Attribute):
                    parts.insert(0, owner.attr)
                    owner = owner.value
                if isinstance(owner, ast.Name) and owner.id == "drv":
                    names.add(".".join(parts))
        if names:
            found[path.name] = names
    return found


def exists(name: str) -> bool:
    owner, _, member = name.partition(".")
    return owner in LIST["module"] and (not member or member in LIST["classes"].get(owner, ()))


def test_every_name_exists() -> None:
    found = used()
    assert len(set().union(*found.values())) > 15
    assert not {
        file: wrong
        for file, names in found.items()
        if (wrong := {n for n in names if not exists(n)})
    }


def test_device_attributes_are_those_of_the_driver() -> None:
    assert {"INTEGRATED", "CAN_MAP_HOST_MEMORY"} <= set(LIST["classes"]["device_attribute"])


def test_the_fake_has_nothing_that_is_not_there() -> None:
    driver = modules(FakeCuda())["pycuda.driver"]
    for name, value in vars(driver).items():
        if name.startswith("__"):
            continue
        assert name in LIST["module"], name
        if inspect.isclass(value) and not issubclass(value, Exception):
            public = {n for n in vars(value) if not n.startswith("_")}
            assert public <= set(LIST["classes"][name]), name


def test_a_wrong_name_is_found() -> None:
    assert not exists("Strem")
    assert not exists("host_alloc_flags.MAPPED")
    assert exists("host_alloc_flags.DEVICEMAP")
