"""Who may import whom, room by room. What is not allowed here is forbidden."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Set, Tuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Files at the top of edge/, each with the other top files and rooms it may import.
TOP: Dict[str, Set[str]] = {
    "__init__": set(),
    "__main__": {"__init__", "errors", "settings", "service", "doctor"},
    "masking": set(),
    "errors": {"masking"},
    "threads": {"errors"},
    "durable": {"errors"},
    "plug": {"errors"},
    "codec": {"errors"},
    "structures": {"skeletons", "lens", "view"},
    "scene_structures": {"structures"},
    "skeleton_sets": set(),
    "skeletons": {"errors", "skeleton_sets", "structures"},
    "geometry": set(),
    "lens": set(),
    "view": set(),
    "recipe": {"errors", "settings"},
    "message_people": {"structures", "scene_structures"},
    "messages": {"errors", "codec", "settings", "message_people"}
    | {"structures", "scene_structures"},
    "health": {"structures"},
    "stage_thread": set(),
    "stages": {"structures", "scene_structures", "people"},
    "pipeline": {"structures", "health", "people", "stage_thread", "stages"},
}
RECORDS = {"errors", "structures", "scene_structures", "skeletons", "geometry", "lens", "view"}
PROMISE = {
    "errors",
    "structures",
    "scene_structures",
    "skeletons",
    "settings",
    "durable",
    "codec",
    "messages",
}
# Rooms of edge/, each with the top files and other rooms it may import.
ROOMS: Dict[str, Set[str]] = {
    "settings": {"errors", "masking"},
    "people": RECORDS | {"settings"},
    # Several cameras: pure as people, whose assignment and limbs it uses.
    "scene": RECORDS | {"people"},
    # Files of calibrations become what a scene works with; reads them, so it is not in `scene`.
    "rig": {"errors", "lens", "settings", "scene"},
    # Rules that measure in metres use the floor of a calibrated camera.
    "rules": RECORDS | {"settings", "people", "plug", "scene"},
    "capture": RECORDS | {"masking", "settings", "plug", "threads"},
    # What is not a camera: inertial sensors, and depth images beside a camera.
    "sensors": RECORDS | {"settings", "plug"},
    "runtime": RECORDS | {"plug", "recipe"},
    "models": RECORDS | {"settings", "plug", "recipe", "runtime", "people"},
    "keys": {"errors"},
    "outbox": {"errors", "durable"},
    "publish": PROMISE | {"__init__", "masking", "plug", "outbox", "keys"},
    "telemetry": {"errors", "settings", "threads"},
    "recording": PROMISE,
    "loop": RECORDS
    | {"settings", "plug", "recipe", "threads", "health", "messages", "durable"}
    | {"stages", "pipeline"}
    | {
        "sensors",
        "capture",
        "runtime",
        "models",
        "people",
        "rules",
        "keys",
        "publish",
        "scene",
        "rig",
    },
    "degrade": {"errors", "settings", "health", "telemetry", "people", "loop"},
    "commands": PROMISE | {"keys", "loop", "message_people"},
    "bundle": PROMISE | {"keys", "loop", "models"},
    "service": {"*"},
    "doctor": {"*"},
}
# A heavy library and the only places that import it.
ONE_PLACE = {
    "onnxruntime": ("edge/runtime/_ort/", "tools/"),
    "openvino": ("edge/runtime/_openvino/library.py",),
    "tensorrt": ("edge/runtime/trt.py", "edge/runtime/_trt/", "tools/"),
    "pycuda": ("edge/runtime/_cuda/",),
    # The sink, and the doctor's one connection under another name.
    "paho": ("edge/publish/_paho.py", "edge/publish/_probe.py", "tools/", "examples/"),
    "torch": ("tools/",),
    "torch_pruning": ("tools/training/pruning/channels.py",),
    "numba": ("tools/render/",),
    "OpenEXR": ("tools/render/scene/environment.py",),
    "duckdb": ("tools/landing/",),
    "onnx": ("tools/",),
    "cv2": (
        "edge/models/_preprocess/",
        "edge/people/flow.py",
        "edge/people/camera_motion.py",
        "edge/capture/",
        "edge/sensors/depth/file.py",
        "edge/service/annotate.py",
        "edge/commands/snapshot.py",
        "tools/",
    ),
    "gi": ("edge/capture/",),
    "pyrealsense2": ("edge/sensors/depth/realsense.py",),
    "jtop": ("edge/telemetry/jtop.py",),
    "tomlkit": ("edge/settings/toml_edit.py", "tools/drawing/shapes.py"),
    "lark": ("edge/rules/_custom/expression.py",),
}
PURE = (
    "edge/people/",
    "edge/scene/",
    "edge/rules/",
    "edge/degrade/levels.py",
    "edge/geometry.py",
    "edge/view.py",
    "edge/skeletons.py",
)
IMPURE = {"time", "datetime", "threading", "socket", "os", "pathlib", "io", "subprocess", "queue"}


def files(*roots: str) -> Iterator[Path]:
    for root in roots:
        yield from sorted((ROOT / root).rglob("*.py"))


@lru_cache(maxsize=None)
def imports(path: Path) -> Tuple[str, ...]:
    """Modules a file imports, read once; `from edge import plug` counts as edge.plug."""
    return tuple(imported(ast.parse(path.read_text("utf-8"))))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                is_module = (ROOT / (deeper.replace(".", "/") + ".py")).is_file()
                is_package = (ROOT / deeper.replace(".", "/")).is_dir()
                yield deeper if is_module or is_package else node.module


def module(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()[: -len(".py")].replace("/", ".")


def place(name: str) -> str:
    """The room or the top file that a module of edge or tools lies in."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def neighbours(path: Path) -> Set[str]:
    """What a file of edge/ imports of edge/ outside its own room."""
    ours = {place(m) for m in imports(path) if m.split(".")[0] == "edge"}
    return ours - {place(module(path))}


@pytest.mark.parametrize("path", list(files("edge")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_file_of_edge_imports_only_what_its_room_may(path: Path) -> None:
    name = place(module(path))
    allowed = {**TOP, **ROOMS}.get(name)
    assert allowed is not None, f"{name} is no room of this house: add it to ROOMS, with a reason"
    assert not [m for m in imports(path) if m.split(".")[0] == "tools"], "edge never imports tools"
    if "*" not in allowed:
        assert neighbours(path) <= allowed, f"may not import {neighbours(path) - allowed}"


def test_every_room_and_top_file_is_there() -> None:
    there = {p.stem for p in (ROOT / "edge").glob("*.py")}
    assert there == set(TOP)
    assert {p.name for p in (ROOT / "edge").iterdir() if (p / "__init__.py").is_file()} == set(
        ROOMS
    )


def cycles(graph: Dict[str, Set[str]]) -> List[FrozenSet[str]]:
    """Groups of nodes that reach each other."""
    reach = {n: set(graph[n]) for n in graph}
    for _ in graph:
        for node in graph:
            reach[node] |= {far for near in reach[node] for far in reach.get(near, set())}
    groups = {frozenset({n} | {m for m in reach[n] if n in reach.get(m, set())}) for n in graph}
    return [g for g in groups if len(g) > 1]


def rooms_of(root: str) -> Dict[str, Set[str]]:
    graph: Dict[str, Set[str]] = {}
    for path in files(root):
        here = place(module(path))
        there = {place(m) for m in imports(path) if m.split(".")[0] == root}
        graph.setdefault(here, set()).update(there - {here, "__init__"})
    return graph


def modules_of(root: str) -> Dict[str, Set[str]]:
    graph: Dict[str, Set[str]] = {}
    for path in files(root):
        here = module(path).replace(".__init__", "")
        graph[here] = {m for m in imports(path) if m.split(".")[0] == root} - {here}
    return graph


@pytest.mark.parametrize("root", ["edge", "tools"])
def test_no_rooms_and_no_files_import_each_other(root: str) -> None:
    assert not cycles(rooms_of(root))
    assert not cycles(modules_of(root))


@pytest.mark.parametrize("library", sorted(ONE_PLACE))
def test_heavy_library_has_one_place(library: str) -> None:
    for path in files("edge", "tools"):
        name = path.relative_to(ROOT).as_posix()
        if any(m.split(".")[0] == library for m in imports(path)):
            assert name.startswith(ONE_PLACE[library]), f"{name} imports {library}"


def test_pure_rooms_do_no_io_and_read_no_clock() -> None:
    for path in files("edge"):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(PURE):
            tops = {m.split(".")[0] for m in imports(path)}
            assert not tops & IMPURE, f"{name} imports {tops & IMPURE}"


def test_data_rooms_hold_no_python() -> None:
    assert not list(files("engines", "calibration"))


def test_no_file_says_nothing_by_its_name() -> None:
    empty = {"util", "utils", "helper", "helpers", "common", "misc", "base", "core", "manager"}
    assert not [p for p in files("edge", "tools") if p.stem.lstrip("_") in empty]
