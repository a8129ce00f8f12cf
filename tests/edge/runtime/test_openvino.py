"""What is OpenVINO's own: its import, BF16, the sizes it executes, and its errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from edge.errors import DataError, UnavailableError
from edge.runtime import RunnerOptions, open_runner
from edge.runtime._core_pool import CorePool
from tests.edge.runtime.conftest import NO_OPENVINO
from tests.edge.runtime.test_cpu_runners import GOLDEN, SHAPES, reference

OPENVINO = RunnerOptions(onnx="openvino")
FILE = GOLDEN / "conv_dynamic.onnx"
OPEN = f"""
from pathlib import Path
from edge.errors import EdgeError
from edge.runtime import RunnerOptions, open_runner
try:
    open_runner(Path({str(FILE)!r}), {SHAPES}, RunnerOptions(onnx="openvino")).run()
except EdgeError as error:
    print(type(error).__name__, error)
print([m for m in sys.modules if "telemetry" in m or m.startswith("openvino.tools.ovc")])
"""


def fresh(before: str) -> List[str]:
    """Open a network in a process of its own; gives what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"import socket, sys\n{before}\n{OPEN}"],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    return done.stdout.splitlines()


@NO_OPENVINO
def test_no_telemetry_is_imported_and_no_socket_is_opened() -> None:
    """The converter, which `import openvino` imports, would send a record."""
    assert fresh("socket.socket = None") == ["[]"]


def test_where_it_is_absent_one_line_names_the_fix() -> None:
    lines = fresh("sys.modules['openvino'] = None")
    assert len(lines) == 2
    assert lines[0].startswith("UnavailableError OpenVINO cannot be imported")
    assert "pip install 'openvino" in lines[0]


@pytest.fixture
def library() -> Any:
    pytest.importorskip("openvino")
    from edge.runtime._openvino import library

    return library


@pytest.mark.parametrize(
    ("flags", "able"),
    [("fma avx512_bf16", True), ("amx_bf16", True), ("avx512f avx512_vnni", False), ("", False)],
)
def test_which_cpus_compute_bf16(
    library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, able: bool
) -> None:
    class Core:
        def get_property(self, device: str, name: str) -> List[str]:
            return ["BF16", "FP32"]  # it would convert anywhere

    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(library, "_CPU_INFO", info)
    monkeypatch.setattr(library, "core", Core)
    assert not library.computes_bf16()
    info.write_text(f"model name : a CPU\nflags : fpu {flags}\n", encoding="utf-8")
    assert library.computes_bf16() == able


def test_bf16_is_refused_where_the_cpu_has_none(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "computes_bf16", lambda: False)
    with pytest.raises(UnavailableError, match="this CPU does not compute in it"):
        open_runner(FILE, SHAPES, RunnerOptions(onnx="openvino", bf16=True))


@NO_OPENVINO
def test_fp32_is_computed_in_fp32_where_the_cpu_has_bf16() -> None:
    """OpenVINO's own choice there is BF16: an error of a thousandth."""
    runner = open_runner(FILE, SHAPES, OPENVINO)
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    runner.feed(2)["input"][:] = x
    np.testing.assert_allclose(runner.run()["y"], reference(x), atol=1e-5)


@NO_OPENVINO
@pytest.mark.parametrize(
    ("batch", "sizes"), [(1, [1]), (7, [4, 2, 1]), (16, [16]), (45, [32, 8, 4, 1])]
)
def test_batches_are_split_so_that_few_sizes_are_prepared(batch: int, sizes: List[int]) -> None:
    runner: Any = open_runner(FILE, SHAPES, OPENVINO)
    executed: List[int] = []
    whole = runner._run_chunk
    runner._run_chunk = lambda start, count: (executed.append(count), whole(start, count))[1]
    x = np.random.default_rng(0).standard_normal((batch, 3, 8, 8)).astype(np.float32)
    runner.feed(batch)["input"][:] = x
    np.testing.assert_allclose(runner.run()["y"], reference(x), atol=1e-5)
    assert executed == sizes


@NO_OPENVINO
def test_a_pool_has_a_stream_for_each_core_and_buffers_are_let_go() -> None:
    pool = CorePool(2)
    runner: Any = open_runner(FILE, SHAPES, RunnerOptions(onnx="openvino", pool=pool))
    session = runner._session
    assert session._compiled.get_property("NUM_STREAMS") == 2
    assert session._compiled.get_property("INFERENCE_NUM_THREADS") == 2
    runner.feed(8)
    runner.run()
    assert 1 <= session._idle.qsize() <= 2, "a request for each thread, not for each sample"
    runner.feed(64)
    assert session._idle.qsize() == 0, "a request would write into the buffers before"
    runner.close()
    pool.close()


@NO_OPENVINO
def test_what_it_cannot_load_is_one_line_that_tells(tmp_path: Path) -> None:
    data = FILE.read_bytes()
    assert data.count(b"Conv") == 1
    (tmp_path / "odd.onnx").write_bytes(data.replace(b"Conv", b"Conw"))
    with pytest.raises(DataError, match=r"is not a network that OpenVINO .* can load") as raised:
        open_runner(tmp_path / "odd.onnx", SHAPES, OPENVINO)
    line = str(raised.value)
    assert "Conw" in line
    assert "\n" not in line
    assert ".cpp" not in line


BIAS = 200.0  # px: BF16 knows no number between 200 and 201


def regression(library: Any) -> Any:
    """A network that ends as those of landmarks do: one number for each, from the whole map."""
    import openvino

    ops = library.operations()
    rng = np.random.default_rng(0)
    fed = ops.parameter([-1, 3, 4, 4], np.float32, name="input")
    weights = rng.standard_normal((5, 3, 4, 4)).astype(np.float32) / 64
    flat = ops.convolution(fed, ops.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
    moved = ops.add(flat, ops.constant(np.full((1, 5, 1, 1), BIAS, np.float32)))
    return openvino.Model([ops.reshape(moved, np.array([-1, 5]), False)], [fed], "regression")


def test_the_last_layer_of_a_regression_stays_exact(library: Any) -> None:
    """Its coordinates would have steps of a whole pixel in BF16."""
    from edge.runtime._openvino import exact_heads

    x = np.random.default_rng(1).random((3, 3, 4, 4), np.float32)
    plain, rewritten = regression(library), regression(library)
    assert exact_heads.keep(rewritten) == 1
    assert exact_heads.keep(rewritten) == 0, "there is no last convolution any more"
    wanted = library.core().compile_model(plain, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = library.core().compile_model(rewritten, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    np.testing.assert_allclose(found(x)[0], wanted(x)[0], atol=1e-3)


@NO_OPENVINO
def test_maps_are_no_regression(library: Any) -> None:
    from edge.runtime._openvino import exact_heads

    model = library.core().read_model(FILE.read_bytes(), b"")
    assert exact_heads.keep(model) == 0
