"""The box's own TLS key, its certificate request, and the check of its certificate."""

from __future__ import annotations

import datetime
import warnings
from pathlib import Path
from typing import Any, Tuple, cast

with warnings.catch_warnings():  # about Python 3.8, which JetPack 5 has
    warnings.simplefilter("ignore")
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

from edge.errors import DataError, NoInputError

PEM = serialization.Encoding.PEM


def new_key() -> bytes:
    """Make a P-256 key; returns it in PEM form."""
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(PEM, form, plain)


def request(key: Path, device: str) -> bytes:
    """Make a certificate request (PKCS #10) with the device as common name, in PEM form."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(load_key(key), hashes.SHA256()).public_bytes(PEM)


def is_request(path: Path, key: Path, device: str) -> bool:
    """Whether a file is a certificate request with this key and the device as common name."""
    try:
        found = x509.load_pem_x509_csr(path.read_bytes())
    except (OSError, ValueError):
        return False
    own = found.public_key() == load_key(key).public_key()
    return own and _common_name(found.subject) == device


def load_key(path: Path) -> Any:
    """Load a secret key.

    Raises:
        NoInputError: it cannot be read. DataError: it is not a key without a password.
    """
    try:
        return serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: is not a key without a password") from error


def load_certificate(path: Path) -> x509.Certificate:
    """Load the first certificate of a file.

    Raises:
        NoInputError: it cannot be read. DataError: it is not a certificate.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: is not a certificate in PEM form") from error


def is_authority(path: Path) -> bool:
    """Whether a certificate is one of an authority, which may sign others."""
    try:
        basic = load_certificate(path).extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return bool(basic.value.ca)


def common_name(path: Path) -> str:
    """Return the common name of a certificate."""
    return _common_name(load_certificate(path).subject)


def valid_times(path: Path) -> Tuple[datetime.datetime, datetime.datetime]:
    """Return from when and until when a certificate is valid, in UTC."""
    certificate = load_certificate(path)
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    utc = datetime.timezone.utc  # cryptography before 42
    return (
        certificate.not_valid_before.replace(tzinfo=utc),
        certificate.not_valid_after.replace(tzinfo=utc),
    )


def certificate_problem(path: Path, key: Path, device: str, authority: Path) -> str:
    """Return why a certificate is not for this box; "" if it is.

    Args:
        path: the certificate.
        key: the box's secret key.
        device: the name that the certificate must have.
        authority: the certificate that must have signed it; not checked if the file is missing.
    """
    certificate = load_certificate(path)
    if certificate.public_key() != load_key(key).public_key():
        return f"is not for this box's key {key}"
    name = _common_name(certificate.subject)
    if name != device:
        return f"is for {name!r}, not for {device!r}"
    if authority.is_file() and not _signed_by(certificate, load_certificate(authority)):
        return f"is not signed by {authority}"
    return ""


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return cast(str, found[0].value) if found else ""
