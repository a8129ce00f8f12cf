"""`edge provision`: give this box its own name, key, certificate request and broker.

The secret key is made here and never leaves the box; an image holds none. Everything can be said
again: what is there stays, what is missing is made, and the answer tells the next step.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from edge import publish
from edge.durable import save
from edge.errors import ConfigError, DataError, NoInputError, TempError
from edge.keys.own_key import certificate_problem, is_authority, new_key, request, request_name
from edge.settings import config
from edge.settings.config import Config
from edge.settings.credentials import SCHEME
from edge.settings.schema import build, key, name_problem
from edge.settings.toml_edit import set_key

UNNAMED = "edge"  # the name in the default configuration
LOADS_CREDENTIALS = 247  # systemd.exec(5)
FILES = {"ca_file": "ca.crt", "cert_file": "device.crt", "key_file": "device.key"}


@dataclass(frozen=True)
class Answers:
    """What an image's builder may have answered beforehand, in /etc/edge/provision.toml."""

    device: str = key(
        "",
        "name of the box; empty = edge- and a number of its own",
        check=lambda v: name_problem(v) if v else None,
    )
    broker: str = key("", "mqtts://HOST")


@dataclass(frozen=True)
class Order:
    """What is wanted; empty = as it is."""

    root: Path = Path("/")
    device: str = ""
    broker: str = ""
    ca: Optional[Path] = None
    certificate: Optional[Path] = None
    new_key: bool = False


class Box:
    """The files of one box, below a root that is not / for images."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "etc/edge"
        self.config = self.folder / "edge.toml"
        self.credentials = self.folder / "credentials"
        self.key = self.credentials / FILES["key_file"]
        self.certificate = self.credentials / FILES["cert_file"]
        self.authority = self.credentials / FILES["ca_file"]
        self.request = self.folder / "device.csr"
        self.drop_in = root / "etc/systemd/system/edge.service.d/10-credentials.conf"
        self.machine_id = root / "etc/machine-id"

    def answers(self) -> Answers:
        """Those given beforehand, if any."""
        path = self.folder / "provision.toml"
        if not path.is_file():
            return Answers()
        try:
            return build(Answers, config.read_toml(path))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def text(self) -> str:
        """The configuration as it is written."""
        try:
            return self.config.read_bytes().decode("utf-8")  # line ends stay as they are
        except OSError as error:
            raise NoInputError(
                f"{self.config}: {error.strerror}; `make install` or the package puts it there"
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.config}: not UTF-8") from error


def provision(order: Order, systemd: int = 0) -> List[str]:
    """Do what is asked and what is missing.

    Args:
        order: what is asked.
        systemd: its version; 0 = none on this machine.

    Returns:
        Lines for a person; the last says what to do next.

    Raises:
        EdgeError: nothing of it was done, or only whole steps of it.
    """
    box = Box(order.root)
    answers = box.answers()
    before = read(box)
    own_name = before.device if before.device != UNNAMED else ""
    device = order.device or own_name or answers.device or derived_name(box.machine_id)
    if name_problem(device):
        raise ConfigError(f"--device {device!r}: {name_problem(device)}")
    broker = broker_uri(order.broker or ("" if before.publish.sinks else answers.broker))
    try:
        said = keys(box, device, order.new_key)
        said += certificates(box, device, order)
        said += settle(box, device, broker)
        said += protect(box, systemd)
        return [*said, next_step(box, device)]
    except OSError as error:
        raise TempError(
            f"{error.filename}: {error.strerror}; run this as root, where it can be written"
        ) from error


def read(box: Box) -> Config:
    """The configuration as it is."""
    box.text()
    return config.load(box.config)


def derived_name(machine_id: Path) -> str:
    """A name that is this box's alone and does not tell its machine id (machine-id(5))."""
    try:
        known = machine_id.read_text("ascii", "ignore").strip()
    except OSError:
        known = ""
    if len(known) < 32:
        known = secrets.token_hex(16)
    return "edge-" + hashlib.sha256(f"edge-pose device {known}".encode()).hexdigest()[:8]


def broker_uri(text: str) -> str:
    """A sink for a broker; without a scheme it is one with TLS.

    Raises:
        ConfigError: no address, or one with a password in it.
    """
    if not text:
        return ""
    uri = text if "://" in text else f"mqtts://{text}"
    if not uri.startswith(("mqtt://", "mqtts://")):
        raise ConfigError(f"--broker {text!r}: use mqtts://HOST or mqtt://HOST")
    publish.parse(uri)
    return uri


def keys(box: Box, device: str, fresh: bool) -> List[str]:
    """The secret key, and a request that has this name."""
    said = []
    box.credentials.mkdir(mode=0o750, parents=True, exist_ok=True)
    if fresh or not box.key.is_file():
        save(box.key, new_key())
        box.request.unlink() if box.request.is_file() else None
        said.append(f"{box.key}: made on this box")
    if not box.request.is_file() or request_name(box.request) != device:
        save(box.request, request(box.key, device))
        box.request.chmod(0o644)
        said.append(f"{box.request}: asks for a certificate for {device}")
    return said


def certificates(box: Box, device: str, order: Order) -> List[str]:
    """Take over the authority's certificate and our own, if they fit."""
    said = []
    if order.ca is not None:
        if not is_authority(order.ca):
            raise DataError(f"{order.ca}: is not the certificate of an authority")
        save(box.authority, order.ca.read_bytes())
        said.append(f"{box.authority}: whom this box believes")
    if order.certificate is not None:
        problem = certificate_problem(order.certificate, box.key, device, box.authority)
        if problem:
            raise DataError(f"{order.certificate}: {problem}")
        save(box.certificate, order.certificate.read_bytes())
        said.append(f"{box.certificate}: who this box is")
    elif box.certificate.is_file():
        problem = certificate_problem(box.certificate, box.key, device, box.authority)
        if problem:
            box.certificate.unlink()
            said.append(f"{box.certificate}: removed, as it {problem}")
    return said


def settle(box: Box, device: str, broker: str) -> List[str]:
    """Write name, broker and credentials into the configuration; everything else stays.

    Raises:
        ConfigError: the file cannot be edited; it is as it was.
    """
    before = box.text()
    table = parsed(box.config, before)
    wanted: Dict[Tuple[str, str], Any] = {("", "device"): device}
    if broker:
        wanted["publish", "sinks"] = [broker]
    for name, file in FILES.items():
        # A key without its certificate is of no use to the service.
        needs = FILES["cert_file"] if name == "key_file" else file
        known = (box.credentials / needs).is_file()
        if known or name in table.get("mqtt", {}):
            wanted["mqtt", name] = f"{SCHEME}{file}" if known else ""
    text = edited(box.config, before, wanted)
    if text == before:
        return []
    save(box.config, text.encode())
    box.config.chmod(0o644)
    return [f"{box.config}: device {device}" + (f", broker {broker}" if broker else "")]


def edited(path: Path, text: str, wanted: Dict[Tuple[str, str], Any]) -> str:
    """The file's text with other values for some keys; nothing but these changes its meaning.

    Args:
        path: of the file, for messages.
        text: its content.
        wanted: values by section ("" = the top level) and key.

    Raises:
        ConfigError: the text cannot be edited.
    """
    expected, made = parsed(path, text), text
    try:
        for (section, name), value in wanted.items():
            made = set_key(made, section, name, value)
            (expected.setdefault(section, {}) if section else expected)[name] = value
        fits = parsed(path, made) == expected
    except ConfigError:
        fits = False
    if not fits:
        keys = ", ".join(f"{section}.{name}".lstrip(".") for section, name in wanted)
        raise ConfigError(f"{path}: cannot be edited by this program; set {keys} by hand")
    return made


def parsed(path: Path, text: str) -> Dict[str, Any]:
    """The tables of a TOML text; raises ConfigError that starts with the path."""
    return config.read_toml(path, lambda _: text.encode())


def protect(box: Box, systemd: int) -> List[str]:
    """Only root reads the key; the service gets it from systemd, or by its group from the file."""
    handed = systemd >= LOADS_CREDENTIALS
    names = sorted(p for p in box.credentials.iterdir() if p.is_file())
    for path in names:
        path.chmod(0o600 if handed else 0o640)
        if not handed and os.geteuid() == 0 and _group_there():
            shutil.chown(path, "root", "edge")
    if not handed:
        return []
    loads = [f"LoadCredential={p.name}:/etc/edge/credentials/{p.name}" for p in names]
    text = "\n".join(["# Written by `edge provision`.", "[Service]", *loads]) + "\n"
    if box.drop_in.is_file() and box.drop_in.read_text("utf-8") == text:
        return []
    box.drop_in.parent.mkdir(parents=True, exist_ok=True)
    save(box.drop_in, text.encode())
    box.drop_in.chmod(0o644)
    return [f"{box.drop_in}: systemd hands the service its credentials"]


def _group_there() -> bool:
    done = subprocess.run(["getent", "group", "edge"], stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def next_step(box: Box, device: str) -> str:
    """What a person does now."""
    sinks = read(box).publish.sinks
    if not sinks:
        return "next: edge provision --broker mqtts://HOST --ca ca.crt"
    if any(s.startswith("mqtts:") for s in sinks) and not box.certificate.is_file():
        return (
            f"next: have {box.request} signed (authority.sh sign), then "
            f"edge provision --ca ca.crt --certificate {device}.crt"
        )
    return "next: systemctl daemon-reload && systemctl restart edge"


def systemd_version() -> int:
    """Of this machine; 0 = there is none."""
    if shutil.which("systemctl") is None:
        return 0
    done = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"systemd (\d+)", done.stdout)
    return int(found.group(1)) if found else 0
