"""One virtual machine: started, asked over SSH, stopped in order or by a power cut."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, List, Optional

from tests.vm.image import Image

# Guards against hanging only, as a machine without KVM on busy cores is 30 times slower.
GIVE_UP_S = float(os.environ.get("VM_GIVE_UP_S", "1200"))


class Failed(AssertionError):
    """A command in the machine failed, or something awaited never came."""


def accelerator() -> str:
    """`tcg`, or what VM_ACCEL names: kvm inside a virtual machine may hang or abort."""
    return os.environ.get("VM_ACCEL", "tcg")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Disk:
    """A layer over a disk of the image: what a machine writes goes into the layer.

    qemu keeps the layer's tables in memory until the guest flushes. A killed qemu thus loses what
    was not flushed, as a disk with a volatile cache does.
    """

    below: Path
    path: Path

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kind = "raw" if self.below.suffix == ".raw" else "qcow2"
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", kind]
        subprocess.run([*words, "-b", str(self.below.absolute()), str(self.path)], check=True)


@dataclass
class Machine:
    """A machine on a disk. Times are in seconds of the host."""

    image: Image
    disk: Disk
    memory_mb: int = 4096
    accel: str = field(default_factory=accelerator)
    clock: str = ""  # -rtc base: "" = the host's; 1970-01-02T00:00:00
    cache: str = "writeback"
    process: Optional[subprocess.Popen[bytes]] = None
    port: int = 0

    def __post_init__(self) -> None:
        self.place = self.disk.path.parent
        self.console = self.place / "console.log"
        # The path of a socket has at most 108 characters.
        self.sockets = Path(tempfile.mkdtemp(prefix="edge-vm-"))

    def start(self) -> None:
        """Power on; returns at once."""
        assert self.process is None
        self.port = free_port()
        append = (
            "root=/dev/vda rw console=ttyS0 mitigations=off nokaslr quiet systemd.show_status=0"
        )
        words = ["qemu-system-x86_64", "-M", "q35", "-nodefaults", "-no-reboot", "-display", "none"]
        words += ["-accel", "kvm" if self.accel == "kvm" else "tcg,thread=multi,tb-size=512"]
        words += ["-cpu", "host" if self.accel == "kvm" else "max", "-smp", "2"]
        words += ["-m", f"{self.memory_mb}M"]
        words += ["-kernel", str(self.image.folder / "vmlinuz"), "-append", append]
        words += ["-initrd", str(self.image.folder / "initrd.img")]
        words += ["-drive", f"file={self.disk.path},if=none,id=d0,format=qcow2,cache={self.cache}"]
        words += ["-device", "virtio-blk-pci,drive=d0"]
        words += ["-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{self.port}-:22"]
        words += ["-device", "virtio-net-pci,netdev=n0", "-device", "virtio-rng-pci"]
        words += ["-serial", f"file:{self.console}"]
        words += ["-rtc", f"base={self.clock}"] if self.clock else []
        with (self.place / "qemu.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def boot(self) -> float:
        """Power on and wait for a login; gives the seconds."""
        begun_s = time.monotonic()
        self.start()
        self.await_login()
        return time.monotonic() - begun_s

    def await_login(self) -> None:
        """Wait until a login is possible; after `start`."""
        self.until(lambda: self.sh("true", check=False, limit_s=30).returncode == 0, "a login")

    def until(self, true: Callable[[], Any], what: str, every_s: float = 1.0) -> float:
        """Wait until something holds while the machine runs; gives the seconds."""
        begun_s = time.monotonic()
        while not true():
            assert self.process is not None
            if self.process.poll() is not None:
                raise Failed(f"qemu ended while {what} was awaited: {self.last_words()}")
            if time.monotonic() > begun_s + GIVE_UP_S:
                raise Failed(f"{what} did not come within {GIVE_UP_S:.0f} s")
            time.sleep(every_s)
        return time.monotonic() - begun_s

    def last_words(self) -> str:
        text = self.console.read_text("utf-8", "replace") if self.console.exists() else ""
        return (self.place / "qemu.log").read_text("utf-8", "replace")[-500:] + text[-1000:]

    def login(self, program: str, port_option: str) -> List[str]:
        """Words of ssh or scp: one connection for all calls of a boot."""
        control = self.sockets / f"{self.port}"
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        options += ["ControlMaster=auto", f"ControlPath={control}", "ControlPersist=60"]
        options += ["ConnectTimeout=15", "ServerAliveInterval=10", "ServerAliveCountMax=30"]
        words = [program, "-i", str(self.image.folder / "key"), port_option, str(self.port)]
        return words + [word for option in options for word in ("-o", option)]

    def sh(
        self, command: str, check: bool = True, limit_s: float = GIVE_UP_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a line of shell as root.

        Raises:
            Failed: it ended with another code than 0, and `check`.
        """
        words = [*self.login("ssh", "-p"), "root@127.0.0.1", f"bash -c {shlex.quote(command)}"]
        try:
            done = subprocess.run(
                words, capture_output=True, encoding="utf-8", errors="replace", timeout=limit_s
            )
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(words, 124, "", f"no answer in {limit_s:.0f} s")
        if check and done.returncode:
            raise Failed(f"$ {command}\n{done.stdout}{done.stderr}(code {done.returncode})")
        return done

    def out(self, command: str) -> str:
        """Standard output of a line that must succeed, without white space at its ends."""
        return self.sh(command).stdout.strip()

    def put(self, source: Path, target: str) -> None:
        """Copy a file or folder into the machine."""
        words = [*self.login("scp", "-P"), "-q", "-r", str(source), f"root@127.0.0.1:{target}"]
        subprocess.run(words, check=True, timeout=GIVE_UP_S)

    def write(self, target: str, text: str) -> None:
        """Write a small text file in the machine."""
        self.sh(f"cat >{shlex.quote(target)} <<'END_OF_FILE'\n{text}END_OF_FILE")

    def cut(self) -> None:
        """Cut the power: qemu dies at once, and nothing is flushed."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
        self._hang_up()

    def _hang_up(self) -> None:
        """End the client that holds the connection; the next boot has another port."""
        words = [*self.login("ssh", "-p"), "-O", "exit", "root@127.0.0.1"]
        subprocess.run(words, capture_output=True, check=False)

    def close(self) -> None:
        self.cut()
        shutil.rmtree(self.sockets, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.disk.path.unlink()
