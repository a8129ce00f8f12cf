"""Every name of TensorRT that a source file uses, found in its syntax tree.

`trt.X` and `trt.X.Y` are names of the module; attributes of variables with agreed names
(`builder`, `config`, ...) are names of the class that the variable holds.
"""

from __future__ import annotations

import ast
from typing import Set

HOLDS = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "profile": "IOptimizationProfile",
    "layer": "ILayer",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "runtime": "Runtime",
    "inspector": "EngineInspector",
    "cache": "ITimingCache",
    "error": "ParserError",
}
EVERYWHERE = {"__version__", "__init__"}


def used(source: str) -> Set[str]:
    """`BuilderFlag`, `BuilderFlag.INT8`, `Builder.create_network`, ... of a file."""
    found: Set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr not in EVERYWHERE:
            found |= _names(node)
        if isinstance(node, ast.ClassDef):
            found |= _overridden(node)
    return found


def speaks(source: str) -> bool:
    """Whether a file names anything of TensorRT's module; one that only passes it on does not."""
    return "trt." in source and any(
        isinstance(n, ast.Attribute) and _is_module(n.value) and n.attr not in EVERYWHERE
        for n in ast.walk(ast.parse(source))
    )


def _names(node: ast.Attribute) -> Set[str]:
    owner = node.value
    if _is_module(owner):
        return {node.attr}
    if isinstance(owner, ast.Attribute) and _is_module(owner.value):
        return {f"{owner.attr}.{node.attr}"}
    if isinstance(owner, ast.Name) and owner.id.lstrip("_") in HOLDS:
        return {f"{HOLDS[owner.id.lstrip('_')]}.{node.attr}"}
    return set()


def _is_module(node: ast.expr) -> bool:
    """`trt` or `self.trt` or `self._trt`."""
    name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
    return name.lstrip("_") == "trt"


def _overridden(node: ast.ClassDef) -> Set[str]:
    """Methods of a class that derives from one of TensorRT's."""
    bases = [b.attr for b in node.bases if isinstance(b, ast.Attribute) and _is_module(b.value)]
    methods = [f.name for f in node.body if isinstance(f, ast.FunctionDef)]
    return {f"{base}.{m}" for base in bases for m in methods if not m.startswith("_")}
