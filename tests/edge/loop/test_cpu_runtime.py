"""Which runtime executes a network on the CPU: measured once, kept, and told."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from edge import plug
from edge.errors import DataError, EdgeError, UnavailableError
from edge.loop import cpu_runtime, cpu_verdicts
from edge.loop.cpu_runtime import CpuRuntimes, Opened, verdict_key
from edge.loop.cpu_verdicts import FILE, Verdict, Verdicts
from edge.runtime import Runner, RunnerOptions
from edge.runtime._core_pool import CorePool


class Timed(Runner):
    """Takes as long as it is told, and notes that it was closed."""

    inputs: Dict[str, Any] = {}
    outputs: Dict[str, Any] = {}
    sha256 = ""
    runs = 0

    def feed(self, batch: int) -> Dict[str, Any]:
        return {}

    def run(self) -> Dict[str, Any]:
        return {}

    def __init__(self, times_s: List[float]) -> None:
        self._times_s = times_s
        self.trials = 0
        self.closed = False

    def trial_s(self) -> float:
        self.trials += 1
        return self._times_s[self.trials % len(self._times_s)]

    def close(self) -> None:
        self.closed = True


class Machine:
    """A CPU with both runtimes: their times, which of them fail, and what was opened."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.times_s: Dict[str, List[float]] = {"ort": [0.01], "openvino": [0.005]}
        self.fails: Dict[str, EdgeError] = {}
        self.opened: List[RunnerOptions] = []
        self.runners: List[Timed] = []
        self.bf16 = True
        self.reads = 0
        patch.setattr(cpu_runtime, "open_runner", self.open_runner)
        patch.setattr(cpu_runtime, "installed", lambda: True)
        patch.setattr(plug, "load", lambda room, name: self)

    def computes_bf16(self) -> bool:
        return self.bf16

    def open_runner(self, path: Path, shapes: Any, options: RunnerOptions, read: Any) -> Timed:
        read(path)
        if options.onnx in self.fails:
            raise self.fails[options.onnx]
        self.opened.append(options)
        self.runners.append(Timed(self.times_s[options.onnx]))
        return self.runners[-1]

    def read(self, path: Path) -> bytes:
        self.reads += 1
        return b"network"

    def start(
        self,
        folder: Optional[Path],
        prefer: str = "auto",
        bf16: bool = False,
        allowed: bool = True,
    ) -> Opened:
        """Open the network as the daemon does when it starts."""
        self.opened, self.runners, self.reads = [], [], 0
        runtimes = CpuRuntimes(prefer, allowed, Verdicts(folder))
        return runtimes.open(Path("body.onnx"), {}, RunnerOptions(), self.read, bf16)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_the_faster_one_serves_and_the_other_is_closed(machine: Machine, tmp_path: Path) -> None:
    found = machine.start(tmp_path)
    plain, other = machine.runners
    assert (found.runner, found.runtime) == (other, "openvino")
    assert found.why == "measured here: OpenVINO takes 0.50 of ONNX Runtime's 10.0 ms"
    assert (plain.closed, other.closed) == (True, False)
    assert machine.reads == 1, "the bytes that are judged are the bytes that are loaded"
    machine.times_s["openvino"] = [0.02]
    found = machine.start(tmp_path / "another")
    plain, other = machine.runners
    assert (found.runner, found.runtime) == (plain, "ort")
    assert (plain.closed, other.closed) == (False, True)


@pytest.mark.parametrize(("share", "runtime"), [(0.94, "openvino"), (0.96, "ort")])
def test_openvino_has_to_be_clearly_faster(
    machine: Machine, tmp_path: Path, share: float, runtime: str
) -> None:
    machine.times_s["openvino"] = [0.01 * share]
    assert machine.start(tmp_path).runtime == runtime


def test_one_round_that_was_disturbed_changes_nothing(machine: Machine, tmp_path: Path) -> None:
    machine.times_s["openvino"] = [0.008, 0.008, 0.5, 0.008]
    found = machine.start(tmp_path)
    assert found.runtime == "openvino"
    assert "takes 0.80 of" in found.why


def test_a_verdict_is_kept_and_only_the_faster_one_is_opened(
    machine: Machine, tmp_path: Path
) -> None:
    for folder, time_s, runtime in ((tmp_path / "a", 0.005, "openvino"), (tmp_path, 0.02, "ort")):
        machine.times_s["openvino"] = [time_s]
        first = machine.start(folder)
        again = machine.start(folder)
        assert (again.runtime, again.why) == (runtime, first.why)
        assert [o.onnx for o in machine.opened] == [runtime]
        assert machine.runners[0].trials == 0
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_verdict_is_of_this_network_machine_versions_and_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def key(sha: str = "a", bf16: bool = True, **options: Any) -> str:
        return verdict_key(sha, RunnerOptions(**options), bf16)

    keys = [key(), key("b"), key(bf16=False), key(threads=1), key(pool=CorePool(2))]
    monkeypatch.setattr(cpu_runtime, "_version", lambda package: f"{package} 99")
    keys.append(key())
    monkeypatch.setattr(cpu_runtime, "_cpu", lambda: "another")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == keys[-1]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"schema": "cpu-runtimes/0", "verdicts": {}}',
        b'{"schema": "cpu-runtimes/1", "verdicts": []}',
        b'{"schema": "cpu-runtimes/1"}',
        b"[" * 100_000,
    ],
)
def test_a_broken_file_costs_one_line_and_a_measurement(
    machine: Machine, tmp_path: Path, text: bytes, caplog: Any
) -> None:
    (tmp_path / FILE).write_bytes(text)
    with caplog.at_level(logging.WARNING):
        assert machine.start(tmp_path).runtime == "openvino"
    assert machine.runners[0].trials > 0
    assert f"{tmp_path / FILE}: is " in caplog.text
    caplog.clear()
    machine.start(tmp_path)
    assert [o.onnx for o in machine.opened] == ["openvino"], "the file is whole again"
    assert not caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"runtime": "trt"},
        {"runtime": ["ort"]},
        {"bf16": 1},
        {"ratio": "fast"},
        {"ort_ms": None},
        {"ratio": True},
    ],
)
def test_a_verdict_of_another_form_is_measured_again(
    machine: Machine, tmp_path: Path, change: Dict[str, Any]
) -> None:
    machine.start(tmp_path)
    record = json.loads((tmp_path / FILE).read_bytes())
    for verdict in record["verdicts"].values():
        verdict.update(change)
    (tmp_path / FILE).write_text(json.dumps(record), encoding="utf-8")
    assert machine.start(tmp_path).runtime == "openvino"
    assert machine.runners[0].trials > 0


def test_a_folder_that_cannot_be_made_costs_one_line(
    machine: Machine, tmp_path: Path, caplog: Any
) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        assert machine.start(tmp_path / "file" / "inside").runtime == "openvino"
    assert "measured again at each start" in caplog.text
    assert machine.start(None).runtime == "openvino"


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_verdicts, "_MOST", 4)
    verdicts = Verdicts(tmp_path)
    for n in range(cpu_verdicts._MOST + 3):
        verdicts.put(str(n), Verdict("ort", False, 1.0, 1.0))
    assert verdicts.get("2") is None
    assert verdicts.get("3") == Verdict("ort", False, 1.0, 1.0)


def test_where_openvino_is_absent_onnx_runtime_serves_and_says_so(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.start(tmp_path)  # it was there once
    monkeypatch.setattr(cpu_runtime, "installed", lambda: False)
    found = machine.start(tmp_path)
    assert (found.runtime, found.why) == ("ort", "OpenVINO is not installed")


@pytest.mark.parametrize("known", [False, True])
def test_where_openvino_fails_onnx_runtime_serves_and_says_why(
    machine: Machine, tmp_path: Path, known: bool
) -> None:
    if known:
        machine.start(tmp_path)
    machine.fails["openvino"] = DataError("body.onnx: no such layer")
    found = machine.start(tmp_path)
    assert found.runtime == "ort"
    assert found.why.endswith(": body.onnx: no such layer")
    assert not machine.runners[0].closed


def test_a_network_that_fails_in_openvino_when_it_is_executed(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(plain: Runner, other: Runner, bf16: bool) -> Verdict:
        raise DataError("body.onnx: the network failed")

    monkeypatch.setattr(cpu_runtime, "measure", fail)
    found = machine.start(tmp_path)
    plain, other = machine.runners
    assert (found.runner, found.runtime) == (plain, "ort")
    assert found.why == "OpenVINO does not serve: body.onnx: the network failed"
    assert other.closed


def test_a_tiny_network_stays_in_onnx_runtime(machine: Machine, tmp_path: Path) -> None:
    """Nothing is won that would pay for a second library in memory."""
    machine.times_s["ort"] = [0.0001]
    found = machine.start(tmp_path)
    assert (found.runtime, found.why) == ("ort", "")
    assert len(machine.opened) == 1
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("prefer", ["auto", "openvino"])
@pytest.mark.parametrize("missing", ["", "cpu", "recipe", "configuration"])
def test_bf16_needs_the_cpu_the_recipe_and_the_configuration(
    machine: Machine, tmp_path: Path, missing: str, prefer: str
) -> None:
    machine.bf16 = missing != "cpu"
    recipe, allowed = missing != "recipe", missing != "configuration"
    found = machine.start(tmp_path, prefer, recipe, allowed)
    assert found.runtime == "openvino"
    assert machine.opened[-1].bf16 == (not missing)
    assert ("BF16" in found.why) == (not missing)


def test_a_runtime_that_is_asked_for_is_not_measured(machine: Machine, tmp_path: Path) -> None:
    for prefer, runtime in (("onnx", "ort"), ("openvino", "openvino")):
        assert machine.start(tmp_path, prefer).runtime == runtime
        assert machine.runners[0].trials == 0
    assert not (tmp_path / FILE).exists()
    machine.fails["openvino"] = UnavailableError("OpenVINO cannot be imported")
    with pytest.raises(UnavailableError, match="cannot be imported"):
        machine.start(tmp_path, "openvino")


def test_where_the_file_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cpu_verdicts.folder("") == tmp_path / "cache" / "edge"
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    assert cpu_verdicts.folder("") == tmp_path / "state"
    assert cpu_verdicts.folder(f"{tmp_path}/mine") == tmp_path / "mine"


def test_nobody_knows_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    assert cpu_verdicts.folder("") is None
