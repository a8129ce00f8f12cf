"""https://: signed events and states reach a webhook, whatever it answers at first."""

from __future__ import annotations

import base64
import dataclasses
import email.utils
import json
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from edge.keys import own_key
from edge.publish import Publisher, parse_all
from edge.publish._connection import Packet
from edge.publish._sink import SinkOptions
from edge.publish._webhook import connection as connection_module
from edge.publish._webhook.connection import _seconds, message_id
from edge.publish._webhook.signature import Signer
from edge.publish._webhook.target import parse
from edge.settings import config as settings_module
from edge.settings.config import Config
from edge.settings.publishing import Publish, Webhook
from edge.settings.sections import State
from edge.structures import CameraState, Frame, PoseEvent, Poses
from tests.edge.publish.receiver import SECRET, Receiver, self_signed, signed_by_secret
from tests.waiting import until

IMAGE = np.zeros((8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def receiver(certificate: Path) -> Iterator[Receiver]:
    made = Receiver(certificate)
    yield made
    made.close()


@pytest.fixture
def webhook(tmp_path: Path, certificate: Path) -> Webhook:
    secret = tmp_path / "secret"
    secret.write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n", encoding="utf-8")
    ca_file = str(certificate.parent / "ca.crt")
    return Webhook(secret_file=str(secret), ca_file=ca_file, timeout_s=5.0, retry_max_s=0.2)


def publisher(url: str, webhook: Webhook, state: Path) -> Publisher:
    state = State(str(state))  # type: ignore[assignment]
    return Publisher(Config("box", publish=Publish(sinks=[url]), webhook=webhook, state=state))  # type: ignore[arg-type]


def event(n: int, kind: str = "fall") -> PoseEvent:
    return PoseEvent(kind, "door", 1, time.monotonic_ns(), 0.9, {"n": n})


def state(people: int, publisher: Publisher) -> None:
    publisher.camera(CameraState("door", "ok", "", time.monotonic_ns()), people)


def test_events_states_and_status_arrive_signed_and_nothing_else(
    receiver: Receiver, webhook: Webhook, tmp_path: Path
) -> None:
    box = publisher(receiver.url, webhook, tmp_path)
    until(lambda: box.sinks[0].ok)
    box.online()
    state(1, box)
    box.frame(Frame(IMAGE, 0, 0, "door"), Poses.empty(17, "coco17"))
    box.metrics({})
    for n in range(5):
        box.event(event(n))
    until(lambda: len(receiver.events()) == 5)
    box.close(60.0)
    assert receiver.events() == list(range(5)), "in order, each once"
    assert set(receiver.kinds()) == {"status", "state", "fall"}
    assert receiver.taken[-1]["payload"]["state"] in ("ended", "offline")
    for path, headers, body in receiver.requests:
        assert path == "/hook?token=s3cret"
        assert headers["content-type"] == "application/json"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 3600
        assert signed_by_secret(headers, body)
    ids = [headers["webhook-id"] for _, headers, _ in receiver.requests]
    assert len(set(ids)) == len(ids)
    assert receiver.connections == 1, "one connection for all"
    assert box.sinks[0].counters.sent == len(receiver.requests)
    assert "s3cret" not in box.sinks[0].name


def test_an_event_survives_an_outage_and_a_restart(
    certificate: Path, webhook: Webhook, tmp_path: Path
) -> None:
    first = Receiver(certificate)
    first.close()
    box = publisher(first.url, webhook, tmp_path / "s")
    box.event(event(1))
    until(lambda: box.report()[0]["outbox"]["stored"] == 1)
    box.close(0.5)
    again = Receiver(certificate, first.port)
    box = publisher(again.url, webhook, tmp_path / "s")
    until(lambda: again.events() == [1])
    assert next(m for m in again.taken if "/event/" in m["topic"])["payload"]["historical"]
    box.close(60.0)
    again.close()


@pytest.mark.parametrize("status", [500, 503, 404, 401])
def test_a_receiver_that_is_ill_gets_every_event_later(
    receiver: Receiver,
    webhook: Webhook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    monkeypatch.setattr("edge.publish._backlog.PAUSE_MAX_S", 0.2)
    receiver.answer = lambda message: (status, {})
    box = publisher(receiver.url, webhook, tmp_path)
    box.online()
    state(1, box)
    for n in range(3):
        box.event(event(n))
    until(lambda: len(receiver.requests) >= 4)
    assert not receiver.taken
    receiver.answer = lambda message: (204, {})
    until(lambda: sorted(receiver.events()) == [0, 1, 2])
    until(lambda: {"status", "state"} <= set(receiver.kinds()))
    until(lambda: box.sinks[0].waiting == 0)
    assert box.report()[0]["outbox"]["parked"] == 0
    box.close(60.0)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_event_that_is_wrong_in_itself_does_not_hold_the_others_up(
    receiver: Receiver, webhook: Webhook, tmp_path: Path, status: int
) -> None:
    receiver.answer = lambda m: (status if m["payload"].get("data") == {"n": 1} else 200, {})
    box = publisher(receiver.url, webhook, tmp_path)
    for n in range(3):
        box.event(event(n))
    until(lambda: {0, 2} <= set(receiver.kinds() and _numbers(receiver)))
    until(lambda: box.report()[0]["outbox"]["parked"] == 1)
    until(lambda: "outbox_parked" in receiver.kinds())
    box.close(60.0)


def _numbers(receiver: Receiver) -> List[int]:
    return [m["payload"]["data"].get("n") for m in receiver.taken if "/event/" in m["topic"]]


def test_a_retry_has_the_same_id(
    receiver: Receiver, webhook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.publish._backlog.PAUSE_MAX_S", 0.1)
    answers = iter([500, 500])
    receiver.answer = lambda message: (next(answers, 200), {})
    box = publisher(receiver.url, webhook, tmp_path)
    box.event(event(7))
    until(lambda: receiver.events() == [7])
    box.close(60.0)
    tries = [h["webhook-id"] for _, h, body in receiver.requests if b"/event/" in body]
    assert len(tries) == 3
    assert len(set(tries)) == 1


def test_a_redirect_is_refused_and_its_secret_is_not_told(
    receiver: Receiver, webhook: Webhook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    to = "https://elsewhere.example/x?key=verysecret"
    receiver.answer = lambda message: (307, {"Location": to})
    box = publisher(receiver.url, webhook, tmp_path)
    box.event(event(1))
    until(lambda: "redirect" in caplog.text)
    assert "a redirect to 'elsewhere.example'; use the final address" in caplog.text
    assert "verysecret" not in caplog.text
    receiver.answer = lambda message: (200, {})
    until(lambda: receiver.events() == [1])
    assert box.report()[0]["outbox"]["parked"] == 0
    box.close(60.0)
    assert "s3cret" not in caplog.text


def test_retry_after_is_obeyed(
    receiver: Receiver, webhook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: List[float] = []

    class Quick(connection_module.Pause):
        def begin(self, seconds: float) -> None:
            pauses.append(seconds)
            super().begin(0.3)

    monkeypatch.setattr("edge.publish.https.Pause", Quick)
    answers = iter([(429, {"Retry-After": "17"}), (503, {"Retry-After": "5"}), (429, {})])
    receiver.answer = lambda message: next(answers, (200, {}))
    box = publisher(receiver.url, webhook, tmp_path)
    box.event(event(1))
    until(lambda: receiver.events() == [1])
    assert box.report()[0]["outbox"]["parked"] == 0
    box.close(60.0)
    assert pauses == [17.0, 5.0, 1.0]


def test_a_pause_is_bounded_and_refuses_connections(webhook: Webhook) -> None:
    pause = connection_module.Pause()
    assert pause.left_s == 0
    pause.begin(1e9)
    assert 3000 < pause.left_s <= 3600
    target = parse("https://127.0.0.1:1/x", webhook)
    with pytest.raises(OSError, match="asked to wait"):
        connection_module.HttpsConnection(target, None, pause).open()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("17", 17), ("", None), ("soon", None), ("-5", None), ("9" * 400, 999999999)],
)
def test_the_forms_of_retry_after(text: str, seconds: Any) -> None:
    assert _seconds(text) == seconds
    assert _seconds(None) is None
    later = email.utils.formatdate(time.time() + 600, usegmt=True)
    assert 300 < (_seconds(later) or 0) <= 600
    assert _seconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0


def test_a_receiver_that_hangs_up_when_idle_gets_the_next_event(
    receiver: Receiver, webhook: Webhook, tmp_path: Path
) -> None:
    receiver.answer = lambda message: (200, {"Connection": "close"})
    box = publisher(receiver.url, webhook, tmp_path)
    for n in range(3):
        box.event(event(n))
        until(lambda n=n: len(receiver.events()) == n + 1)  # type: ignore[misc]
    box.close(60.0)
    assert receiver.events() == [0, 1, 2]
    assert receiver.connections >= 3


def test_a_foreign_certificate_gets_nothing(
    receiver: Receiver, webhook: Webhook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box = publisher(receiver.url, dataclasses.replace(webhook, ca_file=""), tmp_path)
    box.event(event(1))
    until(lambda: "not of an authority" in caplog.text)
    assert "set webhook.ca_file" in caplog.text
    assert not receiver.requests
    box.close(0.2)
    named = receiver.url.replace("127.0.0.1", "localhost")
    box = publisher(named, webhook, tmp_path / "b")
    until(lambda: "certificate is not for 'localhost'" in caplog.text)
    box.close(0.2)
    assert not receiver.requests


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_the_boxs_key_signs(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    if kind == "p256":
        path.write_bytes(own_key.new_key())
    else:
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        made = ed25519.Ed25519PrivateKey.generate()
        path.write_bytes(made.private_bytes(serialization.Encoding.PEM, form, plain))
    signer = Signer.load(Webhook(sign_key_file=str(path)), "https://h")
    mark, _, text = signer.header("msg_1", 5, b"{}").partition(",")
    signature, public = base64.b64decode(text), own_key.load_key(path).public_key()
    if kind == "p256":
        assert mark == "v1e"
        public.verify(signature, b"msg_1.5.{}", ec.ECDSA(hashes.SHA256()))
    else:
        assert mark == "v1a"
        public.verify(signature, b"msg_1.5.{}")


def test_the_example_of_the_specification() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = Signer(secret).header(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_both_signatures_stand_side_by_side(tmp_path: Path, webhook: Webhook) -> None:
    (tmp_path / "key").write_bytes(own_key.new_key())
    both = dataclasses.replace(webhook, sign_key_file=str(tmp_path / "key"))
    header = Signer.load(both, "").header("m", 1, b"")
    assert [part[:4] for part in header.split(" ")] == ["v1,J", "v1e,"] or header.count(" ") == 1


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (None, NoInputError, "No such file"),
        (b"not base64!", DataError, "is not base64"),
        (b"\xff\xfe", DataError, "is no text"),
        (base64.b64encode(b"short"), DataError, "has 5 bytes; use 24 to 64"),
    ],
)
def test_a_wrong_secret_is_refused(tmp_path: Path, content: Any, error: type, why: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=why):
        parse("https://h/x", Webhook(secret_file=str(path)))


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("https://", "expected https://HOST/PATH"),
        ("https://h:0/x", "expected https://HOST/PATH"),
        ("https://h:x/", "no such address"),
        ("https://user:verysecret@h/x", "no user, password or #"),
        ("https://h/x#verysecret", "no user, password or #"),
        ("https://h/ä?k=verysecret", "percent encoding"),
        ("https://h/a b", "expected https://HOST/PATH"),
    ],
)
def test_a_wrong_address_is_refused(webhook: Webhook, uri: str, why: str) -> None:
    with pytest.raises(EdgeError) as caught:
        parse_all([uri], SinkOptions(webhook=webhook))
    assert isinstance(caught.value, ConfigError)
    assert why in str(caught.value)
    assert "verysecret" not in str(caught.value)


def test_without_a_key_to_sign_with_there_is_no_webhook() -> None:
    with pytest.raises(ConfigError, match=r"webhook\.secret_file or webhook\.sign_key_file"):
        parse_all(["https://h/x"])


def test_one_receiver_twice_is_refused_and_two_paths_are_not(webhook: Webhook) -> None:
    options = SinkOptions(webhook=webhook)
    parse_all(["https://h/a", "https://h/b"], options)
    with pytest.raises(ConfigError, match="the same receiver"):
        parse_all(["https://h/a", "https://h:443/a"], options)


def test_credentials_are_located(tmp_path: Path) -> None:
    table: Dict[str, Any] = {"webhook": {"secret_file": "credential:hook"}}
    found = settings_module.complete(settings_module.build(Config, table))
    assert found.webhook.secret_file == "/etc/edge/credentials/hook"


def test_a_body_that_is_odd_has_an_id_too() -> None:
    packet = Packet("t", b"[1]")
    assert message_id(packet) == message_id(packet)
    assert json.loads(connection_module.line(packet)) == {"topic": "t", "payload": [1]}
