"""The program as it is by default opens no port: asked of the kernel, not of the program."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any, List, Set

import pytest

from tests.promises.whole_daemon import Daemon, settings
from tests.waiting import until

LISTEN, UNCONNECTED = "0A", "07"  # net/tcp_states.h


def sockets(pid: int) -> Set[str]:
    """Inodes of the sockets that a process holds."""
    found = set()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", handle.readlink().as_posix())
        except FileNotFoundError:  # closed meanwhile
            continue
        if match:
            found.add(match.group(1))
    return found


def family(pid: int) -> List[int]:
    """A process and all its descendants."""
    text = "".join(
        p.read_text(encoding="utf-8") for p in Path(f"/proc/{pid}/task").glob("*/children")
    )
    return [pid] + [one for child in text.split() for one in family(int(child))]


def ports(pid: int) -> List[str]:
    """What of a process others could send to: listening TCP, bound UDP, listening Unix sockets."""
    found = []
    for one in family(pid):
        own = sockets(one)
        for name, state in (
            ("tcp", LISTEN),
            ("tcp6", LISTEN),
            ("udp", UNCONNECTED),
            ("udp6", UNCONNECTED),
        ):
            for line in (
                Path(f"/proc/{one}/net/{name}").read_text(encoding="utf-8").splitlines()[1:]
            ):
                column = line.split()
                if column[3] == state and column[9] in own:
                    found.append(f"{name} {column[1]}")
        for line in Path(f"/proc/{one}/net/unix").read_text(encoding="utf-8").splitlines()[1:]:
            column = line.split()
            if int(column[3], 16) & 0x10000 and column[6] in own:  # __SO_ACCEPTCON
                found.append(f"unix {' '.join(column[7:])}")
    return found


def test_the_kernel_would_tell() -> None:
    """P10: an open port is seen, of each kind."""
    import os

    before = ports(os.getpid())
    with socket.socket() as tcp, socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM
    ) as udp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        unix.bind("\0edge-test")
        tcp.listen()
        unix.listen()
        opened = [p.split()[0] for p in ports(os.getpid()) if p not in before]
    assert sorted(opened) == ["tcp", "udp", "unix"]


def test_nothing_is_kept_or_told_for_others(tmp_path: Path) -> None:
    """P10: no library keeps records of use: the home folder and the temporary one stay empty."""
    places = {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for place in places.values():
        place.mkdir()
    out = tmp_path / "out"
    daemon = Daemon(tmp_path, settings(tmp_path, [f"jsonl:{out}"]))
    daemon.start(**{name: str(place) for name, place in places.items()})
    try:
        until(
            lambda: out.exists() and out.read_text(encoding="utf-8").count("/frame") > 20, "frames"
        )
        assert daemon.stop() == 0
    finally:
        daemon.kill()
    assert [p for place in places.values() for p in place.rglob("*")] == []


@pytest.mark.parametrize("cameras", ["synthetic", "rtsp"])
def test_no_port_is_open_while_it_runs(
    broker: Any, tmp_path: Path, cameras: str, figures: Any
) -> None:
    """P10: 0 listening ports, with a broker connected, a camera open and after a reload."""
    server = None
    more = {}
    if cameras == "rtsp":
        from tests import rtsp_process

        rtsp_process.install()
        server = rtsp_process.RtspServer(False)
        more = {"cameras": [{"name": "door", "source": server.url}]}
    out = tmp_path / "out"
    seen: List[str] = []
    looks = 0
    try:
        table = settings(tmp_path, [broker.uri, f"jsonl:{out}"], **more)
        with Daemon(tmp_path, table) as daemon:
            pid = daemon.process.pid
            until(
                lambda: out.exists() and out.read_text(encoding="utf-8").count("/frame") > 5,
                "frames",
            )
            until(
                lambda: '"ok":true' in out.read_text(encoding="utf-8").replace(" ", ""),
                "a connection",
            )
            for _ in range(20):
                seen += ports(pid)
                looks += 1
            assert len(sockets(pid)) >= 1, "the broker's connection is a socket"
            assert daemon.stop() == 0
    finally:
        if server is not None:
            server.kill()
    assert seen == []
    figures("P10", looks=looks, listening_ports=len(seen), cameras=cameras)
