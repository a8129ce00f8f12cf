"""Commands of this machine's own users, through a Unix socket that only our user and root can open.

A client sends one line of JSON, `{"name": ..., "args": {...}}`, and gets one line back: `state`
(done or refused), `detail`, `result`, and `exit_code` of the error (edge/errors.py). No key is
needed: the permissions of the socket say who may ask.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Tuple

from edge import durable
from edge.commands.receiver import Handler
from edge.errors import ConfigError, DataError, EdgeError, NoInputError, TempError, UnavailableError
from edge.settings.config import Config

log = logging.getLogger(__name__)

NAME = "local.sock"
MOST_BYTES = 65536  # of a line
ANSWER_S = 5.0  # a client must send its line within this time


class LocalSocket:
    """Answers in a thread of its own, one client after the other.

    Args:
        path: of the socket; a dead one of an earlier run is replaced.
        handlers: one for each name; a handler raises EdgeError to refuse.

    Raises:
        TempError: another run listens there.
        NoInputError: the socket cannot be made.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path, self._handlers = path, dict(handlers)
        self._socket = _listening(path)
        self._thread = threading.Thread(target=self._run, name="local commands", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and remove the socket."""
        self._path.unlink()
        self._socket.shutdown(socket.SHUT_RDWR)  # ends `accept` in the thread
        self._thread.join(ANSWER_S)
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:  # closed
                return
            with client, contextlib.suppress(OSError):  # a client may leave at any time
                client.settimeout(ANSWER_S)
                client.sendall(json.dumps(self._answer(_line(client))).encode() + b"\n")

    def _answer(self, line: bytes) -> Dict[str, Any]:
        try:
            name, args = _parsed(line)
            if name not in self._handlers:
                raise DataError(f"no command {name[:32]!r}; there are: {', '.join(self._handlers)}")
            outcome = self._handlers[name](args)
        except EdgeError as error:
            log.info("local command refused: %s", error)
            detail, code = str(error)[:1000], error.exit_code
            return {"state": "refused", "detail": detail, "result": {}, "exit_code": code}
        log.info("local command %r: done", name)
        outcome.then()
        return {"state": "done", "detail": "", "result": outcome.result, "exit_code": 0}


def folder(config: Config) -> Path:
    """Where the socket of a configuration is: systemd's run folder, else the state directory.

    Raises:
        ConfigError: there is neither.
    """
    named = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(named) if named else durable.state_dir(config.state.dir, "commands.local")


def ask(path: Path, name: str, args: Mapping[str, Any], wait_s: float) -> Dict[str, Any]:
    """Send a command to the run that listens at a socket; its answer.

    Raises:
        UnavailableError: nobody listens there, or we may not ask. TempError: no answer came.
    """
    body = json.dumps({"name": name, "args": dict(args)}).encode() + b"\n"
    try:
        with _address(path) as address, socket.socket(socket.AF_UNIX) as client:
            client.settimeout(wait_s)
            client.connect(address)
            client.sendall(body)
            answer = json.loads(_line(client))
    except socket.timeout:
        raise TempError(f"{path}: no answer in {wait_s:g} s") from None
    except OSError as error:
        raise UnavailableError(
            f"{path}: {error.strerror}; is `edge run` there, with commands.local = true, and are "
            "you its user or root?"
        ) from error
    except ValueError:
        raise TempError(f"{path}: the run ended before its answer") from None
    found: Dict[str, Any] = answer
    return found


def _listening(path: Path) -> socket.socket:
    own = socket.socket(socket.AF_UNIX)
    try:
        with _address(path) as address:
            _clear(path, address)
            own.bind(address)
            path.chmod(durable.PRIVATE)  # before `listen`: until then nobody can connect
            own.listen(4)
    except OSError as error:
        own.close()
        raise NoInputError(
            f"{path}: {error.strerror}; commands.local needs a folder for a socket"
        ) from error
    except EdgeError:
        own.close()
        raise
    return own


def _clear(path: Path, address: str) -> None:
    """Remove the socket of a run that was killed."""
    with socket.socket(socket.AF_UNIX) as other:
        try:
            other.connect(address)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            if not path.is_socket():
                raise ConfigError(f"{path}: is no socket; remove it") from None
            path.unlink()
            return
    raise TempError(f"{path}: another run listens here; give each run a state.dir of its own")


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """A short name of a path while its folder is open: socket addresses hold 107 bytes only."""
    handle = os.open(str(path.parent), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)


def _line(client: socket.socket) -> bytes:
    """What a peer sends, up to the end of its first line."""
    data = b""
    while b"\n" not in data and len(data) < MOST_BYTES:
        part = client.recv(4096)
        if not part:
            break
        data += part
    return data


def _parsed(line: bytes) -> Tuple[str, Mapping[str, Any]]:
    try:
        record = json.loads(line)
        name, args = record["name"], record["args"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise DataError("expected one line of JSON with name and args") from None
    if not isinstance(name, str) or not isinstance(args, dict):
        raise DataError("name: expected a text, and args an object")
    return name, args
