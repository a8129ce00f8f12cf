"""TLS to a broker or a receiver of webhooks: its files, and why a handshake failed."""

from __future__ import annotations

import datetime
import os
import ssl
from pathlib import Path
from typing import Protocol

from edge.errors import ConfigError, DataError, EdgeError, NoInputError

FILES = ("ca_file", "cert_file", "key_file")
# openssl-verification-options(1), x509_vfy.h: X509_V_ERR_...
NOT_YET, ENDED, FOREIGN, NAMES = 9, 10, (2, 18, 19, 20, 21), (62, 64)
NEW_ONE = "have a new one signed: authority.sh sign, edge provision --certificate FILE"


class Files(Protocol):
    """The files of a connection: a section of the configuration."""

    @property
    def ca_file(self) -> str:
        """Certificates of authorities; empty = the system's."""

    @property
    def cert_file(self) -> str:
        """The box's certificate; empty = none."""

    @property
    def key_file(self) -> str:
        """Its key."""


def context(settings: Files, name: str, section: str = "mqtt") -> ssl.SSLContext:
    """Make the TLS context: trusted authorities, and the box's certificate with its key.

    Args:
        settings: a section of the configuration.
        name: the peer, for error messages.
        section: name of the section, for error messages.

    Raises:
        ConfigError: a certificate without a key, or a key without a certificate.
        NoInputError: a file is missing or cannot be read. DataError: a file has other content.
    """
    if bool(settings.cert_file) != bool(settings.key_file):
        raise ConfigError(f"sink {name}: {section}.cert_file and {section}.key_file go together")
    for key in FILES:
        _require(getattr(settings, key), f"sink {name}: {section}.{key}")
    try:
        made = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ValueError) as error:
        where = f"sink {name}: {section}.ca_file {settings.ca_file}"
        raise DataError(f"{where}: is no certificate in PEM form ({error})") from error
    if settings.cert_file:
        _load_own(made, settings, name, section)
    return made


def _require(path: str, where: str) -> None:
    if path and not os.path.isfile(path):  # noqa: PTH113 - Path's raises for long names
        raise NoInputError(f"{where} {path}: no such file")
    try:
        Path(path or os.devnull).open("rb").close()
    except OSError as error:
        raise NoInputError(
            f"{where} {path}: {error.strerror}; the program's user must be able to read it"
        ) from error


def _load_own(made: ssl.SSLContext, settings: Files, name: str, section: str) -> None:
    certificate = f"{section}.cert_file {settings.cert_file}"
    key = f"{section}.key_file {settings.key_file}"
    try:
        # With an empty password an encrypted key is an error, not a prompt on a terminal.
        made.load_cert_chain(settings.cert_file, settings.key_file, password="")
    except (OSError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            problem = f"{key} is not the key of {certificate}; edge provision makes a pair"
        else:
            problem = (
                f"{certificate} and {key}: are no certificate and its key without a "
                f"password, in PEM form ({error})"
            )
        raise DataError(f"sink {name}: {problem}") from error


def explain(error: OSError, host: str, settings: Files, peer: str = "broker") -> str:
    """Return why a handshake failed, with the fix: "FINDING: FIX".

    Args:
        error: of the handshake.
        host: of the peer.
        settings: the section that names its files.
        peer: "broker" or "receiver".
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error, host, settings, peer)
    reason = getattr(error, "reason", "") or ""
    if "ALERT" in reason and peer == "broker":  # up to TLS 1.2 the broker sends its reason
        return f"{explain_closed(settings)} ({reason})"
    why = reason or error.strerror or str(error)
    other = ", or mqtt://" if peer == "broker" else ""
    return f"the TLS handshake fails at this port ({why}): another port{other}? see its log"


def _distrust(error: ssl.SSLCertVerificationError, host: str, settings: Files, peer: str) -> str:
    section = "mqtt" if peer == "broker" else "webhook"
    code, message = error.verify_code, error.verify_message
    if code in NAMES:
        return (
            f"the {peer}'s certificate is not for {host!r}: use the name in the certificate, or "
            "make one for this name (authority.sh server)"
        )
    if code in (NOT_YET, ENDED):
        when = "is not valid yet" if code == NOT_YET else "has ended"
        return f"the {peer}'s certificate {when}: check this box's clock, else renew it there"
    if code in FOREIGN:
        whose = (
            f"{section}.ca_file {settings.ca_file}" if settings.ca_file else "this system's trust"
        )
        return (
            f"the {peer}'s certificate is not of an authority in {whose} ({message}): set "
            f"{section}.ca_file to the ca.crt of the {peer}'s authority"
        )
    return f"the {peer}'s certificate is not accepted: {message}"


def explain_closed(settings: Files) -> str:
    """Return why a broker may have ended a connection that it had not accepted yet.

    In TLS 1.3 the handshake is over before the broker checks our certificate, so it is often a
    guess.
    """
    path = settings.cert_file
    if not path:
        return (
            "the broker closed the connection: it may want a certificate; set mqtt.cert_file and "
            "mqtt.key_file (edge provision)"
        )
    problem = out_of_date(path) or (
        "it may be revoked, or of another authority than the broker's (see the broker's log); "
        f"{NEW_ONE}"
    )
    return f"the broker closed the connection over mqtt.cert_file {path}: {problem}"


def out_of_date(path: str) -> str:
    """Return why a certificate is not valid now; "" if it is valid or cannot be read."""
    from edge.keys import own_key  # a heavy import, needed only after a failed handshake

    try:
        begin, end = own_key.valid_times(Path(path))
    except EdgeError:
        return ""
    now = datetime.datetime.now(datetime.timezone.utc)
    if now < begin:
        return f"it is valid only from {begin:%Y-%m-%d %H:%M} UTC on; check this box's clock"
    if now > end:
        return f"it has ended on {end:%Y-%m-%d}; {NEW_ONE}; check the clock"
    return ""
