"""The bill of materials: of wheels and of an environment, valid by the schema of CycloneDX."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict

import pytest

from edge import __version__
from edge.errors import ConfigError, DataError, NoInputError
from tools.__main__ import main
from tools.bill import parts
from tools.bill.cyclonedx import SPECIFICATION, document
from tools.sbom import _names


def wheel(folder: Path, name: str, version: str, *lines: str, tag: str = "py3-none-any") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    head = [f"Name: {name}", f"Version: {version}", *lines]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("vendored/x.dist-info/METADATA", "Name: not-this\nVersion: 0\n")
        file.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(head) + "\n\nLong text\n")
    return path


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    needs = ("Requires-Dist: NumPy>=1.23", 'Requires-Dist: torch>=2; extra == "export"')
    wheel(folder, "edge-pose", "9.9", *needs)
    for python, version in (("3.8", "1.23.5"), ("3.12", "1.26.4")):
        wheel(
            folder / python, "numpy", version, "Classifier: License :: OSI Approved :: BSD License"
        )
    wheel(folder / "3.12", "Some.Thing", "1+local", "License-Expression: MIT OR Apache-2.0")
    wheel(folder / "3.12", "old", "2", "License: " + "x" * 900, "Home-page: https://old.example/")
    return folder


def valid(found: Dict[str, Any]) -> None:
    """Judge a document by the schema, if its judge runs on this Python."""
    if sys.version_info < (3, 9):
        return  # the library needs 3.9; make test runs these tests on newer Pythons, too
    from cyclonedx.schema import OutputFormat, SchemaVersion
    from cyclonedx.validation import make_schemabased_validator

    version = SchemaVersion.from_version(SPECIFICATION)
    judge = make_schemabased_validator(OutputFormat.JSON, version)
    assert judge.validate_str(json.dumps(found)) is None


def test_the_wheels_of_a_package(wheels: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.cdx.json"
    depends = "python3 (>= 3.8~), python3-opencv | libopencv-python, systemd"
    command = ["sbom", "--wheels", str(wheels), "--arch", "arm64", "--out", str(out)]
    assert main([*command, "--depends", depends]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    valid(found)
    assert found["metadata"]["component"]["purl"] == f"pkg:deb/edge-pose@{__version__}?arch=arm64"
    of = {c["bom-ref"]: c for c in found["components"]}
    assert {c["name"] for c in of.values()} == {
        *("numpy", "some-thing", "old"),
        *("python3", "python3-opencv", "libopencv-python", "systemd"),
    }
    numpy = [c for c in of.values() if c["name"] == "numpy"]
    assert {c["version"] for c in numpy} == {"1.23.5", "1.26.4"}
    assert numpy[0]["licenses"] == [{"license": {"name": "BSD License"}}]
    assert len(numpy[0]["hashes"][0]["content"]) == 64
    thing = next(c for c in of.values() if c["name"] == "some-thing")
    assert thing["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert thing["purl"] == "pkg:pypi/some-thing@1%2Blocal"
    old = next(c for c in of.values() if c["name"] == "old")
    assert "licenses" not in old, "a whole text is no name"
    assert old["externalReferences"][0]["url"] == "https://old.example/"
    needs = {d["ref"]: d["dependsOn"] for d in found["dependencies"]}
    own = needs[found["metadata"]["component"]["bom-ref"]]
    assert sorted(c["bom-ref"] for c in numpy) == [r for r in own if "numpy" in r]
    assert "pkg:deb/systemd" in own
    assert not [r for r in own if "torch" in r], "an extra is not installed"


def test_the_same_wheels_give_the_same_bytes(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        assert main(["sbom", "--wheels", str(wheels), "--arch", "amd64", "--out", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert (
        json.loads(files[0].read_text(encoding="utf-8"))["metadata"]["timestamp"]
        == "2023-11-14T22:13:20Z"
    )
    wheel(wheels, "more", "1")
    assert main(["sbom", "--wheels", str(wheels), "--arch", "amd64", "--out", str(files[1])]) == 0
    serials = {json.loads(file.read_text(encoding="utf-8"))["serialNumber"] for file in files}
    assert len(serials) == 2


def test_this_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sbom"]) == 0
    found = json.loads(capsys.readouterr().out)
    valid(found)
    names = {c["name"] for c in found["components"]}
    assert {"numpy", "paho-mqtt", "cryptography", "tomlkit"} <= names
    assert "pytest" not in names, "only what the program needs"


def test_a_part_without_anything_is_valid_too() -> None:
    valid(document([parts.Part("a", "1", "", False, "", ())], "1", 0))
    valid(document([], "1", 0, "amd64"))


@pytest.mark.parametrize(
    ("content", "error"), [(None, NoInputError), (b"", DataError), (b"no zip", DataError)]
)
def test_a_folder_that_is_wrong(tmp_path: Path, content: Any, error: Any) -> None:
    if content is not None:
        (tmp_path / "a-1-py3-none-any.whl").write_bytes(content)
    assert main(["sbom", "--wheels", str(tmp_path)]) == error.exit_code


def test_options_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["sbom", "--arch", "arm64"]) == ConfigError.exit_code
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert main(["sbom"]) == ConfigError.exit_code


def test_names_of_a_field_depends() -> None:
    text = "python3 (>= 3.8~), python3 (<< 3.13~), python3.8 | python3.12, a"
    assert _names(text) == ["python3", "python3.8", "python3.12"]
