"""File permissions of secrets and of public keys, and the groups of the service's user."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import List, Optional

from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.settings.config import Config

USER = "edge"
GROUPS = ("video",)


def secrets(settings: Config) -> List[Finding]:
    """Findings for each configured file, and for the user `edge` where it exists."""
    named = {
        "mqtt.password_file": settings.mqtt.password_file,
        "mqtt.key_file": settings.mqtt.key_file,
        "webhook.secret_file": settings.webhook.secret_file,
        "webhook.sign_key_file": settings.webhook.sign_key_file,
        "webhook.key_file": settings.webhook.key_file,
    }
    found = [_secret(key, Path(path)) for key, path in named.items() if path]
    signers = {
        "trust.key_file": settings.trust.key_file,
        "commands.key_file": settings.commands.key_file,
    }
    found += [_public(key, Path(path)) for key, path in signers.items() if path]
    account = _account()
    return found + ([_groups(account)] if account else [])


def _secret(key: str, path: Path) -> Finding:
    try:
        state = path.stat()
    except OSError as error:
        return Finding(
            key,
            FAIL,
            f"{path}: {error.strerror}",
            "`edge provision` makes the key and names it in the configuration",
        )
    if state.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        return Finding(key, FAIL, f"{path}: other users may read or change it", f"chmod 640 {path}")
    if not os.access(str(path), os.R_OK):
        return Finding(key, WARN, f"{path}: this user may not read it", "run `edge doctor` as root")
    return Finding(key, OK, str(path))


def _public(key: str, path: Path) -> Finding:
    """A public key: who can change it decides which networks and commands are accepted."""
    try:
        state = path.stat()
    except OSError as error:
        return Finding(
            key, FAIL, f"{path}: {error.strerror}", "copy the operator's public key there"
        )
    if state.st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        return Finding(key, FAIL, f"{path}: other users may change it", f"chmod 644 {path}")
    return Finding(key, OK, str(path))


def _account() -> Optional[pwd.struct_passwd]:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        return None


def _groups(account: pwd.struct_passwd) -> Finding:
    """Whether the user may open cameras and the GPU, which belong to groups."""
    mine = {g.gr_name for g in grp.getgrall() if account.pw_name in g.gr_mem}
    lacks = [name for name in GROUPS if name not in mine]
    if lacks:
        fix = f"usermod -aG {','.join(lacks)} {USER} && systemctl restart edge"
        return Finding("user edge", FAIL, f"is not in {', '.join(lacks)}", fix)
    return Finding("user edge", OK, f"in {', '.join(sorted(mine))}")
