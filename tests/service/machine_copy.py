"""Where a package can be installed for real: a copy of this machine that is thrown away."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, List

from tests.waiting import GIVE_UP_S

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOWHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}
# What the package and the program write, below /.
TRACES = ["etc/edge", "usr/lib/edge", "usr/share/edge", "usr/bin/edge", "var/lib/edge"]

# A writable layer over / in namespaces of its own: no network, no process of the machine. The layer
# is in the folder, or in memory where that file system cannot carry one (a container's own).
STAGE = """
set -eu
folder=$1
layer() { mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$folder/root"; }
mkdir -p "$folder/up" "$folder/work" "$folder/root" "$folder/memory"
layer "$folder" 2>/dev/null || {
  mount -t tmpfs tmpfs "$folder/memory"
  mkdir "$folder/memory/up" "$folder/memory/work"
  layer "$folder/memory"
}
mount -t proc proc "$folder/root/proc"
mount --rbind /dev "$folder/root/dev"
mount -t tmpfs tmpfs "$folder/root/run"
echo ready
exec sleep infinity
"""


def run(*command: Any, given: str = "") -> subprocess.CompletedProcess[str]:
    """One command with the environment of a service: no variable of ours, no network for pip."""
    return subprocess.run(
        list(map(str, command)),
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **NOWHERE},
        cwd="/",
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVE_UP_S,
        encoding="utf-8",
    )


@contextmanager
def machine_copy(folder: Path) -> Iterator[Run]:
    """Runs commands as root in a copy of this machine's files; its changes are below `folder`.

    Raises:
        PermissionError: we are not root, or a container's root that may not mount.
    """
    spaces = ["--mount", "--pid", "--net", "--fork", "--kill-child"]
    keeper = subprocess.Popen(
        ["unshare", *spaces, "sh", "-c", STAGE, "sh", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "ready\n":
            raise PermissionError(keeper.communicate()[1].strip())
        # The child of `unshare --fork` is in the namespaces, unshare itself is not.
        children = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children")
        inside = [
            "nsenter",
            "--target",
            children.read_text(encoding="utf-8").split()[0],
            *spaces[:3],
        ]
        yield lambda *command, **more: run(*inside, "chroot", folder / "root", *command, **more)
    finally:
        keeper.kill()
        keeper.communicate()


def own_root() -> Run:
    """This machine itself: a container that may not mount is itself thrown away.

    Raises:
        PermissionError: it is no container, or somebody uses the program on it.
    """
    if os.geteuid() != 0:
        raise PermissionError("installing a package needs root")
    if Path("/run/systemd/system").exists():
        raise PermissionError("systemd runs this machine, and it lets nobody mount a copy of it")
    found = [name for name in TRACES if Path("/", name).exists()]
    if found:
        raise PermissionError(f"edge-pose is in use on this machine: /{found[0]}")
    return run


def files(run: Run) -> List[str]:
    """Every file of the places that packages and the program write to."""
    places = ("/etc", "/usr/bin", "/usr/lib", "/usr/share", "/var/lib")
    found = run("find", *places, "-not", "-type", "d")
    return sorted(found.stdout.splitlines())
