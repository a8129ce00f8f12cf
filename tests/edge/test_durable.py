"""Files that are complete or absent: the order of the steps, links, and what a failure leaves."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, List

import pytest

from edge import durable
from edge.errors import ConfigError, DataError, NoInputError, TempError


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """The fsyncs and renames of a test that have returned, in order."""
    done: List[str] = []
    fsync, replace = os.fsync, Path.replace

    def recorded_fsync(handle: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{handle}")).name
        fsync(handle)
        done.append(f"fsync {name}")

    def recorded_replace(self: Path, target: Any) -> Path:
        made = replace(self, target)
        done.append(f"rename {self.name} {Path(target).name}")
        return made

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(Path, "replace", recorded_replace)
    return done


def refuse(*anything: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def names(folder: Path) -> List[str]:
    return sorted(p.name for p in folder.iterdir())


# The state directory ---------------------------------------------------------------------------


def test_state_dir_is_the_configured_one_before_that_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/first:{tmp_path}/second")
    assert durable.find_state_dir(f"{tmp_path}/mine") == tmp_path / "mine"
    assert durable.find_state_dir("") == tmp_path / "first"
    assert names(tmp_path) == [], "looking makes nothing"
    assert durable.state_dir("", "bundle.enabled") == tmp_path / "first"
    assert stat.S_IMODE((tmp_path / "first").stat().st_mode) == 0o700


def test_no_state_dir_names_the_key_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert durable.find_state_dir("") is None
    with pytest.raises(ConfigError, match=r"state\.dir: is empty, but bundle\.enabled needs"):
        durable.state_dir("", "bundle.enabled")


def test_a_state_dir_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NoInputError, match=r"state\.dir must be writable"):
        durable.state_dir(f"{tmp_path}/file/inside", "bundle.enabled")


# Whole files -----------------------------------------------------------------------------------


def test_when_write_whole_returns_file_and_rename_are_on_the_disk(
    tmp_path: Path, steps: List[str]
) -> None:
    durable.write_whole(tmp_path / "a", b"one")
    assert steps == ["fsync .a.new", "rename .a.new a", f"fsync {tmp_path.name}"]
    assert (tmp_path / "a").read_bytes() == b"one"
    durable.write_whole(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert names(tmp_path) == ["a"]


def test_a_stream_ends_with_the_same_steps(tmp_path: Path, steps: List[str]) -> None:
    with durable.new_file(tmp_path / "a") as file:
        file.write(b"....two")
        file.seek(0)
        file.write(b"one,")
        assert names(tmp_path) == [".a.new"]
    assert steps == ["fsync .a.new", "rename .a.new a", f"fsync {tmp_path.name}"]
    assert (tmp_path / "a").read_bytes() == b"one,two"


def test_saved_files_are_ours_alone_and_others_obey_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        durable.save_json(tmp_path / "private", {"b": 1, "a": 2})
        durable.write_whole(tmp_path / "shared", b"", durable.READABLE)
    finally:
        os.umask(before)
    assert (tmp_path / "private").read_bytes() == b'{"a": 2, "b": 1}\n'
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o640


def test_a_link_at_the_files_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"theirs")
    (tmp_path / "a").symlink_to("victim")
    with pytest.raises(DataError, match="a: is a link"):
        durable.write_whole(tmp_path / "a", b"ours")
    (tmp_path / "b").symlink_to("nowhere")
    with pytest.raises(DataError, match="b: is a link"), durable.new_file(tmp_path / "b"):
        pytest.fail("it must be refused before anything is written")
    assert (tmp_path / "victim").read_bytes() == b"theirs"
    assert names(tmp_path) == ["a", "b", "victim"]


@pytest.mark.parametrize("hard", [False, True])
def test_a_link_at_the_new_files_name_is_not_followed(tmp_path: Path, hard: bool) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"theirs")
    if hard:
        os.link(str(victim), f"{tmp_path}/.a.new")
    else:
        (tmp_path / ".a.new").symlink_to(victim)
    durable.write_whole(tmp_path / "a", b"ours")
    assert victim.read_bytes() == b"theirs"
    assert (tmp_path / "a").read_bytes() == b"ours"
    assert not (tmp_path / "a").is_symlink()
    assert names(tmp_path) == ["a", "victim"]


def test_a_link_that_comes_back_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who may write to the folder puts the link there again and again."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"theirs")
    (tmp_path / ".a.new").symlink_to(victim)
    monkeypatch.setattr(Path, "unlink", lambda self: None)
    with pytest.raises(FileExistsError):
        durable.write_whole(tmp_path / "a", b"ours")
    assert victim.read_bytes() == b"theirs"


def test_what_a_kill_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".a.new").write_bytes(b"half of a longer file")
    (tmp_path / ".a.new").chmod(0o400)
    durable.write_whole(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("where", "step"), [(os, "write"), (os, "fsync"), (Path, "replace"), (os, "open")]
)
def test_a_refusal_at_any_step_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, step: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with monkeypatch.context() as disk:
        disk.setattr(where, step, refuse)
        with pytest.raises(OSError, match="No space left") as raised:
            durable.write_whole(path, b"new")
        assert raised.value.filename == str(path)
        with pytest.raises(TempError, match=f"^{path}: No space left on device; make room"):
            durable.save(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_folder_that_cannot_be_synced_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "sync_dir", refuse)
    with pytest.raises(TempError, match="No space left"):
        durable.save(tmp_path / "a", b"new")


def test_an_error_in_the_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), durable.new_file(path) as file:
        file.write("no bytes")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError) as raised, durable.new_file(path) as file:
        file.write((tmp_path / "source").read_bytes())
    assert raised.value.filename == str(tmp_path / "source"), "not the file that is written"
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    durable.write_whole(tmp_path / "a", b"ten bytes.")
    assert (tmp_path / "a").read_bytes() == b"ten bytes."


def test_remove_tree_leaves_a_link_alone(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    durable.remove_tree(tmp_path / "link")
    durable.remove_tree(tmp_path / "missing")
    assert names(tmp_path / "real") == ["file"]
    durable.remove_tree(tmp_path / "real")
    assert names(tmp_path) == ["link"]
