"""Local commands: a Unix socket in front of the same handlers as the signed ones."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping

import pytest

from edge.commands import local_socket
from edge.commands.local_socket import NAME, LocalSocket, ask
from edge.commands.receiver import CommandResult
from edge.errors import ConfigError, NoInputError, TempError, UnavailableError
from edge.settings.config import Config
from edge.settings.sections import State


def session(args: Mapping[str, Any]) -> CommandResult:
    if args.get("action") != "start":
        raise ConfigError("action: use start")
    return CommandResult({"rules": "rom"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """In a folder whose path is longer than a socket address may be."""
    folder = tmp_path / ("long-" * 30)
    folder.mkdir()
    return folder / NAME


@pytest.fixture
def door(path: Path) -> Iterator[LocalSocket]:
    one = LocalSocket(path, {"session": session})
    yield one
    one.close()
    assert not path.exists()


def test_a_command_is_done_or_refused(door: LocalSocket, path: Path) -> None:
    done = ask(path, "session", {"action": "start"}, 20)
    assert done == {"state": "done", "detail": "", "result": {"rules": "rom"}, "exit_code": 0}
    refused = ask(path, "session", {"action": "end"}, 20)
    assert (refused["state"], refused["exit_code"]) == ("refused", 78)
    assert refused["detail"] == "action: use start"
    assert "no command 'restart'; there are: session" in ask(path, "restart", {}, 20)["detail"]


def test_only_our_user_may_ask(door: LocalSocket, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"[" * 70000, b'{"name": 1, "args": {}}\n', b'{"name":"session"']
)
def test_nonsense_is_refused_and_the_next_client_served(
    door: LocalSocket, path: Path, line: bytes
) -> None:
    with local_socket._address(path) as address, socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
        client.sendall(line)
        client.shutdown(socket.SHUT_WR)
        assert b"refused" in client.recv(4096)
    assert ask(path, "session", {"action": "start"}, 20)["state"] == "done"


def test_a_client_that_leaves_harms_nobody(door: LocalSocket, path: Path) -> None:
    with local_socket._address(path) as address, socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
    assert ask(path, "session", {"action": "start"}, 20)["state"] == "done"


def test_a_second_run_is_refused_and_a_dead_ones_socket_replaced(
    door: LocalSocket, path: Path, tmp_path: Path
) -> None:
    with pytest.raises(TempError, match=r"another run listens here"):
        LocalSocket(path, {})
    dead = tmp_path / NAME
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(dead))
    LocalSocket(dead, {}).close()
    dead.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="is no socket"):
        LocalSocket(dead, {})
    with pytest.raises(NoInputError, match=r"commands\.local needs a folder"):
        LocalSocket(tmp_path / "nowhere" / NAME, {})


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"commands\.local = true"):
        ask(tmp_path / NAME, "session", {}, 1)


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: List[Path] = []
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    configured: Dict[str, Any] = {"state": State(dir=str(tmp_path / "state"))}
    found.append(local_socket.folder(Config(**configured)))
    with pytest.raises(ConfigError, match=r"commands\.local needs a folder"):
        local_socket.folder(Config())
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/edge:/run/other")
    found.append(local_socket.folder(Config(**configured)))
    assert found == [tmp_path / "state", Path("/run/edge")]
