"""`edge doctor --report`: one file to send to somebody, without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge import __main__ as program
from edge import __version__, doctor

MODELS = Path(__file__).resolve().parents[1] / "golden/models"
SECRET = "Xq7opensesame"


def test_versions_probes_times_and_no_secret(tmp_path: Path) -> None:
    path, file = tmp_path / "edge.toml", tmp_path / "report.json"
    path.write_text(
        f'[models]\ndir = "{MODELS}"\n[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
        f'[[cameras]]\nsource = "rtsp://me:{SECRET}@127.0.0.1:9/live"\n[publish]\n'
        f'sinks = ["mqtt://me:{SECRET}@127.0.0.1:9"]\n',
        encoding="utf-8",
    )
    assert doctor.doctor(path, True, report_file=file) == 69, "neither camera nor broker is there"
    text = file.read_text("utf-8")
    assert SECRET not in text
    report = json.loads(text)
    assert report["version"] == __version__
    assert "numpy" in report["packages"]
    assert {"platform", "python"} <= set(report["machine"])
    assert {"machine.machine", "cameras.cameras", "broker.brokers"} <= set(report["seconds"])
    assert "camera cam0" in {finding["what"] for finding in report["findings"]}


def test_a_place_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "MACHINE", [])
    monkeypatch.setattr(doctor, "CONFIGURED", [])
    place = tmp_path / "none/report.json"
    assert program.main(["doctor", "--report", str(place)]) == 78
    told = capsys.readouterr().err
    assert f"--report {place}: No such file or directory" in told
    assert program.main(["doctor", "--report", str(place), "--find-cameras"]) == 78
