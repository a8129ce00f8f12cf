"""Reads the numbers of OpenCV's FileStorage: YAML, JSON or XML. Only what calibrations need.

OpenCV itself is not used: one place imports it, and its parser ends the program on some files.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import numpy as np

from edge.errors import DataError

Values = Dict[str, np.ndarray]  # numbers by key; keys of maps are joined by dots
_LINE = re.compile(
    r"^(?P<indent> *)(?P<key>[\"']?[^\s\"':#%\-][^\"':]*[\"']?) *:(?: +(?P<rest>.*))?$"
)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?\.(?:nan|inf)", re.IGNORECASE)
_DEEPEST = 8


def values_of(text: str, path: Path) -> Values:
    """All numbers of a file by key; a matrix as [rows, cols].

    Raises:
        DataError: it is no such file.
    """
    start = text.lstrip()[:1]
    try:
        if start == "{":
            return dict(_of_tree(json.loads(text), ""))
        if start == "<":
            body = text[text.index("<opencv_storage") :]
            return dict(_of_tree(_tree(ElementTree.fromstring(body), 0), ""))
        return dict(_of_tree(_yaml(text), ""))
    except (ValueError, RecursionError, ElementTree.ParseError) as error:
        raise DataError(f"{path}: is no file of OpenCV: {error}") from error


def _of_tree(node: Mapping[str, Any], prefix: str) -> Iterator[Tuple[str, np.ndarray]]:
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if "data" in value:
                yield name, _matrix(value, name)
            else:
                yield from _of_tree(value, f"{name}.")
        elif value is not None:
            found = _numbers(value)
            if found is not None:
                yield name, found


def _matrix(node: Mapping[str, Any], name: str) -> np.ndarray:
    data = _numbers(node["data"])
    if data is None:
        raise ValueError(f"the data of {name} are no numbers")
    rows, cols = [_numbers(node.get(k, 0)) for k in ("rows", "cols")]
    if rows is None or cols is None:
        raise ValueError(f"{name} has no rows and cols")
    shape = (int(rows.flat[0]), int(cols.flat[0]))
    if shape[0] * shape[1] and data.size != shape[0] * shape[1]:
        raise ValueError(f"{name} has {data.size} numbers for {shape[0]} x {shape[1]}")
    return data.reshape(shape) if shape[0] * shape[1] else data


def _numbers(value: Any) -> Any:
    """Numbers of a text, a number or (nested) lists; None if there is anything else."""
    if isinstance(value, bool):
        return np.array([float(value)])
    if isinstance(value, str):
        words = value.replace(",", " ").replace("[", " ").replace("]", " ").split()
        if words in (["true"], ["false"]):
            return np.array([float(words == ["true"])])
        if not words or not all(_NUMBER.fullmatch(word) for word in words):
            return None
        return np.array([float(re.sub(r"\.(?=[ni])", "", word.lower())) for word in words])
    try:
        return np.asarray(value, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None


def _tree(element: ElementTree.Element, depth: int) -> Dict[str, Any]:
    if depth > _DEEPEST:
        raise ValueError("its maps are nested too deeply")
    found: Dict[str, Any] = {}
    for child in element:
        found[child.tag] = _tree(child, depth + 1) if len(child) else (child.text or "").strip()
    return found


def _yaml(text: str) -> Dict[str, Any]:
    """Maps by their indentation; a value in brackets may go on over several lines."""
    top: Dict[str, Any] = {}
    stack: List[Tuple[int, Dict[str, Any]]] = [(-1, top)]
    for indent, key, rest in _entries(text):
        while stack[-1][0] >= indent:
            stack.pop()
        here = stack[-1][1]
        if rest and not rest.startswith("!!"):
            here[key] = rest.strip("\"'")
        else:
            here[key] = {}
            stack.append((indent, here[key]))
        if len(stack) > _DEEPEST:
            raise ValueError("its maps are nested too deeply")
    if not top:
        raise ValueError("no key was found")
    return top


def _entries(text: str) -> Iterator[Tuple[int, str, str]]:
    """Indentation, key and text of each entry."""
    lines = iter(text.splitlines())
    for line in lines:
        match = _LINE.match(line.rstrip())
        if not match:
            continue  # %YAML, ---, comments, items of lists
        rest = (match["rest"] or "").strip()
        while rest.count("[") > rest.count("]"):
            more = next(lines, None)
            if more is None:
                raise ValueError(f"the list of {match['key']} has no end")
            rest += " " + more.strip()
        yield len(match["indent"]), match["key"].strip().strip("\"'"), rest
