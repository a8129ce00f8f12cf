"""The checks for a real GPU, started on a fake one, so that they are sound before there is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List

import numpy as np
import pytest

from tests.device import __main__ as command
from tests.device import engine_checks, memory_checks
from tests.device import place as places
from tests.fakes import kernel_cpu, tensorrt_runtime
from tests.fakes.gpu import Gpu, running
from tests.waiting import GIVE_UP_S
from tools import build
from tools.engines import trt
from tools.engines.machine import Gpu as Found
from tools.engines.machine import Machine
from tools.fetch.by_name import ensure_model

ROOT = Path(__file__).resolve().parents[1]
BOARD = Machine(Found("Orin", "8.7", "12.6", True), "", "36.4.3", "6.2", "Jetson AGX Orin")
NONE = Machine(None, "no NVIDIA driver", "", "", "x86_64")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gpu]:
    """Its kernels are compiled by g++, its engines are executed by ONNX Runtime."""
    for name in ("blazepose", "yolov4-tiny"):
        made_here = shutil.ignore_patterns("*.int8.*")
        shutil.copytree(
            ensure_model(name, quiet=True), tmp_path / "engines" / name, ignore=made_here
        )
    monkeypatch.setattr(command, "default_models", lambda: tmp_path / "engines")
    for machine in running("10.3.0"):
        from edge.runtime.kernels import cubins

        machine.cuda.kernels, _ = kernel_cpu.kernels()
        for module in (build, places):
            monkeypatch.setattr(module, "read_machine", lambda: BOARD)
        monkeypatch.setattr(trt, "load", lambda found=machine.tensorrt: found)
        monkeypatch.setattr(cubins, "fitting", lambda capability: b"\x7fELF")
        yield machine


def lines(capsys: Any) -> List[str]:
    return str(capsys.readouterr().out).splitlines()


def test_without_a_gpu_it_says_so_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(places, "read_machine", lambda: NONE)
    assert command.main(["test"]) == command.NO_GPU
    told = capsys.readouterr()
    assert told.err == "no GPU to prove anything on: no NVIDIA driver\n"
    assert "passed" not in told.out


def test_every_check_passes_on_a_sound_machine(gpu: Gpu, capsys: Any) -> None:
    """All but INT8, whose networks nobody made here; the build's own pages are in between."""
    assert command.main(["test", "--quick", "--frames", "40", "--only", "engine"]) == 1
    told = lines(capsys)
    results = [line for line in told if line.startswith(("ok ", "FAILED", "left out"))]
    failed = [line for line in results if not line.startswith("ok ")]
    assert len(failed) == 1, failed
    assert "int8 engines agree" in failed[0]
    assert "calibrate and quantize them" in failed[0]
    assert told[0] == "on Orin, compute capability 8.7, integrated, CUDA 12.6"
    assert told[-1] == f"{len(results) - 1} passed, 1 failed, 0 files left out"
    assert command.main(["test", "--quick", "--only", "memory"]) == 0
    assert lines(capsys)[-1] == "4 passed, 0 failed, 0 files left out"
    assert len(results) == 9


def test_every_kernel_check_passes_on_a_sound_machine(gpu: Gpu, capsys: Any) -> None:
    assert command.main(["test", "--quick", "--only", "kernel"]) == 0
    assert lines(capsys)[-1] == "7 passed, 0 failed, 0 files left out"


def test_what_cannot_run_is_named(gpu: Gpu, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.fakes.cuda_fake import forget

    forget()
    with monkeypatch.context() as patch:  # undone before `gpu` puts its modules back
        patch.setitem(sys.modules, "tensorrt", None)
        monkeypatch.setattr(command, "modules", lambda *a: [memory_checks, engine_checks])
        assert command.main(["test", "--quick"]) == 0
        told = lines(capsys)
        assert any(line.startswith("left out  engine_checks: TensorRT cannot be") for line in told)
        assert told[-1] == "4 passed, 0 failed, 1 files left out"


def test_a_fault_is_found(gpu: Gpu, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that computes something else than the network it was built from."""
    compute = tensorrt_runtime._compute

    def wrong(cuda: Any, session: Any, inputs: Any, places: Any) -> None:
        compute(cuda, session, inputs, places)
        address = next(place[0] for name, place in places.items() if name not in inputs)
        cuda.memory(address, 4).view(np.float32)[:] += 1e3

    monkeypatch.setattr(tensorrt_runtime, "_compute", wrong)
    place = places.Place(Path(), command.default_models(), quick=True)  # type: ignore[attr-defined]
    assert not command._run("engines agree", engine_checks.check_fp32_engines_agree, place)
    assert lines(capsys)[-1].startswith("FAILED    engines agree: engine_checks.py:")


def table(told: List[str], head: str) -> List[List[str]]:
    """The rows below a line that begins so, up to the next table: they begin with a number."""
    rows = [line.split() for line in told]
    start = next(i for i, row in enumerate(rows) if row[:2] == head.split()) + 1
    ends = [i for i, row in enumerate(rows) if i >= start and row[:1] in (["people"], ["ok"])]
    return [row for row in rows[start : ends[0]] if row and row[0].isdigit()]


def test_the_bench_prints_a_row_for_each_crowd(gpu: Gpu, capsys: Any) -> None:
    assert command.main(["bench", "--quick", "--only", "stage"]) == 0
    told = lines(capsys)
    rows = table(told, "people hand-over")
    assert [row[0] for row in rows] == ["1", "3"]
    for row in rows:
        *stages, whole = (float(number) for number in row[1:])
        assert len(stages) == 9
        assert min(stages[1:]) > 0, "every stage but the hand-over takes time"
        assert sum(stages) == pytest.approx(whole, abs=0.01)
    shares = table(told, "people loop")
    assert [row[0] for row in shares] == ["1", "3"]
    for _, loop, bare, share, sign in shares:
        assert sign == "%"
        assert float(share) == pytest.approx(100 * float(bare) / float(loop), abs=0.5)
    batches = [line for line in told if "batches:" in line]
    assert "body 1," in batches[0]
    assert "body 3," in batches[1]
    assert "left out: " not in "".join(told)


def test_without_tensorrt_the_rest_is_timed(
    gpu: Gpu, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hand-over, preprocessing, tracking and publishing, in both benches; the rest is named."""
    from tests.fakes.cuda_fake import forget

    forget()
    with monkeypatch.context() as patch:  # undone before `gpu` puts its modules back
        patch.setitem(sys.modules, "tensorrt", None)
        from edge.runtime.kernels import cubins

        monkeypatch.setattr(cubins, "fitting", lambda capability: b"\x7fELF")
        assert command.main(["bench", "--quick"]) == 0
        told = lines(capsys)
        rows = table(told, "people hand-over")
        assert [row[0] for row in rows] == ["1", "3"]
        for row in rows:
            assert [cell for cell in row if cell == "-"] == ["-"] * 5, "four networks and decoding"
            known = [float(cell) for cell in row[1:-1] if cell != "-"]
            assert min(known[1:]) > 0
        assert any("batches: detector 1, body 3, hand 6, face 3" in line for line in told)
        left_out = [line for line in told if "left out: " in line]
        assert len(left_out) == 1
        assert "TensorRT cannot be" in left_out[0]
        assert told[-1].endswith("0 failed, 0 files left out")


def test_the_commands_fail_where_there_is_no_gpu() -> None:
    """As `make gpu-test` starts them; a machine with a GPU would do the real thing."""
    if places.here().gpu:
        return
    for what in ("test", "bench"):
        line = [sys.executable, "-m", "tests.device", what]
        done = subprocess.run(
            line, cwd=ROOT, capture_output=True, text=True, timeout=GIVE_UP_S, encoding="utf-8"
        )
        assert done.returncode == command.NO_GPU
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("no GPU to prove anything on: no NVIDIA driver")
