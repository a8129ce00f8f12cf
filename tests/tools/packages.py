"""Small packages of every registry, and stand-ins for the clients that cannot work without one.

pip is the real one: it takes a wheel from a folder when told so by its own environment variables.
npm and apt-get are small scripts on the PATH that hand over a prepared file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List
from unittest import mock

from tests.tools.network_cases import every_layer_cfg, every_layer_weights
from tools.__main__ import main

NETWORK = {"small/net.cfg": every_layer_cfg().encode(), "small/net.weights": every_layer_weights()}
CLIENT = """#!{python}
import os, pathlib, shutil, sys, time
place = pathlib.Path(__file__).parent
with open(place / "calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
prepared = place / "prepared{suffix}"
if (place / "hang").exists():
    pathlib.Path("half{suffix}").write_bytes(prepared.read_bytes()[:100])
    (place / "hanging").touch()
    time.sleep(60)
if (place / "slow").exists():
    time.sleep(0.7)
if not prepared.exists():
    sys.exit("no such package")
shutil.copy(prepared, "package{suffix}")
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(folder: Path, name: str, files: Dict[str, bytes]) -> Path:
    """A wheel that pip accepts, version 1.0 for any Python."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    described = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in {**files, **described}.items():
            archive.writestr(member, content)
    return path


def tarball(files: Dict[str, bytes], links: Dict[str, str] = {}, mode: str = "w:gz") -> bytes:  # noqa: B006
    """A tar archive with files and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


def deb(files: Dict[str, bytes]) -> bytes:
    """A Debian package: an ar archive of three members."""
    data = tarball({f"./{name}": content for name, content in files.items()}, mode="w:xz")
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data}
    parts = [b"!<arch>\n"]
    for name, content in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        parts += [header.encode(), content, b"\n" * (len(content) % 2)]
    return b"".join(parts)


def client(folder: Path, name: str, suffix: str) -> Path:
    """An executable `name` in `folder`; it hands over `folder/prepared<suffix>`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(CLIENT.format(python=sys.executable, suffix=suffix), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def recipe(archive: bytes, **changes: str) -> str:
    """A model.toml of one small network; `changes` replace values of its keys."""
    values = {
        "registry": "pypi",
        "package": "smallnet",
        "version": "1.0",
        "archive_sha256": sha256(archive),
        "member": "small/net.weights",
        "member_sha256": sha256(NETWORK["small/net.weights"]),
        "convert": "darknet",
        **changes,
    }
    cfg = sha256(NETWORK["small/net.cfg"])
    lines = ['family = "yolov4"', 'licence = "CC0-1.0"', "[networks.main]", 'file = "small.onnx"']
    lines += ["width = 32", "height = 48", "std = [255.0, 255.0, 255.0]", "[networks.main.weights]"]
    lines += [f'{key} = "{value}"' for key, value in values.items()]
    lines += ["[networks.main.weights.extra]", f'members = {{ "small/net.cfg" = "{cfg}" }}']
    return "\n".join(lines) + "\n"


def media_set(registry: str, members: Dict[str, bytes], archive_sha256: str = "") -> str:
    """A set.toml; each member becomes a file of its own name."""
    lines = ["[[sources]]", f'registry = "{registry}"', 'package = "clips"', 'version = "1.0"']
    lines.append(f'archive_sha256 = "{archive_sha256}"')
    for name, content in members.items():
        lines += ["[[sources.members]]", f'member = "{name}"', f'file = "{Path(name).name}"']
        lines.append(f'sha256 = "{sha256(content)}"')
    return "\n".join(lines) + "\n"


def environment(cache: Path, wheels: Path, path: Path) -> Dict[str, str]:
    """Where pip may look (one folder, no network), where the cache is, what is on the PATH."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "npm_config_"))}
    own = {
        "XDG_CACHE_HOME": str(cache),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "PATH": str(path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return {**kept, **own}


@dataclass(frozen=True)
class Done:
    """What a command line ended with."""

    returncode: int
    stdout: str
    stderr: str


def edge_tools(arguments: List[str], env: Dict[str, str]) -> Done:
    """Run a command line in this process; its clients are processes of their own."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, env, clear=True))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        code = main(arguments)
    return Done(code, out.getvalue(), err.getvalue())
