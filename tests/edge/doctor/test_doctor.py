"""The doctor finds what is wrong, and only that, and names the fix."""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from edge import doctor
from edge.doctor import (
    FAIL,
    OK,
    WARN,
    Finding,
    cameras,
    machine,
    models,
    permissions,
    sensors,
    service,
)
from edge.loop import cpu_runtime
from edge.loop.cpu_runtime import verdict_key
from edge.loop.cpu_verdicts import Verdict, Verdicts
from edge.runtime import RunnerOptions
from edge.sensors._mpu6050.bus import IN_USE
from edge.sensors._reader import SensorState
from edge.settings import config
from edge.settings.config import Config
from edge.structures import CameraState

MODELS = Path(__file__).parents[1] / "golden" / "models"


def settings(**tables: Any) -> Config:
    table: Dict[str, Any] = {
        "models": {"dir": str(MODELS)},
        "detect": {"model": "twobox"},
        "pose": {"model": "standing"},
        **tables,
    }
    return config.complete(config.build(Config, table))


@pytest.mark.parametrize(
    ("quality", "state"),
    [
        ({"source": "none", "error_ms": None}, WARN),
        ({"source": "kernel", "error_ms": 3.0}, OK),
        ({"source": "kernel", "error_ms": 5e6}, WARN),
        ({"source": "kernel", "error_ms": None}, OK),
    ],
)
def test_the_clock(monkeypatch: Any, quality: Any, state: str) -> None:
    monkeypatch.setattr(service, "clock_quality", lambda: quality)
    found = service.clock()[0]
    assert found.state == state
    assert "timedatectl" in found.fix


def test_the_disk(tmp_path: Path) -> None:
    fine = service.disk(settings(state={"dir": str(tmp_path)}))[0]
    assert fine.state in (OK, WARN)
    assert str(tmp_path) in fine.found
    full = service.disk(settings(state={"dir": str(tmp_path)}, record={"max_mb": 10**6}))[0]
    assert full.state == WARN
    assert "make room: 1000" in full.fix
    gone = service.disk(settings(state={"dir": f"{tmp_path}/x"}))[0]
    assert (gone.state, gone.fix) == (FAIL, f"mkdir -p {tmp_path}/x")
    read_only = service.disk(settings(state={"dir": "/sys"}))[0]
    assert read_only.state in (FAIL, WARN)


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        (
            {
                "LoadState": "loaded",
                "ActiveState": "active",
                "SubState": "running",
                "NRestarts": "0",
                "StatusText": "2 of 2 cameras ok",
            },
            OK,
            "active (running), 0 restarts: 2 of 2 cameras",
        ),
        ({"LoadState": "loaded", "ActiveState": "active", "NRestarts": "7"}, WARN, "7 restarts"),
        ({"LoadState": "loaded", "ActiveState": "failed", "NRestarts": ""}, WARN, "failed"),
    ],
)
def test_the_unit(said: Dict[str, str], state: str, words: str) -> None:
    found = service.judge_unit(said)[0]
    assert (found.state, words in found.found) == (state, True)
    assert "journalctl -u edge" in found.fix


def test_a_unit_that_is_not_installed_is_no_finding() -> None:
    assert service.judge_unit({"LoadState": "not-found"}) == []


@pytest.mark.parametrize(
    ("mode", "state"),
    [(0o600, OK), (0o640, OK), (0o644, FAIL), (0o660, FAIL), (0o604, FAIL), (0o602, FAIL)],
)
def test_secrets_are_for_the_service_alone(tmp_path: Path, mode: int, state: str) -> None:
    path = tmp_path / "password"
    path.write_text("x", encoding="utf-8")
    path.chmod(mode)
    found = permissions._secret("mqtt.password_file", path)
    assert found.state == state
    assert str(path) in found.found
    if state == FAIL:
        assert found.fix == f"chmod 640 {path}"


def test_a_key_of_the_operator_is_nobody_s_to_change(tmp_path: Path) -> None:
    path = tmp_path / "operator.pub"
    path.write_text("x", encoding="utf-8")
    for mode in (0o666, 0o664, 0o646):
        path.chmod(mode)
        found = permissions.secrets(settings(trust={"key_file": str(path)}))
        assert found[0].state == FAIL, oct(mode)
    path.chmod(0o644)
    assert permissions.secrets(settings(trust={"key_file": str(path)}))[0].state == OK
    gone = permissions.secrets(settings(mqtt={"key_file": f"{tmp_path}/none"}))[0]
    assert (gone.state, "edge provision" in gone.fix) == (FAIL, True)


def test_cameras_are_tried(tmp_path: Path) -> None:
    table = [
        {"name": "good", "source": "synthetic://walk?width=96&height=64&fps=20"},
        {"name": "file", "source": f"file://{tmp_path}/none.mp4"},
        {"name": "usb", "source": "v4l2:///dev/video77"},
        {"name": "net", "source": "rtsp://127.0.0.1:9/live"},
    ]
    capture = {"timeout_s": 2.0, "stall_s": 1.0}
    found = {f.what: f for f in cameras.cameras(settings(cameras=table, capture=capture))}
    assert found["camera good"] == Finding("camera good", OK, "96x64")
    for name, word in (("file", "none.mp4"), ("usb", "/dev/video77"), ("net", "127.0.0.1:9")):
        one = found[f"camera {name}"]
        assert (one.state, word in one.found, bool(one.fix)) == (FAIL, True, True)
        assert "trying again" not in one.found
    assert cameras.cameras(settings())[0].state == WARN


@pytest.mark.parametrize(
    ("detail", "state", "found", "fix"),
    [
        (
            "/dev/video0: another program is using it; see: fuser -v /dev/video0; trying again",
            WARN,
            "fuser",
            "systemctl status edge",
        ),
        (
            "/dev/video0: not allowed; add the user to the group video",
            FAIL,
            "not allowed",
            "add the user to the group video",
        ),
        ("", FAIL, "gives no picture", "is it on"),
    ],
)
def test_what_a_camera_says(detail: str, state: str, found: str, fix: str) -> None:
    judged = cameras._judge(CameraState("door", "starting", detail, 0), None)
    assert (judged.state, found in judged.found, fix in judged.fix) == (state, True, True)


def test_models_and_what_may_be_loaded(tmp_path: Path) -> None:
    found = [f for f in models.models(settings()) if f.what.startswith("model")]
    assert [(f.what, f.state) for f in found] == [("model twobox", OK), ("model standing", OK)]
    missing = models.models(settings(pose={"model": "nobody"}))
    assert missing[-1].state == FAIL
    assert missing[-1].fix == "edge-tools get nobody"
    unsigned = models.models(settings(trust={"key_file": f"{tmp_path}/operator.pub"}))
    assert {f.state for f in unsigned} == {FAIL}


def runtimes(**tables: Any) -> List[Tuple[str, str, str]]:
    found = models.models(settings(**tables))
    return [(f.what, f.state, f.found) for f in found if f.what == "runtime standing/main"]


def test_which_runtime_of_the_cpu_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"state": {"dir": str(tmp_path)}}
    what = "runtime standing/main"
    monkeypatch.setattr(cpu_runtime, "installed", lambda: True)
    assert [(f[0], f[1], "not measured yet" in f[2]) for f in runtimes(**state)] == [
        (what, OK, True)
    ]
    data = (MODELS / "standing" / "model.onnx").read_bytes()
    key = verdict_key(hashlib.sha256(data).hexdigest(), RunnerOptions(), False)
    Verdicts(tmp_path).put(key, Verdict("openvino", True, 0.5, 12.0))
    told = "openvino, measured here: OpenVINO with BF16 takes 0.50 of ONNX Runtime's 12.0 ms"
    assert runtimes(**state) == [(what, OK, told)]
    assert not runtimes(runtime={"prefer": "onnx"})
    assert runtimes(runtime={"prefer": "openvino"})[0][1] == OK
    monkeypatch.setattr(cpu_runtime, "installed", lambda: False)
    absent = "OpenVINO is not installed"
    assert runtimes(**state) == [(what, WARN, f"{absent}; ONNX Runtime serves")]
    assert runtimes(runtime={"prefer": "openvino"}) == [(what, FAIL, absent)]


def test_everything_at_once_and_as_json(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(
        f'[models]\ndir = "{MODELS}"\n[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
        '[[cameras]]\nsource = "synthetic://walk?width=96&height=64"\n[publish]\nsinks = []\n',
        encoding="utf-8",
    )
    assert doctor.doctor(path, True) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    seen = {f["what"]: f["state"] for f in findings}
    assert seen["configuration"] == seen["camera cam0"] == seen["model twobox"] == OK
    assert {"machine", "python", "clock", "disk"} <= set(seen)
    assert all(f["fix"] for f in findings if f["state"] != OK), "whatever is wrong has a fix"
    path.write_text("[smooth]\nq = -1\n", encoding="utf-8")
    assert doctor.doctor(path, False) == 69
    out = capsys.readouterr().out
    assert "fail  configuration" in out
    assert "-> correct it: `edge check" in out


@pytest.mark.parametrize(
    ("there", "words"), [(True, "dmabuf if the GPU takes it"), (False, "one copy")]
)
def test_how_cameras_of_the_board_come(monkeypatch: Any, there: bool, words: str) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: "libcuda.so.1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: there or None)
    assert not [f for f in machine.kernels() if f.what == "csi memory"], "no board, no line"
    monkeypatch.setattr("edge.capture._csi.nvmm.library", object)
    found = [f.found for f in machine.kernels() if f.what == "csi memory"]
    assert len(found) == 1
    assert words in found[0]


def test_without_a_file_it_looks_at_the_installed_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = tmp_path / "edge.toml"
    monkeypatch.setattr(doctor, "INSTALLED", installed)
    monkeypatch.setattr(doctor, "MACHINE", [])
    monkeypatch.setattr(doctor, "CONFIGURED", [])
    doctor.doctor(None, False)
    assert "defaults" in capsys.readouterr().out
    installed.write_text('device = "hall"\n', encoding="utf-8")
    doctor.doctor(None, False)
    assert str(installed) in capsys.readouterr().out


def test_sensors_that_give_samples_and_those_that_do_not(tmp_path: Path) -> None:
    tables = [
        {"name": "shank", "source": "synthetic://"},
        {"name": "thigh", "source": "mpu6050:///dev/i2c-none"},
    ]
    camera = {"source": "synthetic://", "name": "a", "depth": f"file://{tmp_path}"}
    found = sensors.sensors(settings(sensors=tables, cameras=[camera]))
    assert [f.state for f in found] == [OK, FAIL, FAIL]
    assert "synthetic://, 200 Hz" in found[0].found
    assert found[1].found == "/dev/i2c-none: No such file or directory"
    assert found[1].fix.startswith("modprobe i2c-dev")
    assert "depth.json" in found[2].found
    wrong = sensors.sensors(settings(sensors=[{"name": "shank", "source": "mpu6050://1"}]))
    assert "name the adapter" in wrong[0].found


def test_a_sensor_that_the_service_uses_is_no_failure() -> None:
    state = SensorState("shank", "lost", f"/dev/i2c-1: {IN_USE}")
    assert sensors._judge(state).state == WARN
