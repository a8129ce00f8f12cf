"""TLS to a broker: the files it needs, and in words why it does not come about."""

from __future__ import annotations

import datetime
import os
import ssl
from pathlib import Path

from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from edge.settings.config import Mqtt

FILES = ("ca_file", "cert_file", "key_file")
# openssl-verification-options(1), x509_vfy.h: X509_V_ERR_...
NOT_YET, ENDED, FOREIGN, NAMES = 9, 10, (2, 18, 19, 20, 21), (62, 64)
NEW_ONE = "have a new one signed: authority.sh sign, edge provision --certificate FILE"


def context(settings: Mqtt, name: str) -> ssl.SSLContext:
    """Whom we believe, and who we are.

    Args:
        settings: the [mqtt] section.
        name: the broker, for messages.

    Raises:
        ConfigError: half a pair. NoInputError: a file is not there or cannot be read. DataError:
            it is not what it should be.
    """
    if bool(settings.cert_file) != bool(settings.key_file):
        raise ConfigError(f"sink {name}: mqtt.cert_file and mqtt.key_file go together")
    for key in FILES:
        _require(getattr(settings, key), f"sink {name}: mqtt.{key}")
    try:
        made = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ValueError) as error:
        told = f"sink {name}: mqtt.ca_file {settings.ca_file}: is no certificate in PEM form"
        raise DataError(f"{told} ({error})") from error
    if settings.cert_file:
        _load_own(made, settings, name)
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


def _load_own(made: ssl.SSLContext, settings: Mqtt, name: str) -> None:
    certificate = f"mqtt.cert_file {settings.cert_file}"
    key = f"mqtt.key_file {settings.key_file}"
    try:
        # An empty password: an encrypted key is an error here, not a prompt on a terminal.
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


def explain(error: OSError, host: str, settings: Mqtt) -> str:
    """Why a handshake failed, and what to do about it: "FINDING: FIX"."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error, host, settings)
    reason = getattr(error, "reason", "") or ""
    if "ALERT" in reason:  # up to TLS 1.2 it says what it has against us
        return f"{hung_up(settings)} ({reason})"
    told = reason or error.strerror or str(error)
    return f"no TLS comes about at this port ({told}): another port, or mqtt://? its log tells more"


def _distrust(error: ssl.SSLCertVerificationError, host: str, settings: Mqtt) -> str:
    code, told = error.verify_code, error.verify_message
    if code in NAMES:
        return (
            f"the broker's certificate is not for {host!r}: use the name that it is for, or "
            "make one for this name (authority.sh server)"
        )
    if code in (NOT_YET, ENDED):
        when = "is not valid yet" if code == NOT_YET else "has ended"
        return f"the broker's certificate {when}: is this box's clock right? else renew it there"
    if code in FOREIGN:
        whose = f"mqtt.ca_file {settings.ca_file}" if settings.ca_file else "this system's trust"
        return (
            f"the broker's certificate is not of an authority in {whose} ({told}): set "
            "mqtt.ca_file to the ca.crt of the broker's authority"
        )
    return f"the broker's certificate is not accepted: {told}"


def hung_up(settings: Mqtt) -> str:
    """Why a broker may have ended a connection before it let us in: TLS 1.3 seldom says it."""
    path = settings.cert_file
    if not path:
        return (
            "the broker hung up: it may want a certificate; set mqtt.cert_file and "
            "mqtt.key_file (edge provision)"
        )
    problem = out_of_date(path) or (
        "it may be revoked, or of another authority than the broker's, whose log tells which; "
        f"{NEW_ONE}"
    )
    return f"the broker hung up on mqtt.cert_file {path}: {problem}"


def out_of_date(path: str) -> str:
    """Why a certificate is not valid now; empty when it is, or when nobody can tell."""
    from edge.keys import own_key  # its library is loaded only where there is trouble

    try:
        begin, end = own_key.valid_times(Path(path))
    except EdgeError:
        return ""
    now = datetime.datetime.now(datetime.timezone.utc)
    if now < begin:
        return f"it is valid only from {begin:%Y-%m-%d %H:%M} UTC on; is this box's clock right?"
    if now > end:
        return f"it has ended on {end:%Y-%m-%d}; {NEW_ONE}; is the clock right?"
    return ""
