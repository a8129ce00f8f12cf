"""Options for a broker that asks for TLS or a login, the same for every command."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Optional
from urllib.parse import quote, urlsplit, urlunsplit

from edge.errors import ConfigError
from edge.publish._address import Broker, parse
from edge.settings.publishing import Mqtt

HINT = "here: --ca, --cert, --cert-key, --user, --password-file"
TLS = {"ca": "ca_file", "cert": "cert_file", "cert_key": "key_file"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options; passwords come from a file, because others see the command line."""
    group = parser.add_argument_group("broker login")
    group.add_argument(
        "--ca", metavar="F", help="certificate of the broker's authority (mqtts://)", default=""
    )
    group.add_argument("--cert", metavar="F", help="own certificate (mqtts://)", default="")
    group.add_argument("--cert-key", metavar="F", help="private key of --cert", default="")
    group.add_argument("--user", metavar="NAME", help="user name at the broker", default="")
    group.add_argument(
        "--password-file", metavar="F", help="file that holds the user's password", default=""
    )


def settings(arguments: argparse.Namespace, before: Optional[Mqtt] = None) -> Mqtt:
    """The [mqtt] section with what the options say.

    Args:
        arguments: the command line.
        before: values for options that are not given.
    """
    names = {**TLS, "password_file": "password_file"}
    given = {key: getattr(arguments, name) for name, key in names.items()}
    return dataclasses.replace(before or Mqtt(), **{k: v for k, v in given.items() if v})


def address(uri: str, arguments: argparse.Namespace) -> str:
    """The address of a broker with the user of the options.

    Raises:
        ConfigError: an option does not fit the address, or a password stands in it.
    """
    if not uri.startswith(("mqtt:", "mqtts:")):
        return uri
    try:
        parts = urlsplit(uri)
        user, password = parts.username, parts.password
    except ValueError:
        return uri  # parse says what is wrong
    if password is not None:
        raise ConfigError(
            "no password in the address, because other users of this machine can read it: "
            "--user NAME --password-file F"
        )
    for name in TLS:
        if getattr(arguments, name) and parts.scheme == "mqtt":
            raise ConfigError(f"--{name.replace('_', '-')}: only with mqtts://, not mqtt://")
    if not arguments.user:
        return uri
    if user is not None:
        raise ConfigError("--user: the address has a user already; give one of them")
    where = f"{quote(arguments.user, safe='')}@{parts.netloc}"
    return urlunsplit((parts.scheme, where, parts.path, parts.query, parts.fragment))


def broker(uri: str, arguments: argparse.Namespace) -> Broker:
    """The checked address of a broker; raises what `address` and `parse` raise."""
    return parse(address(uri, arguments), settings(arguments))
