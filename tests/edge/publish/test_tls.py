"""What TLS lacks, in words: files that cannot be used, and why a broker and we do not agree."""

from __future__ import annotations

import datetime
import errno
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.doctor.broker import own_certificate
from edge.doctor.finding import FAIL, OK
from edge.errors import DataError, NoInputError
from edge.publish import _tls
from edge.publish._address import parse
from edge.settings.publishing import Mqtt
from tests.waiting import GIVE_UP_S

DAY = datetime.timedelta(days=1)
PEM = serialization.Encoding.PEM


def pair(folder: Path, name: str, begin_days: int = -1, end_days: int = 1) -> Dict[str, Any]:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hall")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(own).issuer_name(own)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + begin_days * DAY)
    builder = builder.not_valid_after(now + end_days * DAY)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}.crt").write_bytes(made.public_bytes(PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(PEM, form, plain))
    return {"cert_file": f"{folder}/{name}.crt", "key_file": f"{folder}/{name}.key"}


def test_a_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    ours, other = pair(tmp_path, "ours"), pair(tmp_path, "other")
    files = {"cert_file": ours["cert_file"], "key_file": other["key_file"]}
    with pytest.raises(DataError, match="edge provision") as caught:
        _tls.context(Mqtt(**files), "mqtts://h:1")
    told = f"{files['key_file']} is not the key of mqtt.cert_file {files['cert_file']};"
    assert f"sink mqtts://h:1: mqtt.key_file {told}" in str(caught.value)


def test_a_key_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = pair(tmp_path, "ours")
    was = Path.open

    def opened(path: Path, *more: Any) -> Any:
        if str(path) == files["key_file"]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return was(path, *more)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(NoInputError) as caught:
        _tls.context(Mqtt(**files), "mqtts://h:1")
    assert f"mqtt.key_file {files['key_file']}: Permission denied; the" in str(caught.value)


@pytest.mark.parametrize(
    ("days", "words", "state"),
    [
        ((-2, -1), "it has ended on ", FAIL),
        ((1, 400), "it is valid only from ", FAIL),
        ((-1, 400), "it may be revoked, or of another authority", OK),
    ],
)
def test_a_broker_that_hangs_up_may_not_like_our_certificate(
    tmp_path: Path, days: Tuple[int, int], words: str, state: str
) -> None:
    files = pair(tmp_path, "ours", *days)
    told = _tls.explain_closed(Mqtt(**files))
    assert told.startswith(
        f"the broker closed the connection over mqtt.cert_file {files['cert_file']}: {words}"
    )
    assert "clock" in told or "authority.sh sign" in told
    (found,) = own_certificate(parse("mqtts://h", Mqtt(**files)), "hall")
    assert found.state == state
    Path(files["cert_file"]).unlink()
    assert "may be revoked" in _tls.explain_closed(Mqtt(**files)), "nobody can tell any more"


def test_without_a_certificate_it_may_want_one() -> None:
    assert "set mqtt.cert_file" in _tls.explain_closed(Mqtt())


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def failure(listening: socket.socket, theirs: Dict[str, Any], host: str, ca_file: str) -> OSError:
    """What a handshake with a broker of this certificate ends with; without one it hangs up."""

    def serve() -> None:
        plain, _ = listening.accept()
        with plain:
            if theirs:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(theirs["cert_file"], theirs["key_file"])
                try:
                    context.wrap_socket(plain, server_side=True).close()
                except OSError:
                    return  # it is the client that has to say why

    thread = threading.Thread(target=serve)
    thread.start()
    context = ssl.create_default_context(cafile=ca_file)
    with socket.create_connection(listening.getsockname(), 20) as plain:
        try:
            context.wrap_socket(plain, server_hostname=host).close()
        except OSError as error:
            found = error
    thread.join(GIVE_UP_S)
    return found


@pytest.mark.parametrize(
    ("days", "host", "foreign", "words"),
    [
        ((-1, 1), "broker.local", False, "the broker's certificate is not for 'broker.local': use"),
        ((-1, 1), "127.0.0.1", False, "the broker's certificate is not for '127.0.0.1': use"),
        (
            (-2, -1),
            "localhost",
            False,
            "the broker's certificate has ended: check this box's",
        ),
        ((1, 2), "localhost", False, "the broker's certificate is not valid yet: check this box's"),
        ((-1, 1), "localhost", True, "is not of an authority in mqtt.ca_file "),
    ],
)
def test_a_broker_that_we_do_not_believe_is_told_with_the_fix(
    tmp_path: Path,
    listener: socket.socket,
    days: Tuple[int, int],
    host: str,
    foreign: bool,
    words: str,
) -> None:
    theirs = pair(tmp_path, "theirs", *days)
    ca_file = pair(tmp_path, "foreign")["cert_file"] if foreign else theirs["cert_file"]
    error = failure(listener, theirs, host, ca_file)
    told = _tls.explain(error, host, Mqtt(ca_file=ca_file))
    assert words in told
    assert "_ssl.c" not in told
    assert "\n" not in told
    assert not foreign or ca_file in told


def test_a_port_without_tls_is_told(tmp_path: Path, listener: socket.socket) -> None:
    error = failure(listener, {}, "localhost", pair(tmp_path, "ours")["cert_file"])
    assert "the TLS handshake fails at this port" in _tls.explain(error, "localhost", Mqtt())


def test_what_an_alert_says_is_told(tmp_path: Path) -> None:
    """Brokers up to TLS 1.2 refuse within the handshake."""
    error = ssl.SSLError(1, "[SSL: SSLV3_ALERT_CERTIFICATE_REVOKED] ...")
    error.reason = "SSLV3_ALERT_CERTIFICATE_REVOKED"
    told = _tls.explain(error, "h", Mqtt(**pair(tmp_path, "ours")))
    assert "closed the connection over mqtt.cert_file" in told
    assert told.endswith("(SSLV3_ALERT_CERTIFICATE_REVOKED)")
