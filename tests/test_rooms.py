"""The import rule of the house, and one heavy library in one place."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, Set, Tuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PURE = {
    "edge.structures",
    "edge.skeletons",
    "edge._skeleton_sets",
    "edge.geometry",
    "edge._assignment",
    "edge._stature",
    "edge.errors",
}
CONFIG = PURE | {"edge.schema", "edge.credentials", "edge._config_state", "edge._config_text",
                 "edge.config", "edge.plug", "edge.recipe"}
ALLOWED: Dict[str, Set[str]] = {
    "edge/structures.py": set(),
    "edge/errors.py": set(),
    "edge/skeletons.py": PURE,
    "edge/geometry.py": PURE,
    "edge/schema.py": {"edge.errors"},
    "edge/config.py": {"edge.errors", "edge._config_state", "edge._config_text", "edge.schema",
                       "edge.credentials"},
    "edge/_config_state.py": {"edge.schema"},
    "edge/_config_text.py": set(),
    "edge/credentials.py": {"edge.errors"},
    "edge/plug.py": {"edge.errors"},
    "edge/recipe.py": CONFIG,
    "edge/health.py": PURE,
    "edge/runtime/": CONFIG | {"edge.runtime"},
    "edge/fallen.py": {"edge.errors"},
    "edge/capture/": CONFIG | {"edge.capture", "edge.fallen"},
    "edge/models/": CONFIG | {"edge.models", "edge.runtime"},
    "edge/rules/": CONFIG | {"edge.rules"},
    "edge/track.py": CONFIG | {"edge._track_match", "edge._track_state"},
    "edge/_track_match.py": PURE | {"edge._assignment", "edge._track_state"},
    "edge/_track_state.py": PURE,
    "edge/_assignment.py": set(),
    "edge/_stature.py": PURE,
    "edge/smooth.py": CONFIG,
    "edge/degrade.py": CONFIG,
    "edge/_telemetry": PURE | {"edge.health", "edge._telemetry_sysfs"},
    "edge/codec.py": {"edge.errors"},
    "edge/messages.py": CONFIG | {"edge.codec", "edge"},
    "edge/publish/": CONFIG | {"edge.publish", "edge.messages", "edge.codec", "edge",
                               "edge.outbox", "edge._outbox_file", "edge._durable",
                               "edge._own_key"},
    "edge/outbox.py": PURE | {"edge._outbox_file", "edge._outbox_mark", "edge._outbox_salvage"},
    "edge/_outbox_file.py": PURE,
    "edge/_outbox_salvage.py": PURE | {"edge._durable", "edge._outbox_file"},
    "edge/_outbox_mark.py": set(),
    "edge/stillness.py": PURE,
    "edge/pipeline.py": PURE | {"edge.health", "edge.stillness"},
}
ONE_PLACE = {
    "onnxruntime": ("edge/runtime/ort.py", "tools/"),
    "tensorrt": ("edge/runtime/trt", "edge/runtime/_trt", "tools/"),
    "pycuda": ("edge/runtime/_cuda",),
    "paho": ("edge/publish/mqtt.py", "tools/", "examples/"),
    "torch": ("tools/",),
    "onnx": ("tools/",),
    "cv2": ("edge/models/_preprocess", "edge/capture/", "edge/annotate.py",
            "edge/snapshot.py", "tools/"),
    "gi": ("edge/capture/",),
    "jtop": ("edge/_telemetry_jtop.py",),
}
PURE_STAGES = ("edge/track.py", "edge/_track", "edge/stillness.py", "edge/_assignment.py",
               "edge/_stature.py", "edge/smooth.py", "edge/degrade.py", "edge/rules/",
               "edge/geometry.py", "edge/skeletons.py")
IMPURE = {"time", "datetime", "threading", "socket", "os", "pathlib", "io", "subprocess", "queue"}


def files(*roots: str) -> Iterator[Path]:
    for root in roots:
        yield from sorted((ROOT / root).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Modules a file imports; `from edge import plug` counts as edge.plug."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                is_module = (ROOT / (deeper.replace(".", "/") + ".py")).is_file()
                is_package = (ROOT / deeper.replace(".", "/")).is_dir()
                yield deeper if is_module or is_package else node.module


def room(path: Path) -> Tuple[str, Set[str]]:
    name = path.relative_to(ROOT).as_posix()
    match = max((k for k in ALLOWED if name.startswith(k)), key=len, default="")
    return name, ALLOWED.get(match, {"*"}) if match else {"*"}


@pytest.mark.parametrize("path", list(files("edge")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_edge_file_imports_only_what_its_room_may(path: Path) -> None:
    name, allowed = room(path)
    ours = [m for m in imports(path) if m.split(".")[0] in ("edge", "tools")]
    assert not [m for m in ours if m.startswith("tools")], "edge never imports tools"
    if "*" not in allowed:
        fine = [m for m in ours if any(m == a or (a != "edge" and m.startswith(a + "."))
                                       for a in allowed)]
        assert set(ours) <= set(fine), f"{name} may not import {set(ours) - set(fine)}"


@pytest.mark.parametrize("library", sorted(ONE_PLACE))
def test_heavy_library_has_one_place(library: str) -> None:
    for path in files("edge", "tools"):
        name = path.relative_to(ROOT).as_posix()
        if any(m.split(".")[0] == library for m in imports(path)):
            assert name.startswith(ONE_PLACE[library]), f"{name} imports {library}"


def test_pure_stages_do_no_io_and_read_no_clock() -> None:
    for path in files("edge"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(PURE_STAGES):
            tops = {m.split(".")[0] for m in imports(path)}
            assert not tops & IMPURE, f"{name} imports {tops & IMPURE}"


def test_data_rooms_hold_no_python() -> None:
    assert not list(files("engines", "calibration"))


def test_no_file_says_nothing_by_its_name() -> None:
    empty = {"util", "utils", "helper", "helpers", "common", "misc", "base", "core", "manager"}
    assert not [p for p in files("edge", "tools") if p.stem.lstrip("_") in empty]
