"""Find keys and certificates: `credential:NAME` in the configuration means a file.

systemd 247 and newer give the service copies in memory ($CREDENTIALS_DIRECTORY, systemd.exec(5)).
JetPack 5 has systemd 245: there the service reads the files in /etc/edge/credentials.
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
    "webhook": ("secret_file", "sign_key_file", "ca_file", "cert_file", "key_file"),
    "trust": ("key_file",),
    "commands": ("key_file",),
}
T = TypeVar("T")
FOLDER = Path("/etc/edge/credentials")


def located(config: T) -> T:
    """Replace every `credential:NAME` of a configuration by a path.

    Args:
        config: an edge.settings.config.Config.

    Raises:
        ConfigError: a name is not a plain file name.
    """
    for section, keys in KEYS.items():
        table = getattr(config, section)
        paths = {k: path_of(getattr(table, k), f"{section}.{k}") for k in keys}
        changed = {section: dataclasses.replace(table, **paths)}
        config = dataclasses.replace(config, **changed)  # type: ignore[type-var]
    return config


def path_of(value: str, where: str, environment: Mapping[str, str] = os.environ) -> str:
    """The path that a value means.

    Args:
        value: "credential:NAME", or a path, which is returned as it is.
        where: the key, for the message.
        environment: where $CREDENTIALS_DIRECTORY is read.

    Raises:
        ConfigError: NAME is not a plain file name.
    """
    if not value.startswith(SCHEME):
        return value
    name = value[len(SCHEME) :]
    if not name or name != Path(name).name or name in (".", ".."):
        raise ConfigError(f"{where}: {value!r}: use {SCHEME}NAME, a plain file name")
    given = Path(environment.get("CREDENTIALS_DIRECTORY", "/nowhere")) / name
    return str(given if _is_given(given) else FOLDER / name)


def _is_given(path: Path) -> bool:
    """Whether systemd gave this credential; one that we may not look at is given, too.

    systemd hides /run/credentials from the other commands of a unit, such as ExecReload.
    """
    try:
        return path.is_file()
    except PermissionError:
        return True
