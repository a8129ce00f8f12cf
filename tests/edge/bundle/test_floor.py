"""An older bundle stays refused, whatever happens to one of the files that know the newest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.bundle.file import write_bundle
from edge.bundle.floor import Floor
from edge.bundle.slots import Slots
from edge.errors import DataError

KEY = Ed25519PrivateKey.generate()
FOREIGN = Ed25519PrivateKey.generate()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory in which version 1 and then 3 were confirmed."""
    for version in (1, 3):
        put(tmp_path / "state", version)
    return tmp_path / "state"


def put(state: Path, version: int, key: Ed25519PrivateKey = KEY, confirm: bool = True) -> None:
    file = state.with_name("model.toml")
    file.write_text("x = 1\n", encoding="utf-8")
    bundle = state.with_name(f"{version}.bundle")
    with bundle.open("wb") as out:
        write_bundle(out, {"m/model.toml": file}, version, "test", key)
    slots = Slots(state / "bundles")
    slots.begin(3)
    slots.switch(*slots.install(bundle, key.public_key()))
    if confirm:
        slots.confirm()


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def odd(path: Path) -> None:
    path.write_text(json.dumps({"floor": 10**400, "crc": -1}), encoding="utf-8")


def link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to("/nowhere/else")


WAYS = [damage, remove, empty, odd]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["bundles/state.json", "bundles.floor"])
def test_one_file_that_is_lost_takes_no_floor_with_it(
    state: Path, name: str, way: Callable[[Path], None]
) -> None:
    way(state / name)
    for version in (1, 2, 3):
        with pytest.raises(DataError, match="3 was in use; an older bundle is never taken"):
            put(state, version)
    put(state, 4)


@pytest.mark.parametrize("way", [folder, link])
def test_a_witness_that_is_no_file_is_no_witness(state: Path, way: Any) -> None:
    way(state / "bundles.floor")
    with pytest.raises(DataError, match="never taken"):
        put(state, 3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("other", WAYS)
def test_both_files_lost_leave_the_signed_manifests(state: Path, way: Any, other: Any) -> None:
    way(state / "bundles/state.json")
    other(state / "bundles.floor")
    with pytest.raises(DataError, match="never taken"):
        put(state, 2)
    put(state, 4)


def test_the_whole_folder_gone_leaves_the_witness_beside_it(state: Path) -> None:
    shutil.rmtree(str(state / "bundles"))
    with pytest.raises(DataError, match="never taken"):
        put(state, 2)
    put(state, 4)


def test_a_damaged_state_is_written_again_with_the_floor(state: Path) -> None:
    damage(state / "bundles/state.json")
    assert Slots(state / "bundles").state().floor == 3
    (state / "bundles.floor").unlink()
    for slot in ("a", "b"):
        shutil.rmtree(str(state / "bundles" / slot))
    with pytest.raises(DataError, match="never taken"):
        put(state, 2)


@pytest.mark.parametrize("name", ["bundles/state.json", "bundles.floor"])
def test_an_older_copy_of_a_witness_is_no_way_back(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    put(state, 1)
    kept = (state / name).read_bytes()
    put(state, 3)
    (state / name).write_bytes(kept)
    with pytest.raises(DataError, match="never taken"):
        put(state, 2)
    Slots(state / "bundles").begin(3)
    assert Floor(state / "bundles").read() == 3, "mended at the next start"


def test_a_box_of_an_earlier_release_gets_its_witness_at_the_next_start(state: Path) -> None:
    (state / "bundles.floor").unlink()
    Slots(state / "bundles").begin(3)
    assert Floor(state / "bundles").read() == 3


def test_a_bundle_that_was_never_confirmed_is_no_floor(tmp_path: Path) -> None:
    state = tmp_path / "state"
    put(state, 5, confirm=False)
    Slots(state / "bundles").roll_back("it failed")
    put(state, 5)


def test_a_manifest_of_a_foreign_key_is_no_witness(state: Path) -> None:
    shutil.rmtree(str(state))
    put(state, 9, FOREIGN)
    (state / "bundles/state.json").unlink()
    (state / "bundles.floor").unlink()
    put(state, 1)
