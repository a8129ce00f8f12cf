"""Which engine serves, on a fake GPU: fitting ones at once, missing ones built beside the loop."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import numpy as np
import pytest

from edge.errors import DataError, NoInputError, UnavailableError
from edge.loop import engine_build
from edge.loop.engines import Engines
from edge.pipeline import Pipeline
from edge.recipe import load_recipe
from edge.runtime import read_plain
from edge.runtime._swappable import SwappableRunner
from edge.service import daemon
from edge.settings import config
from edge.settings.config import Config
from tests.fakes import builder
from tests.fakes.gpu import Gpu, running
from tests.waiting import GIVE_UP_S

GOLDEN = Path(__file__).parents[1] / "golden" / "models"
SAMPLES = {"standing": (3, 64, 48), "twobox": (3, 64, 64)}


@pytest.fixture
def gpu() -> Iterator[Gpu]:
    yield from running("10.3.0")
    assert [t.name for t in threading.enumerate() if t.name == "engines"] == []


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two models, and tools that build engines for them."""
    folder = tmp_path / "engines"
    shutil.copytree(GOLDEN, folder)
    (folder / "behaviour").write_text("", encoding="utf-8")
    program = tmp_path / "edge-tools"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} {builder.__file__} "$@"\n', encoding="utf-8"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(engine_build, "command", lambda: str(program))
    return folder


def engines(models: Path, read: Callable[[Path], bytes] = read_plain, **runtime: Any) -> Engines:
    signed = runtime.pop("signed", False)
    settings = dataclasses.replace(config.Runtime(), **{"threads": 1, **runtime})
    return Engines(settings, read, signed)


def opened(choosing: Engines, models: Path, model: str = "standing") -> Any:
    network = load_recipe(models / model).networks["main"]
    return choosing.open(models / model, "main", network, {"input": network.sample_shape})


def step(runner: Any, batch: int = 2) -> np.ndarray:
    runner.feed(batch)["input"][:] = 1
    result: np.ndarray = runner.run()["simcc_x"].copy()
    return result


def until(true: Callable[[], bool], turn: Callable[[], Any] = lambda: None) -> None:
    """As long as it takes; a machine may be slow."""
    end = time.monotonic() + GIVE_UP_S
    while not true():
        turn()
        time.sleep(0.01)
        assert time.monotonic() < end, "nothing happens"


def test_an_engine_that_fits_serves_at_once(gpu: Gpu, models: Path) -> None:
    builder.engine(models / "standing", SAMPLES["standing"])
    choosing = engines(models)
    runner = opened(choosing, models)
    assert not isinstance(runner, SwappableRunner), "nothing will ever take its place"
    assert step(runner).shape == (2, 17, 96)
    choice = choosing.choices["standing/main"]
    assert (choice.runtime, choice.file, choice.next) == ("trt", "model.fp32.engine", "")
    runner.close()
    choosing.close()


def test_where_it_cannot_run_the_reason_is_told(models: Path, caplog: Any) -> None:
    choosing = engines(models)
    with caplog.at_level(logging.INFO):
        runner = opened(choosing, models)
    choosing.start()
    choice = choosing.choices["standing/main"]
    assert (choice.runtime, choice.file, choice.next) == ("ort", "model.onnx", "")
    assert choice.why
    assert f"standing/main: ort executes model.onnx: {choice.why}" in caplog.text
    assert step(runner).shape == (2, 17, 96)
    runner.close()
    choosing.close()


def test_onnx_is_taken_where_the_operator_wants_it(gpu: Gpu, models: Path) -> None:
    builder.engine(models / "standing", SAMPLES["standing"])
    choosing = engines(models, prefer="onnx")
    opened(choosing, models).close()
    assert choosing.choices["standing/main"].why == 'runtime.prefer = "onnx"'
    assert not gpu.tensorrt.called("Runtime")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"compute_capability": "7.2"}, r"built for compute capability 7.2 \(Orin\); Orin has 8.7"),
        ({"tensorrt": "8.5.2"}, "built with TensorRT 8.5.2; here is 10.3.0"),
        ({"tensorrt": "10.3.1"}, "built with TensorRT 10.3.1"),
        ({"plan": "9.9"}, "cannot load it: 6: plan is of version 9.9"),
        ({"gate": {"passed": False}}, "did not pass its accuracy gate"),
    ],
)
def test_an_engine_that_does_not_fit_is_not_used(
    gpu: Gpu, models: Path, changes: Any, why: str
) -> None:
    builder.engine(models / "standing", SAMPLES["standing"], **changes)
    choosing = engines(models)
    runner = opened(choosing, models)
    choice = choosing.choices["standing/main"]
    assert choice.runtime == "ort"
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(choice.why)
    assert choice.next == ("" if "gate" in changes else "waiting")
    runner.close()
    choosing.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema": "engine-record/9"}',
        '{"schema": "engine-record/1", "machine": [], "onnx": 1}',
    ],
)
def test_an_engine_without_a_record_is_not_used(gpu: Gpu, models: Path, text: str) -> None:
    path = builder.engine(models / "standing", SAMPLES["standing"])
    path.with_name(path.name + ".json").write_text(text, encoding="utf-8")
    choosing = engines(models)
    opened(choosing, models).close()
    choice = choosing.choices["standing/main"]
    assert (choice.runtime, choice.next) == ("ort", "waiting")
    assert "record" in choice.why or "None" in choice.why
    choosing.close()


def test_a_changed_network_is_built_again(gpu: Gpu, models: Path) -> None:
    path = builder.engine(models / "standing", SAMPLES["standing"])
    record = path.with_name(path.name + ".json")
    table = json.loads(record.read_text(encoding="utf-8"))
    table["onnx"]["sha256"] = "0" * 64
    record.write_text(json.dumps(table), encoding="utf-8")
    choosing = engines(models)
    opened(choosing, models).close()
    choice = choosing.choices["standing/main"]
    assert "model.onnx has changed since it was built" in choice.why
    assert choice.next == "waiting"
    choosing.close()


def test_a_demanded_engine_must_be_there(gpu: Gpu, models: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no engine yet; .*`edge-tools build stand"):
        opened(engines(models, prefer="engine"), models)
    builder.engine(models / "standing", SAMPLES["standing"])
    opened(engines(models, prefer="engine"), models).close()


def test_what_nobody_signed_is_not_loaded(gpu: Gpu, models: Path) -> None:
    builder.engine(models / "standing", SAMPLES["standing"])

    def read(path: Path) -> bytes:
        if path.suffix == ".engine":
            raise DataError(f"{path}: is not in the signed manifest")
        return path.read_bytes()

    choosing = engines(models, read, signed=True)
    runner = opened(choosing, models)
    choosing.start()
    choice = choosing.choices["standing/main"]
    assert (choice.runtime, choice.next) == ("ort", "")
    assert "not in the signed manifest" in choice.why
    assert not gpu.tensorrt.called("Runtime.deserialize_cuda_engine")
    (models / "standing" / "model.fp32.engine").unlink()
    opened(choosing, models).close()
    assert "built and signed by the operator" in choosing.choices["standing/main"].why
    choosing.start()
    assert not (models / "standing.asked").exists()
    runner.close()
    choosing.close()


def test_nothing_is_built_where_that_is_not_wanted(gpu: Gpu, models: Path) -> None:
    choosing = engines(models, build=False)
    opened(choosing, models).close()
    choosing.start()
    choice = choosing.choices["standing/main"]
    assert (choice.next, choice.why) == ("", "there is no engine yet; runtime.build = false")
    choosing.close()


def test_a_dla_core_is_that_of_the_record(gpu: Gpu, models: Path) -> None:
    builder.engine(models / "standing", SAMPLES["standing"], dla=1)
    choosing = engines(models)
    opened(choosing, models).close()
    assert gpu.tensorrt.called("Runtime.DLA_core") == [(1,)]
    choosing.close()


def test_half_precision_is_for_engines(gpu: Gpu, models: Path) -> None:
    choosing = engines(models, precision="fp16", build=False)
    opened(choosing, models).close()
    assert "on the CPU fp32 serves instead of fp16" in choosing.choices["standing/main"].why
    with pytest.raises(NoInputError, match="`edge-tools quantize standing` on a workstation"):
        opened(engines(models, precision="int8"), models)


def test_a_missing_engine_is_built_and_takes_over(gpu: Gpu, models: Path) -> None:
    choosing = engines(models, precision="fp16")
    runner = opened(choosing, models)
    before = step(runner)
    choosing.start()
    choosing.start()
    until(lambda: choosing.choices["standing/main"].runtime == "trt", lambda: step(runner))
    np.testing.assert_allclose(step(runner), before, atol=1e-5)
    choice = choosing.choices["standing/main"]
    assert (choice.file, choice.next) == ("model.fp16.engine", "")
    asked = (models / "standing.asked").read_text(encoding="utf-8")
    assert asked == f"build standing --network main --precision fp16 --models {models} --json"
    assert len(gpu.cuda.executed) >= 2, "the warm-up, and the frames since"
    assert runner._before is None, "what served before is closed"
    choosing.close()
    runner.close()


def test_a_finer_engine_serves_until_then(gpu: Gpu, models: Path) -> None:
    """FP32 on the GPU while FP16 is built: nothing runs on the CPU meanwhile."""
    builder.engine(models / "standing", SAMPLES["standing"], "fp32")
    choosing = engines(models, precision="fp16")
    runner = opened(choosing, models)
    choice = choosing.choices["standing/main"]
    assert (choice.runtime, choice.file, choice.next) == ("trt", "model.fp32.engine", "waiting")
    assert choice.why == "there is no engine yet; an engine in fp32 serves instead"
    before = step(runner)
    choosing.start()
    until(
        lambda: choosing.choices["standing/main"].file == "model.fp16.engine", lambda: step(runner)
    )
    np.testing.assert_allclose(step(runner), before, atol=1e-5)
    choosing.close()
    runner.close()


def test_a_coarser_engine_never_stands_for_a_finer_one(gpu: Gpu, models: Path) -> None:
    builder.engine(models / "standing", SAMPLES["standing"], "fp16")
    choosing = engines(models, precision="fp32", build=False)
    opened(choosing, models).close()
    assert choosing.choices["standing/main"].runtime == "ort"
    choosing.close()


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ("fail", "no engine: out of memory: try a smaller --batch"),
        ("other", "no engine: built with TensorRT 8.5.2; here is 10.3.0"),
    ],
)
def test_a_build_that_fails_changes_nothing(
    gpu: Gpu, models: Path, behaviour: str, why: str
) -> None:
    (models / "behaviour").write_text(behaviour, encoding="utf-8")
    choosing = engines(models)
    runner = opened(choosing, models)
    choosing.start()
    until(lambda: not choosing.choices["standing/main"].next, lambda: step(runner))
    choice = choosing.choices["standing/main"]
    assert (choice.runtime, choice.why) == ("ort", why)
    step(runner)
    choosing.close()
    runner.close()


def test_no_tools_no_build(gpu: Gpu, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    choosing = engines(models)
    runner = opened(choosing, models)
    choosing.start()
    until(lambda: not choosing.choices["standing/main"].next)
    assert "edge-tools is not installed: pip install" in choosing.choices["standing/main"].why
    choosing.close()
    runner.close()


def test_a_service_that_may_not_set_priorities_builds_all_the_same(
    gpu: Gpu, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under the unit's system call filter, whose @resources hold setpriority."""

    def refused(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.setpriority", refused)
    choosing = engines(models)
    runner = opened(choosing, models)
    choosing.start()
    until(lambda: not choosing.choices["standing/main"].next, lambda: step(runner))
    assert choosing.choices["standing/main"].runtime == "trt"
    choosing.close()
    runner.close()


def test_tools_that_cannot_be_started_are_told(gpu: Gpu, models: Path) -> None:
    """As after a move of the environment: the first line names a Python that is not there."""
    program = Path(engine_build.command())
    program.write_text("#!/nowhere/python\n", encoding="utf-8")
    choosing = engines(models)
    runner = opened(choosing, models)
    choosing.start()
    until(lambda: not choosing.choices["standing/main"].next)
    why = choosing.choices["standing/main"].why
    assert why == f"no engine: {program}: cannot be started: No such file or directory"
    choosing.close()
    runner.close()


def test_the_end_ends_a_build(gpu: Gpu, models: Path) -> None:
    (models / "behaviour").write_text("forever", encoding="utf-8")
    choosing = engines(models)
    runner = opened(choosing, models)
    choosing.start()
    until((models / "standing.asked").exists)
    choosing.close()
    choosing.close()
    assert choosing.choices["standing/main"].why == "no engine: the program is ending"
    runner.close()


def configuration(models: Path, out: Path, prefer: str = "auto") -> Config:
    table: Dict[str, Any] = {
        "cameras": [{"source": "synthetic://walk?people=2&rate=max&fps=25"}],
        "models": {"dir": str(models)},
        "detect": {"model": "twobox", "every": 1, "calm_s": 0},  # boxes hold the standing ones
        "pose": {"model": "standing"},
        "runtime": {"threads": 1, "prefer": prefer},
        "publish": {"sinks": [f"jsonl:{out}"], "metrics_s": 0.5},
    }
    return config.complete(config.build(Config, table))


def told(out: Path, end: str) -> List[Dict[str, Any]]:
    lines = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    return [line["payload"] for line in lines if line["topic"].endswith(end)]


def until_served(executed: List[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop ends 50 steps after both networks are executed by engines."""
    turn, since = Pipeline.run, []  # type: Any, List[int]

    def run(self: Pipeline, stop: Callable[[], bool], limit: int = 0) -> int:
        def enough() -> bool:
            outputs = {name for addresses in executed[-20:] for name in addresses}
            if {"boxes", "simcc_x"} <= outputs and len(executed) > 40:
                since.append(self.health.steps)
            return stop() or bool(since and self.health.steps > since[0] + 50)

        return int(turn(self, enough, limit))

    monkeypatch.setattr(Pipeline, "run", run)


@pytest.mark.one_python
def test_the_daemon_goes_over_without_losing_a_frame(
    gpu: Gpu, models: Path, tmp_path: Path, contract: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every frame is published, before, while and after the engines take over, and is the same."""
    out, plain = tmp_path / "told.jsonl", tmp_path / "plain.jsonl"
    with monkeypatch.context() as patched:
        until_served(gpu.cuda.executed, patched)
        assert daemon.run(configuration(models, out)) == 0
    frames = told(out, "/frame")
    assert [f["seq"] for f in frames] == list(range(len(frames)))
    times = np.diff([f["t_mono_ns"] for f in frames]) / 1e6
    np.testing.assert_allclose(times, 40, atol=1)
    assert daemon.run(configuration(models, plain, "onnx"), len(frames)) == 0
    assert [f["people"] for f in frames] == [f["people"] for f in told(plain, "/frame")]
    statuses = [s for s in told(out, "/status") if s["state"] == "online"]
    for status in statuses:
        contract("poses/v1/edge/status", status)
    for name in ("twobox/main", "standing/main"):
        course = [s["runtimes"][name] for s in statuses]
        path = [c["next"] or c["runtime"] for c in course]
        assert path[0] in ("waiting", "building")
        assert path[-1] == "trt"
        assert course[-1]["why"] == "built on this machine just now"
        assert statuses[-1]["engines"][name] != statuses[0]["engines"][name]
    metrics = told(out, "/metrics")[-1]
    assert metrics["runs"]["standing/main"] == len(frames), "one execution per network and step"
    assert metrics["dropped"] == {"cam0": 0}
