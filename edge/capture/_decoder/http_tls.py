"""Connections by TLS to cameras, most of which sign their own certificates."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl

from edge.errors import TempError

ANY_AUTHORITY = "any authority"


def connect(host: str, port: int, timeout_s: float, trust: str) -> http.client.HTTPSConnection:
    """Connect and check the certificate, before anything is sent.

    Args:
        host: name or address.
        port: 1..65535.
        timeout_s: limit of each wait.
        trust: ANY_AUTHORITY = the certificate must be signed for the host by an authority that this
            machine trusts; SHA-256 in hex = it must be that one; empty = any is accepted.

    Raises:
        TempError: another certificate; the text says how to accept it. OSError: no connection.
    """
    try:
        connection = _connected(host, port, timeout_s, trust == ANY_AUTHORITY)
    except ssl.SSLCertVerificationError as error:
        found = _fingerprint_of(host, port, timeout_s)
        raise TempError(
            f"the certificate of {host}:{port} is not trusted ({error.verify_message}); if it is "
            f"your camera, add tls_sha256={found} to its address, or tls_verify=0 to check nothing"
        ) from None
    found = fingerprint(connection)
    if trust not in ("", ANY_AUTHORITY) and not hmac.compare_digest(found, trust):
        connection.close()
        raise TempError(
            f"{host}:{port} has another certificate than tls_sha256 says: somebody may answer in "
            f"its place; if the camera has a new one, write tls_sha256={found}"
        )
    return connection


def _connected(host: str, port: int, timeout_s: float, verify: bool) -> http.client.HTTPSConnection:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    connection.connect()
    return connection


def _fingerprint_of(host: str, port: int, timeout_s: float) -> str:
    """The fingerprint of whoever answers there; nothing is sent but the handshake."""
    connection = _connected(host, port, timeout_s, verify=False)
    try:
        return fingerprint(connection)
    finally:
        connection.close()


def fingerprint(connection: http.client.HTTPSConnection) -> str:
    """SHA-256 of the peer's certificate in hex, of 64 small digits."""
    assert isinstance(connection.sock, ssl.SSLSocket)
    return hashlib.sha256(connection.sock.getpeercert(binary_form=True) or b"").hexdigest()
