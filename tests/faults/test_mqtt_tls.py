"""mqtts:// against a real mosquitto with certificates made on the spot."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.publish import Publisher
from tests.faults.mqtt_consumer import config, connected, event
from tests.waiting import until
from tools.mqtt.broker import Broker, install_mosquitto

# When a handshake fails paho drops its socket without closing it; reference counting closes it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
ROOT = Path(__file__).resolve().parents[2]
Pair = Tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificate(name: str, issuer: Optional[Pair] = None, address: str = "") -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    own = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
    )
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key if issuer is None else issuer[1], hashes.SHA256()), key


def write(folder: Path, name: str, pair: Pair) -> None:
    pem = serialization.Encoding.PEM
    (folder / f"{name}.pem").write_bytes(pair[0].public_bytes(pem))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / f"{name}.key").write_bytes(pair[1].private_bytes(pem, form, plain))


@pytest.fixture(params=["127.0.0.1", "192.0.2.1"])
def guarded(request: Any, tmp_path: Path) -> Iterator[Tuple[Broker, Dict[str, str]]]:
    """A broker that wants certificates, and the files that open it."""
    assert install_mosquitto(), "these tests need mosquitto: apt install mosquitto"
    ours, foreign = certificate("authority"), certificate("someone else")
    broker = Broker("mosquitto")
    write(broker.folder, "server", certificate("broker", ours, request.param))
    for name, pair in (("ca", ours), ("foreign", foreign), ("box", certificate("box", ours))):
        write(tmp_path, name, pair)
    (broker.folder / "ca.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    broker.extra = [
        f"cafile {broker.folder}/ca.pem",
        f"certfile {broker.folder}/server.pem",
        f"keyfile {broker.folder}/server.key",
        "require_certificate true",
        "use_identity_as_username true",
    ]
    files = {
        f"{n}_file": str(tmp_path / p)
        for n, p in (("ca", "ca.pem"), ("cert", "box.pem"), ("key", "box.key"))
    }
    with broker:
        yield broker, files


def uri(broker: Broker) -> str:
    return f"mqtts://127.0.0.1:{broker.port}"


@pytest.mark.parametrize("guarded", ["127.0.0.1"], indirect=True)
def test_the_box_is_who_its_certificate_says(guarded: Any, caplog: Any) -> None:
    broker, files = guarded
    # 3.1.1 does not know that nobody has subscribed.
    publisher = connected(uri(broker), protocol="3.1.1", **files)
    until(lambda: publisher.report()[0]["sent"] == 1, "the birth")
    for i in range(30):
        publisher.event(event(i))
    publisher.close()
    report = publisher.report()[0]
    assert report.pop("outbox")["stored"] == 30
    assert report == {
        "name": uri(broker),
        "ok": False,
        "waiting": 0,
        "sent": 32,
        "dropped": 0,
        "refused": 0,
    }
    assert "u'box'" in broker.log.read_text(encoding="utf-8")
    assert not caplog.records


@pytest.mark.parametrize(
    ("guarded", "change", "line"),
    [
        ("127.0.0.1", {"ca_file": "foreign.pem"}, "is not of an authority in mqtt.ca_file"),
        ("192.0.2.1", {}, "certificate is not for '127.0.0.1'"),
        ("127.0.0.1", {"cert_file": "", "key_file": ""}, "set mqtt.cert_file"),
        (
            "127.0.0.1",
            {"cert_file": "foreign.pem", "key_file": "foreign.key"},
            "foreign.pem: it may be revoked, or of another authority",
        ),
    ],
    indirect=["guarded"],
)
def test_a_stranger_on_either_side_is_one_line_and_no_message(
    guarded: Any, tmp_path: Path, caplog: Any, change: Dict[str, str], line: str
) -> None:
    broker, files = guarded
    files.update({k: str(tmp_path / v) if v else "" for k, v in change.items()})
    publisher = Publisher(config(uri(broker), **files))
    publisher.event(event(0))
    until(lambda: line in caplog.text, line)
    assert not publisher.sinks[0].ok
    publisher.close(0.1)
    assert publisher.report()[0]["sent"] == 0
    assert "New client connected" not in broker.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("guarded", ["127.0.0.1"], indirect=True)
def test_plain_mqtt_at_a_tls_port_does_no_harm(guarded: Any, caplog: Any) -> None:
    broker, _ = guarded
    publisher = Publisher(config(broker.uri))
    line = "is the port one for TLS (mqtts://) or websockets?"
    until(lambda: line in caplog.text, line)
    publisher.close(0.1)


def words(files: Dict[str, str]) -> List[str]:
    """The files as options of tools and examples."""
    return [
        *("--ca", files["ca_file"]),
        *("--cert", files["cert_file"]),
        *("--cert-key", files["key_file"]),
    ]


@pytest.mark.parametrize("guarded", ["127.0.0.1"], indirect=True)
@pytest.mark.parametrize("program", ["listen", "subscriber.py", "consumer.py"])
def test_listen_and_the_examples_speak_tls(guarded: Any, tmp_path: Path, program: str) -> None:
    broker, files = guarded
    shown = tmp_path / "shown"
    tools = [sys.executable, "-u", "-m", "tools", "listen", uri(broker), *words(files)]
    example = [sys.executable, "-u", str(ROOT / "examples" / program), f"127.0.0.1:{broker.port}"]
    example += [str(tmp_path / "ledger")] if program == "consumer.py" else []
    command = tools if program == "listen" else [*example, *words(files)]
    with shown.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT)
    publisher = connected(uri(broker), **files)
    try:
        ledger = tmp_path / "ledger"
        for number in range(10**6):
            publisher.event(event(number))
            text = shown.read_text(encoding="utf-8") + (
                ledger.read_text(encoding="utf-8") if ledger.exists() else ""
            )
            if "wave" in text or "fall" in text:
                break
            assert child.poll() is None, text
            time.sleep(0.1)
    finally:
        child.kill()
        child.wait()
        publisher.close(0.1)


@pytest.mark.parametrize("guarded", ["127.0.0.1"], indirect=True)
@pytest.mark.parametrize(
    ("kept", "line"),
    [((), "is not of an authority"), (("--ca",), "does it want a certificate (here: --ca")],
)
def test_listen_without_the_options_names_them(guarded: Any, kept: Any, line: str) -> None:
    broker, files = guarded
    given = [word for name in kept for word in (name, files[f"{name[2:]}_file"])]
    command = [sys.executable, "-m", "tools", "listen", uri(broker), *given]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, encoding="utf-8"
    )
    assert done.returncode == 69
    assert line in done.stderr
    assert "--cert-key" in done.stderr
    assert len(done.stderr.splitlines()) == 1
