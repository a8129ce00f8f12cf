"""`edge provision`: give this box a name, a key, a certificate request and a broker.

The private key is made on the box and never leaves it; an image contains none. The command may run
again: it keeps what is there, makes what is missing, and prints the next step.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from edge import publish
from edge.durable import save
from edge.errors import ConfigError, DataError, EdgeError, NoInputError, TempError
from edge.keys.own_key import certificate_problem, is_authority, is_request, new_key, request
from edge.settings import config
from edge.settings.config import Config
from edge.settings.credentials import SCHEME
from edge.settings.schema import build, key, name_problem
from edge.settings.toml_edit import set_keys
from edge.settings.toml_text import parse_toml

UNNAMED = "edge"  # the name in the default configuration
LOADS_CREDENTIALS = 247  # first version of systemd with LoadCredential=, systemd.exec(5)
FILES = {"ca_file": "ca.crt", "cert_file": "device.crt", "key_file": "device.key"}


@dataclass(frozen=True)
class Answers:
    """/etc/edge/provision.toml: what the builder of an image sets for its boxes."""

    device: str = key(
        "",
        "name of the box; empty = edge- and a number from its machine id",
        check=lambda v: name_problem(v) if v else None,
    )
    broker: str = key("", "URI of the broker: mqtts://HOST")


@dataclass(frozen=True)
class Order:
    """The options of the command line; empty = no change."""

    root: Path = Path("/")
    device: str = ""
    broker: str = ""
    ca: Optional[Path] = None
    certificate: Optional[Path] = None
    new_key: bool = False


class Box:
    """The files of one box. For an image, root is the folder that becomes /."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "etc/edge"
        self.config = self.folder / "edge.toml"
        self.credentials = self.folder / "credentials"
        self.key = self.credentials / FILES["key_file"]
        self.certificate = self.credentials / FILES["cert_file"]
        self.authority = self.credentials / FILES["ca_file"]
        self.request = self.folder / "device.csr"
        self.unfinished = self.folder / ".unfinished"
        self.drop_in = root / "etc/systemd/system/edge.service.d/10-credentials.conf"
        self.machine_id = root / "etc/machine-id"

    def answers(self) -> Answers:
        """Read provision.toml, if it is there."""
        path = self.folder / "provision.toml"
        if not path.is_file():
            return Answers()
        try:
            return build(Answers, config.read_toml(path))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def text(self) -> str:
        """Read the text of the configuration."""
        try:
            return self.config.read_bytes().decode("utf-8")  # line ends stay as they are
        except OSError as error:
            raise NoInputError(
                f"{self.config}: {error.strerror}; `make install` or the package installs it"
            ) from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self.config}: is not text in UTF-8") from error


def provision(order: Order, systemd: int = 0) -> List[str]:
    """Do what the options ask, and make what is missing.

    Args:
        order: the options.
        systemd: version of systemd; 0 = none on this machine.

    Returns:
        Lines for a person; the last one is the next step.

    Raises:
        EdgeError: a step failed; every step is done as a whole or not at all.
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
        with unfinished(box):
            lines = make_keys(box, device, order.new_key)
            lines += take_certificates(box, device, order)
            lines += write_config(box, device, broker)
            lines += protect(box, systemd)
        return [*lines, next_step(box, device)]
    except OSError as error:
        raise TempError(
            f"{error.filename}: {error.strerror}; run this as root, on a disk that can be written"
        ) from error


@contextlib.contextmanager
def unfinished(box: Box) -> Iterator[None]:
    """Keep a file while the steps are done: after a power cut the next boot does the rest.

    Each step is whole, but settings may name a certificate that was removed a step before, and then
    the service would not start. systemd/setup looks for the file.
    """
    save(box.unfinished, b"")
    try:
        yield
    except EdgeError:
        box.unfinished.unlink()  # a person reads the error
        raise
    box.unfinished.unlink()


def read(box: Box) -> Config:
    """Read and check the configuration."""
    box.text()
    return config.load(box.config)


def derived_name(machine_id: Path) -> str:
    """A unique name that does not reveal the machine id (machine-id(5))."""
    try:
        known = machine_id.read_text("ascii", "ignore").strip()
    except OSError:
        known = ""
    if len(known) < 32:
        known = secrets.token_hex(16)
    return "edge-" + hashlib.sha256(f"edge-pose device {known}".encode()).hexdigest()[:8]


def broker_uri(text: str) -> str:
    """The URI of a sink; text without a scheme becomes mqtts://.

    Raises:
        ConfigError: it is not an address, or has a password in it.
    """
    if not text:
        return ""
    uri = text if "://" in text else f"mqtts://{text}"
    if not uri.startswith(("mqtt://", "mqtts://")):
        raise ConfigError(f"--broker {text!r}: use mqtts://HOST or mqtt://HOST")
    publish.parse(uri)
    return uri


def make_keys(box: Box, device: str, fresh: bool) -> List[str]:
    """Make the private key and a certificate request with this name, where they are missing."""
    lines = []
    box.credentials.mkdir(mode=0o750, parents=True, exist_ok=True)
    if fresh or not box.key.is_file():
        save(box.key, new_key())
        lines.append(f"{box.key}: made on this box")
    if not is_request(box.request, box.key, device):
        save(box.request, request(box.key, device))
        box.request.chmod(0o644)
        lines.append(f"{box.request}: request for a certificate with the name {device}")
    return lines


def take_certificates(box: Box, device: str, order: Order) -> List[str]:
    """Copy the certificates of the authority and of the box, if they fit."""
    lines = []
    if order.ca is not None:
        if not is_authority(order.ca):
            raise DataError(f"{order.ca}: is not the certificate of an authority (CA)")
        save(box.authority, order.ca.read_bytes())
        lines.append(f"{box.authority}: the authority that this box trusts")
    if order.certificate is not None:
        problem = certificate_problem(order.certificate, box.key, device, box.authority)
        if problem:
            raise DataError(f"{order.certificate}: {problem}")
        save(box.certificate, order.certificate.read_bytes())
        lines.append(f"{box.certificate}: the certificate of this box")
    elif box.certificate.is_file():
        problem = certificate_problem(box.certificate, box.key, device, box.authority)
        if problem:
            box.certificate.unlink()
            lines.append(f"{box.certificate}: removed, because it {problem}")
    return lines


def write_config(box: Box, device: str, broker: str) -> List[str]:
    """Write name, broker and certificates into the configuration; everything else stays."""
    before = box.text()
    table = parse_toml(box.config, before)
    wanted: Dict[Tuple[str, str], Any] = {("", "device"): device}
    if broker:
        wanted["publish", "sinks"] = [broker]
    for name, file in FILES.items():
        # A key without its certificate is of no use to the service.
        needs = FILES["cert_file"] if name == "key_file" else file
        known = (box.credentials / needs).is_file()
        if known or name in table.get("mqtt", {}):
            wanted["mqtt", name] = f"{SCHEME}{file}" if known else ""
    text = set_keys(box.config, before, wanted)
    if text == before:
        return []
    save(box.config, text.encode())
    box.config.chmod(0o644)
    return [f"{box.config}: device {device}" + (f", broker {broker}" if broker else "")]


def protect(box: Box, systemd: int) -> List[str]:
    """Set who may read the credentials, and let systemd give them to the service.

    With LoadCredential= only root reads the files; without it, the group edge does, too.
    """
    loads = systemd >= LOADS_CREDENTIALS
    names = sorted(p for p in box.credentials.iterdir() if p.is_file())
    for path in names:
        path.chmod(0o600 if loads else 0o640)
        if not loads and os.geteuid() == 0 and _group_there():
            shutil.chown(path, "root", "edge")
    if not loads:
        return []
    settings = [f"LoadCredential={p.name}:/etc/edge/credentials/{p.name}" for p in names]
    text = "\n".join(["# Written by `edge provision`.", "[Service]", *settings]) + "\n"
    if box.drop_in.is_file() and box.drop_in.read_text("utf-8") == text:
        return []
    box.drop_in.parent.mkdir(parents=True, exist_ok=True)
    save(box.drop_in, text.encode())
    box.drop_in.chmod(0o644)
    return [f"{box.drop_in}: systemd gives the service its credentials"]


def _group_there() -> bool:
    done = subprocess.run(["getent", "group", "edge"], stdout=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def next_step(box: Box, device: str) -> str:
    """What to do next."""
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
    """Version of systemd on this machine; 0 = none."""
    if shutil.which("systemctl") is None:
        return 0
    done = subprocess.run(
        ["systemctl", "--version"], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    found = re.match(r"systemd (\d+)", done.stdout)
    return int(found.group(1)) if found else 0
