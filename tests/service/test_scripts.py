"""What the package's scripts and the service's first step do, below a folder in the place of /."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import List

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
PLACES = ("/usr/share/edge", "/usr/lib/edge", "/var/lib/edge", "/etc/edge", "/run/systemd")
KEY = "credentials/device.key"
RECIPE = 'family = "simcc"\n'
# Answers as `systemctl is-enabled` does, and writes down what else it is asked.
SYSTEMCTL = """#!/bin/sh
[ "$1" != is-enabled ] || exec test -e {root}/enabled
echo "$*" >>{root}/said
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("bin", "usr/lib/edge", "run/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    for name, text in (("systemctl", SYSTEMCTL), ("udevadm", "#!/bin/sh\n")):
        (tmp_path / "bin" / name).write_text(text.format(root=tmp_path), encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def run(root: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    text = (SYSTEMD / name).read_text(encoding="utf-8")
    for place in PLACES:
        text = text.replace(place, f"{root}{place}")
    environment = {**os.environ, "PATH": f"{root}/bin:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "-c", text, name, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )


def said(root: Path) -> List[str]:
    return (root / "said").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("systemd_runs", [True, False])
@pytest.mark.parametrize("enabled", [True, False])
def test_an_upgrade_leaves_a_service_off_that_was_off(
    root: Path, enabled: bool, systemd_runs: bool
) -> None:
    if enabled:
        (root / "enabled").touch()
    if not systemd_runs:
        (root / "run/systemd/system").rmdir()
        (root / "usr/lib/edge/make-venv").write_text("#!/bin/sh\n", encoding="utf-8")
        (root / "usr/lib/edge/make-venv").chmod(0o755)
    for script, words in (("prerm", ("upgrade", "2")), ("postinst", ("configure", "1"))):
        done = run(root, f"deb/{script}", *words)
        assert done.returncode == 0, done.stderr
    later = [line for line in said(root) if line.startswith(("enable", "restart"))]
    assert any("edge-setup.service" in line for line in later)
    assert any(" edge.service" in line for line in later) is enabled
    (root / "said").unlink()
    assert run(root, "deb/postinst", "configure", "1").returncode == 0
    assert any(" edge.service" in line for line in said(root)), "installed anew it is on"


def test_a_recipe_that_a_power_cut_left_empty_is_put_there_again(root: Path) -> None:
    for model in ("a", "b", "c"):
        (root / f"usr/share/edge/engines/{model}").mkdir(parents=True)
        (root / f"usr/share/edge/engines/{model}/model.toml").write_text(RECIPE, encoding="utf-8")
    own = root / "var/lib/edge/engines"
    for model, text in (("a", ""), ("b", "# mine\n")):
        (own / model).mkdir(parents=True)
        (own / model / "model.toml").write_text(text, encoding="utf-8")
    for _ in range(2):
        assert run(root, "recipes").returncode == 0
        texts = [(own / model / "model.toml").read_text(encoding="utf-8") for model in "abc"]
        assert texts == [RECIPE, "# mine\n", RECIPE]
        assert len([p for p in own.rglob("*") if p.is_file()]) == 3


@pytest.mark.parametrize(
    ("there", "times"),
    [((), 1), (("credentials/device.key",), 0), (("credentials/device.key", ".unfinished"), 1)],
)
def test_a_boot_provisions_if_the_key_lacks_or_the_power_was_cut(
    root: Path, there: List[str], times: int
) -> None:
    for name in ("bin/systemd-sysusers", "bin/systemd-tmpfiles", "usr/lib/edge/make-venv"):
        (root / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (root / name).chmod(0o755)
    program = root / "usr/lib/edge/venv/bin/edge"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "edge $*" >>{root}/said\n', encoding="utf-8")
    program.chmod(0o755)
    (root / "etc/edge/credentials").mkdir(parents=True)
    for name in there:
        (root / "etc/edge" / name).touch()
    assert run(root, "setup").returncode == 0
    lines = said(root) if (root / "said").exists() else []
    assert lines == ["edge provision", "daemon-reload"] * times
