"""Run a peer library in its own environment, over pipes.

The peer's script reads one JSON request per line on standard input and writes one answer per line.
Arrays are passed as .npy files. The environment is made once and kept in the cache folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from edge.errors import UnavailableError
from tools.benches import Spent

SCRIPTS = Path(__file__).parent / "peers"


def cache_dir() -> Path:
    """The folder of the peers' environments."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "edge" / "peers"


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of a peer's environment; the environment is made if it does not exist.

    Raises:
        UnavailableError: the packages cannot be installed.
    """
    folder = cache_dir() / f"{name}-py{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / "bin" / "python"
    mark = folder / "requirements.txt"
    wanted = "\n".join(requirements) + "\n"
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {name} into its own environment", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--quiet", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        last = (done.stderr.strip().split("\n") or ["no message"])[-1]
        raise UnavailableError(f"bench peer {name}: cannot be installed: {last}")
    mark.write_text(wanted, encoding="utf-8")
    return python


class Peer:
    """A running peer process; a context manager."""

    def __init__(self, name: str, requirements: Sequence[str], *arguments: str) -> None:
        script = SCRIPTS / f"{name}_peer.py"
        python = environment(name, requirements)
        self._name = name
        self._process = subprocess.Popen(
            [str(python), str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": ""},
            encoding="utf-8",
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def spent(self) -> Spent:
        """Let the peer process its frames once; raises as `ask`."""
        answer = self.ask()
        return Spent(float(answer["ms"]), float(answer["cpu_ms"]))

    def ask(self, request: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        """Send one request and return its answer.

        Raises:
            UnavailableError: the peer has ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request or {}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise UnavailableError(f"bench peer {self._name}: ended without an answer")
        answer: Dict[str, Any] = json.loads(line)
        return answer
