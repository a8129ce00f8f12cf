"""The units as systemd itself judges them, and every script as shellcheck does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = ROOT / "systemd"
# The version that brought each directive (systemd.unit(5), .service(5), .exec(5),
# .resource-control(5)); JetPack 5 has 245, JetPack 6 has 249, JetPack 7 has 255.
OLD = """Description Documentation After Before WantedBy PartOf Type NotifyAccess User Group
ExecStartPre ExecStart ExecReload WatchdogSec Restart RestartSec TimeoutStartSec TimeoutStopSec
RemainAfterExit WorkingDirectory Environment UMask LimitCORE OOMScoreAdjust CapabilityBoundingSet
PrivateTmp"""
SINCE = {
    **dict.fromkeys(OLD.split(), 188),
    "NoNewPrivileges": 187,
    "SystemCallFilter": 187,
    "DevicePolicy": 208,
    "DeviceAllow": 208,
    "SystemCallArchitectures": 209,
    "SystemCallErrorNumber": 209,
    "RuntimeDirectory": 211,
    "RuntimeDirectoryMode": 211,
    "RestrictAddressFamilies": 211,
    "ProtectSystem": 214,
    "ProtectHome": 214,
    "TasksMax": 227,
    "AmbientCapabilities": 229,
    "StartLimitIntervalSec": 230,
    "MemoryMax": 231,
    "ReadWritePaths": 231,
    "RestrictRealtime": 231,
    "MemorySwapMax": 232,
    "RemoveIPC": 232,
    "ProtectKernelTunables": 232,
    "ProtectKernelModules": 232,
    "ProtectControlGroups": 232,
    "RestrictNamespaces": 233,
    "StateDirectory": 235,
    "StateDirectoryMode": 235,
    "CacheDirectory": 235,
    "CacheDirectoryMode": 235,
    "LogsDirectory": 235,
    "LogsDirectoryMode": 235,
    "ConfigurationDirectory": 235,
    "ConfigurationDirectoryMode": 235,
    "LockPersonality": 235,
    "KeyringMode": 235,
    "PrivateDevices": 209,
    "PrivateNetwork": 188,
    "PrivateMounts": 239,
    "ProtectHostname": 242,
    "RestrictSUIDSGID": 242,
    "OOMPolicy": 243,
    "ProtectKernelLogs": 244,
    "WatchdogSignal": 244,
    "ProtectClock": 245,
    "ProtectProc": 247,
    "LoadCredential": 247,
    "RestartSteps": 254,
    "RestartMaxDelaySec": 254,
}
JETPACK_5 = 245


def directives(path: Path) -> Dict[str, List[str]]:
    found: Dict[str, List[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            name, mark, value = line.partition("=")
            assert mark, f"{path.name}: {line}"
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A root as the package would fill it, with stand-ins for what its scripts make."""
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name in ("edge.service", "edge-setup.service"):
        shutil.copy(SYSTEMD / name, units)
    for target in (
        "multi-user",
        "sysinit",
        "basic",
        "network",
        "time-sync",
        "local-fs",
        "shutdown",
        "umount",
    ):
        (units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n", encoding="utf-8")
    for name in (
        "bin/kill",
        "usr/lib/edge/venv/bin/edge",
        "usr/lib/edge/setup",
        "usr/lib/edge/recipes",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n", encoding="utf-8")
        path.chmod(0o755)
    return tmp_path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which("systemd-analyze")
    assert command, "these tests need systemd-analyze: apt install systemd"
    words = [command, *arguments]
    return subprocess.run(words, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("unit", ["edge.service", "edge-setup.service"])
def test_systemd_finds_nothing_wrong(image: Path, unit: str) -> None:
    done = analyze("verify", f"--root={image}", "--man=no", "--recursive-errors=no", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_verify_would_tell(image: Path) -> None:
    unit = image / "usr/lib/systemd/system/edge.service"
    unit.write_text(
        unit.read_text(encoding="utf-8").replace("ProtectClock=yes", "ProtectClok=maybe"),
        encoding="utf-8",
    )
    done = analyze("verify", f"--root={image}", "--man=no", "--recursive-errors=no", "edge.service")
    assert "ProtectClok" in done.stderr


@pytest.mark.parametrize("newer", [False, True])
def test_exposure(image: Path, newer: bool) -> None:
    """At most 1.7, with all that CUDA needs still allowed."""
    if newer:
        shutil.copytree(SYSTEMD / "edge.service.d", image / "usr/lib/systemd/system/edge.service.d")
    arguments = ("security", "--offline=true", f"--root={image}", "--threshold=17", "edge.service")
    done = analyze(*arguments)
    assert done.returncode == 0, done.stdout
    unit = image / "usr/lib/systemd/system/edge.service"
    unit.write_text(
        unit.read_text(encoding="utf-8").replace("\nSystemCallFilter=@system-service", ""),
        encoding="utf-8",
    )
    assert analyze(*arguments).returncode == 1, "and it would tell"


def test_exposure_of_the_setup(image: Path) -> None:
    """Root, but without a network, devices, and most of root's capabilities."""
    arguments = ("security", "--offline=true", f"--root={image}", "--threshold=30")
    done = analyze(*arguments, "edge-setup.service")
    assert done.returncode == 0, done.stdout


def test_the_unit_says_only_what_jetpack_5_knows() -> None:
    for unit in ("edge.service", "edge-setup.service"):
        newer = {n: SINCE[n] for n in directives(SYSTEMD / unit) if SINCE[n] > JETPACK_5}
        assert not newer, f"{unit}: these want the drop-in"
    newer = directives(SYSTEMD / "edge.service.d/50-newer.conf")  # type: ignore[assignment]
    assert newer
    assert not [n for n in newer if SINCE[n] <= JETPACK_5]


def test_what_cuda_needs_is_allowed_and_the_promises_are_kept() -> None:
    said = directives(SYSTEMD / "edge.service")
    assert "MemoryDenyWriteExecute" not in said
    assert "PrivateDevices" not in said
    devices = " ".join(said["DeviceAllow"])
    for name in ("char-video4linux", "char-nvhost*", "char-nvidia*", "char-nvgpu*", "/dev/nvmap"):
        assert f"{name} rw" in devices
    assert said["StartLimitIntervalSec"] == ["0"], "it never gives up"
    assert said["Restart"] == ["always"]
    assert said["LimitCORE"] == said["MemorySwapMax"] == ["0"], "pictures stay in memory"
    assert 5 < int(said["TimeoutStopSec"][0]) <= 10, "longer than the daemon takes"
    assert said["WatchdogSec"] == ["20"]


def test_every_script_is_clean() -> None:
    command = shutil.which("shellcheck")
    assert command, "this test needs shellcheck: apt install shellcheck"
    scripts = [p for p in sorted(SYSTEMD.rglob("*")) if p.is_file() and first_line(p)[:2] == "#!"]
    assert len(scripts) >= 10
    arguments = [command, *map(str, scripts)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == 0, done.stdout
    assert all(first_line(p) == "#!/bin/sh" for p in scripts)


def first_line(path: Path) -> str:
    return path.read_text("utf-8", "replace").partition("\n")[0]


def test_udev_rules_are_well_formed() -> None:
    lines = (SYSTEMD / "70-edge.rules").read_text(encoding="utf-8").splitlines()
    part = re.compile(r'[A-Z]+(\{[\w/.]+\})?(==|!=|=|\+=|:=)"[^"]*"')
    rules = [line for line in lines if line and not line.startswith("#")]
    assert len(rules) == 5
    for rule in rules:
        assert all(part.fullmatch(p) for p in rule.split(", ")), rule


def test_the_default_configuration_is_fine(tmp_path: Path) -> None:
    from edge.service.check import check

    text = (SYSTEMD / "edge.toml").read_text(encoding="utf-8")
    path = tmp_path / "edge.toml"
    path.write_text(text.replace("/var/lib/edge/engines", str(ROOT / "engines")), encoding="utf-8")
    settings = check(path)
    assert settings.publish.sinks == [], "nobody is told before a person names a broker"
    assert not settings.commands.allow


def test_a_reload_checks_where_the_credentials_can_be_read() -> None:
    """Only the daemon and root see them: `edge check` as the service's user always failed."""
    lines = (SYSTEMD / "edge.service").read_text(encoding="utf-8").splitlines()
    reloads = [line.partition("=")[2] for line in lines if line.startswith("ExecReload=")]
    assert reloads[0].startswith("+/usr/lib/edge/venv/bin/edge check ")
    assert reloads[1].startswith("/bin/kill -HUP"), "the signal needs no root"
