from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from edge.keys.trust import Trust, load_key, open_trust, read_once

KEY = Ed25519PrivateKey.generate()
CONTENT = b"engine bytes" * 100


def signed(root: Path, files: Dict[str, Any], schema: str = "models/1") -> Path:
    text = json.dumps({"schema": schema, "files": files}).encode()
    (root / "manifest.json").write_bytes(text)
    (root / "manifest.sig").write_bytes(KEY.sign(text))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "a.onnx").write_bytes(CONTENT)
    return signed(tmp_path, {"net/a.onnx": hashlib.sha256(CONTENT).hexdigest()})


def trust(root: Path) -> Trust:
    return Trust(root, KEY.public_key())


def test_the_buffer_that_was_hashed_is_given(root: Path) -> None:
    assert trust(root).read(root / "net" / "a.onnx") == CONTENT


def test_changed_byte_is_refused(root: Path) -> None:
    (root / "net" / "a.onnx").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(DataError, match="was changed after it was signed"):
        trust(root).read(root / "net" / "a.onnx")


def test_missing_entry_is_refused(root: Path) -> None:
    (root / "net" / "b.onnx").write_bytes(CONTENT)
    with pytest.raises(DataError, match="not in the signed manifest"):
        trust(root).read(root / "net" / "b.onnx")


def test_path_that_leaves_the_folder_is_refused(root: Path, tmp_path: Path) -> None:
    outside = tmp_path.parent / "outside.onnx"
    outside.write_bytes(CONTENT)
    with pytest.raises(DataError, match="leads out of"):
        trust(root).read(root / ".." / outside.name)
    (root / "net" / "link.onnx").symlink_to(outside)
    with pytest.raises(DataError, match="leads out of"):
        trust(root).read(root / "net" / "link.onnx")


def test_link_and_device_are_refused(root: Path) -> None:
    (root / "net" / "a.onnx").rename(root / "net" / "c.onnx")
    (root / "net" / "a.onnx").symlink_to(root / "net" / "c.onnx")
    with pytest.raises(EdgeError, match="not in the signed manifest"):
        trust(root).read(root / "net" / "a.onnx")
    (root / "net" / "a.onnx").unlink()
    os.mkfifo(root / "net" / "a.onnx")
    with pytest.raises(DataError, match="not a plain file"):
        trust(root).read(root / "net" / "a.onnx")


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig"])
def test_a_link_in_place_of_a_signed_file_is_not_followed(root: Path, name: str) -> None:
    (root / name).rename(root / "elsewhere")
    (root / name).symlink_to("elsewhere")
    with pytest.raises(DataError, match=rf"{name}: is a link; put the file itself there"):
        trust(root)


def test_a_link_that_appears_after_the_path_was_resolved_is_not_followed(root: Path) -> None:
    (root / "net" / "link.onnx").symlink_to("a.onnx")
    with pytest.raises(DataError, match="is a link"):
        read_once(root / "net" / "link.onnx", 1 << 20)
    assert read_once(root / "net" / "a.onnx", 1 << 20) == CONTENT


def test_a_file_is_read_up_to_its_limit(root: Path) -> None:
    path = root / "net" / "a.onnx"
    assert read_once(path, len(CONTENT)) == CONTENT
    with pytest.raises(DataError, match=f"has {len(CONTENT)} bytes, more than"):
        read_once(path, len(CONTENT) - 1)


def test_foreign_key_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match="not signed with this key"):
        Trust(root, Ed25519PrivateKey.generate().public_key())


def test_without_manifest_nothing_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"manifest\.json"):
        trust(tmp_path)


@pytest.mark.parametrize(
    "files",
    [{"../x": "0" * 64}, {"/x": "0" * 64}, {"x": "0"}, {"x": 1}, {"x": "G" * 64}, [], None, 5],
)
def test_signed_nonsense_is_refused(tmp_path: Path, files: Any) -> None:
    with pytest.raises(DataError, match="is not a manifest"):
        trust(signed(tmp_path, files))


def test_manifest_of_another_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a manifest"):
        trust(signed(tmp_path, {}, schema="other/1"))


@pytest.mark.one_python
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sampled_from(["manifest.json", "manifest.sig", "net/a.onnx"]), data=st.data())
def test_no_mutation_is_ever_accepted(root: Path, which: str, data: st.DataObject) -> None:
    """Flip, cut, add or replace anywhere: the file is refused or the mutation changed nothing."""
    path = root / which
    before = path.read_bytes()
    at = data.draw(st.integers(0, len(before) - 1))
    cut = data.draw(st.integers(0, 4))
    after = before[:at] + data.draw(st.binary(max_size=4)) + before[at + cut :]
    path.write_bytes(after)
    try:
        read = trust(root).read(root / "net" / "a.onnx")
    except EdgeError:
        read = None
    finally:
        path.write_bytes(before)
    assert read is None or (after == before and read == CONTENT)


def test_key_files(tmp_path: Path) -> None:
    def write(name: str, key: Any) -> str:
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / name).write_bytes(pem)
        return str(tmp_path / name)

    good = write("good.pub", KEY.public_key())
    assert isinstance(load_key(Path(good)), type(KEY.public_key()))
    other = write("other.pub", generate_private_key(SECP256R1()).public_key())
    (tmp_path / "text.pub").write_text("hello", encoding="utf-8")
    for bad in (other, str(tmp_path / "text.pub")):
        with pytest.raises(ConfigError, match="not an ed25519 public key"):
            load_key(Path(bad))
    with pytest.raises(NoInputError):
        load_key(tmp_path / "none.pub")
    assert open_trust(signed(tmp_path, {}), good).files == {}
