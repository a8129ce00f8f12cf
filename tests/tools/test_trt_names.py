"""Every TensorRT name in our code exists in every version, or is known not to and guarded."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, Set

import pytest

from tests.fakes.tensorrt_fake import VERSIONS, names
from tests.tools.trt_names import speaks, used
from tools.engines.names import GONE, KNOWN, SINCE, cache_number, has, parse

ROOT = Path(__file__).resolve().parents[2]
LISTS: Dict[str, Dict[str, Any]] = {version: names(version) for version in VERSIONS}


def files() -> Iterator[Path]:
    """Those that speak of TensorRT's module at all."""
    for room in ("edge", "tools"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if speaks(path.read_text("utf-8")):
                yield path


def exists(name: str, version: str) -> bool:
    api = LISTS[version]
    owner, _, member = name.partition(".")
    if member:
        return member in api["enums"].get(owner, ()) or member in api["classes"].get(owner, ())
    return name in api["module"] or name in api["classes"]


def wrong(found: Set[str], version: str) -> Set[str]:
    """Names that a version lacks although the tables do not say so."""
    return {n for n in found if not exists(n, version) and has(n, parse(version))}


@lru_cache(maxsize=None)
def code() -> Dict[str, Set[str]]:
    return {p.relative_to(ROOT).as_posix(): used(p.read_text("utf-8")) for p in files()}


def test_the_files_that_talk_to_tensorrt_are_looked_at() -> None:
    found = code()
    runner = {f"edge/runtime/_trt/{name}.py" for name in ("engine", "contexts")}
    assert {"tools/engines/trt.py", "tools/engines/callbacks.py"} | runner <= set(found)
    assert len(set().union(*found.values())) > 40


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_exists_or_is_guarded(version: str) -> None:
    assert not {file: w for file, found in code().items() if (w := wrong(found, version))}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tables_tell_the_truth(version: str) -> None:
    for name in {**SINCE, **GONE}:
        assert has(name, parse(version)) == exists(name, version), name


def test_a_name_in_a_table_is_used() -> None:
    spoken = set().union(*code().values())
    words = "".join(p.read_text("utf-8") for p in (ROOT / "tools" / "engines").glob("*.py"))
    for name in {**SINCE, **GONE}:
        member = name.split(".")[-1]
        assert name in spoken or f'"{member}"' in words, f"{name}: is no longer used"


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("trt.BuilderFlag.INT9", "8.5.3.1"),
        ("trt.BuilderFlag.VERSION_COMPATIBLE", "8.5.3.1"),
        ("self.trt.Bilder", "11.4.0.106"),
        ("config.max_workspace_size = 1", "10.3.0"),
        ("builder.platform_has_fast_int8", "11.4.0.106"),
        ("engine.num_bindings", "10.16.1.11"),
        ("context.execute_async_v2(x)", "10.3.0"),
        ("class A(trt.IProgressMonitor):\n    def phase_stop(self): ...", "10.3.0"),
        ("trt.IInt8MinMaxCalibrator", "11.4.0.106"),
    ],
)
def test_a_wrong_name_is_found(line: str, version: str) -> None:
    assert wrong(used(line), version)


def test_right_names_pass() -> None:
    for line in ("builder.create_network(0)", "engine.num_io_tensors", "context.infer_shapes()"):
        assert used(line)
        assert not wrong(used(line), "8.5.3.1")


def test_versions_are_those_of_the_lists() -> None:
    assert KNOWN == VERSIONS
    assert [cache_number(parse(v)) for v in ("8.5.2.2", "8.6.1", "10.3.0", "10.16.1.11")] == [
        8502,
        8601,
        100300,
        101601,
    ]


def test_numbers_of_enum_members_are_never_written() -> None:
    """1 << 0 is EXPLICIT_BATCH in TensorRT 8 and STRONGLY_TYPED in 11."""
    for path in files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift):
                fixed = isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)
                assert not fixed, f"{path.name}:{node.lineno}"
