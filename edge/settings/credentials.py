"""Where secrets and certificates are: `credential:NAME` in the configuration.

systemd 247 and newer hand the service copies in memory that nobody else can read
($CREDENTIALS_DIRECTORY, systemd.exec(5)); JetPack 5 has 245, there they are files that only root
and the service can read.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Mapping, TypeVar

from edge.errors import ConfigError

SCHEME = "credential:"
KEYS = {
    "mqtt": ("password_file", "ca_file", "cert_file", "key_file"),
    "trust": ("key_file",),
    "commands": ("key_file",),
}
T = TypeVar("T")
FOLDER = Path("/etc/edge/credentials")


def located(config: T) -> T:
    """A configuration (edge.settings.config.Config) with paths in place of credentials.

    Raises:
        ConfigError: a name that leaves the folder.
    """
    for section, keys in KEYS.items():
        table = getattr(config, section)
        paths = {k: path_of(getattr(table, k), f"{section}.{k}") for k in keys}
        changed = {section: dataclasses.replace(table, **paths)}
        config = dataclasses.replace(config, **changed)  # type: ignore[type-var]
    return config


def path_of(value: str, where: str, environment: Mapping[str, str] = os.environ) -> str:
    """The file that a configured value means; one without the scheme is itself.

    Args:
        value: "credential:NAME" or a path.
        where: the key, for the message.
        environment: says where systemd put its copies.

    Raises:
        ConfigError: a name that leaves the folder.
    """
    if not value.startswith(SCHEME):
        return value
    name = value[len(SCHEME) :]
    if not name or name != Path(name).name or name in (".", ".."):
        raise ConfigError(f"{where}: {value!r}: use {SCHEME}NAME, a plain file name")
    given = Path(environment.get("CREDENTIALS_DIRECTORY", "/nowhere")) / name
    return str(given if given.is_file() else FOLDER / name)
