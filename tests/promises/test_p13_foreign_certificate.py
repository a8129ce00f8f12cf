"""Who may say what: the shipped broker set-up, real certificates, the whole program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.promises.guarded_broker import REFUSED, ROOT, Caller, Guarded, authority, provision
from tests.promises.whole_daemon import Daemon, settings, toml
from tests.waiting import until

# A handshake that is refused leaves paho's socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
TAKEN = (0, 0x10)  # 0x10: and nobody listens now


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(tmp_path_factory.mktemp("guarded"))
    made.box("hall")
    made.box("gate")
    made.start()
    yield made
    made.remove()


@pytest.fixture
def callers(guarded: Guarded) -> Iterator[Callable[..., Caller]]:
    made: List[Caller] = []

    def call(name: str = "", **more: Any) -> Caller:
        made.append(Caller(guarded, guarded.files_of(name) if name else None, **more))
        return made[-1]

    yield call
    for caller in made:
        caller.close()


def test_a_provisioned_box_is_heard(guarded: Guarded, callers: Any, tmp_path: Path) -> None:
    """P13: the set-up lets the right ones through, else refusing would be easy."""
    dashboard = callers("dashboard")
    assert dashboard.hear("poses/v1/#") == 1
    own = guarded.folder / "box-hall/etc/edge/credentials"
    mqtt = {
        "ca_file": f"{own}/ca.crt",
        "cert_file": f"{own}/device.crt",
        "key_file": f"{own}/device.key",
    }
    table = settings(tmp_path, [guarded.uri], mqtt=mqtt)
    with Daemon(tmp_path, table) as daemon:
        until(lambda: dashboard.of("hall/door/event/presence"), "an event")
        until(lambda: dashboard.of("hall/door/frame"), "a frame")
        assert daemon.stop() == 0
    until(lambda: len(dashboard.of("hall/status")) >= 2, "the goodbye")
    states = [json.loads(one["body"])["state"] for one in dashboard.of("hall/status")]
    assert states[0] == "online"
    assert states[-1] == "offline"
    assert "refused" not in daemon.text()


def test_a_forged_topic_is_refused(callers: Any, figures: Any) -> None:
    """P13: a box with a good certificate of its own cannot speak for others, nor command itself."""
    dashboard, gate = callers("dashboard"), callers("gate")
    dashboard.hear("poses/v1/#")
    topics = [
        "poses/v1/hall/door/event/fall",
        "poses/v1/hall/status",
        "poses/v1/hall/door/state",
        "poses/v1/hall/cmd/restart",
        "poses/v1/hall/ack",
        "poses/v2/gate/status",
        "poses/v1/gat",
        "poses/v1",
        "homeassistant/device/hall/config",
        "$SYS/x",
        "poses/v1/gate/cmd/restart",
        "poses/v1/gate/ack",
    ]
    answers = {topic: gate.say(topic) for topic in topics}
    assert answers == dict.fromkeys(topics, REFUSED)
    for own in ("status", "metrics", "door/frame", "door/state", "door/event/fall", "answer/me"):
        assert gate.say(f"poses/v1/gate/{own}", b"mine") in TAKEN
    until(lambda: dashboard.of("gate/status"), "what it may say")
    forged = [t for t, body in dashboard.seen if body == b"forged"]
    assert forged == []
    figures("P13", forged_topics=len(topics), accepted=0)


@pytest.mark.parametrize(
    "lie", [{"client": "edge-hall"}, {"user": "hall"}, {"client": "edge-hall", "user": "hall"}]
)
def test_a_name_is_what_the_certificate_says(callers: Any, lie: Any) -> None:
    """P13: neither the client's number nor its user name makes it another."""
    gate = callers("gate", **lie)
    assert gate.entered
    assert gate.say("poses/v1/hall/status") == REFUSED
    assert gate.say("poses/v1/gate/status") in TAKEN


def test_a_box_hears_its_own_commands_and_nobody_else_s(callers: Any) -> None:
    """P13: no box can listen to another, or to everything."""
    gate, hall, operator = callers("gate"), callers("hall"), callers("operator")
    for filter_ in ("poses/v1/#", "poses/v1/hall/#", "#", "poses/v1/gate/cmd/#"):
        gate.hear(filter_)
    hall.hear("poses/v1/hall/cmd/#")
    assert operator.say("poses/v1/hall/cmd/reload", b"for hall") == 0
    assert operator.say("poses/v1/gate/cmd/reload", b"for gate") == 0
    assert hall.say("poses/v1/hall/door/event/fall", b"private") == 0
    until(lambda: gate.of("gate/cmd") and hall.of("hall/cmd"), "their commands")
    assert {t for t, _ in gate.seen} == {"poses/v1/gate/cmd/reload"}
    assert {t for t, _ in hall.seen} == {"poses/v1/hall/cmd/reload"}


def test_a_dashboard_reads_and_acknowledges_only(callers: Any) -> None:
    """P13: a consumer's certificate is not an operator's."""
    dashboard = callers("dashboard")
    assert dashboard.say("poses/v1/hall/ack", b"{}") in TAKEN
    for topic in ("cmd/restart", "door/event/fall", "status"):
        assert dashboard.say(f"poses/v1/hall/{topic}") == REFUSED


def test_strangers_do_not_get_in(guarded: Guarded, callers: Any, tmp_path: Path) -> None:
    """P13: another authority's certificate, none at all, and plain MQTT."""
    other = tmp_path / "other"
    assert authority("init", other).returncode == 0
    assert authority("consumer", other, "hall").returncode == 0
    foreign = Caller(guarded, (other / "hall.crt", other / "hall.key"))
    assert not foreign.entered
    assert not callers().entered, "no certificate"
    assert not callers(tls=False).entered
    assert not callers(user="hall", tls=False).entered
    foreign.close()


def test_who_is_revoked_is_out(tmp_path: Path) -> None:
    """P13: a stolen box is shut out by its authority."""
    guarded = Guarded(tmp_path)
    guarded.box("lost")
    guarded.start()
    try:
        before = Caller(guarded, guarded.files_of("lost"))
        assert before.entered
        before.close()
        guarded.call("revoke", "lost")
        guarded.stop()
        guarded.start()
        after = Caller(guarded, guarded.files_of("lost"))
        assert not after.entered
        after.close()
    finally:
        guarded.remove()


def test_the_doctor_tells_who_is_let_in(guarded: Guarded, tmp_path: Path) -> None:
    """P13: what the broker refuses, `edge doctor` names with its fix."""
    own = guarded.folder / "box-hall/etc/edge/credentials"
    mqtt = {
        "ca_file": f"{own}/ca.crt",
        "cert_file": f"{own}/device.crt",
        "key_file": f"{own}/device.key",
    }

    def found(device: str = "hall", **changes: str) -> Dict[str, Any]:
        table = settings(tmp_path, [guarded.uri], mqtt={**mqtt, **changes}, device=device)
        (tmp_path / "state").mkdir(exist_ok=True)
        path = tmp_path / "edge.toml"
        path.write_text(toml(table), encoding="utf-8")
        command = [sys.executable, "-m", "edge", "doctor", "--json", "--config", str(path)]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8"
        )
        return {f["what"]: f for f in json.loads(done.stdout)["findings"]}

    right = found()
    broker = f"broker {guarded.uri}"
    assert right[broker]["state"] == right["own certificate"]["state"] == "ok"
    assert right["broker's certificate"]["found"] == "valid for 825 more days"
    assert right["mqtt.key_file"]["state"] == "ok"
    nobody = found(cert_file="", key_file="")[broker]
    assert nobody["state"] == "fail"
    assert "edge provision" in nobody["fix"]
    false_name = found(device="gate")["own certificate"]
    assert (false_name["state"], "is for 'hall'" in false_name["found"]) == ("fail", True)
    other = tmp_path / "other"
    authority("init", other)
    foreign = found(ca_file=str(other / "ca.crt"))[broker]
    assert foreign["state"] == "fail"
    assert "mqtt.ca_file" in foreign["fix"]


def request(folder: Path, name: str) -> Path:
    """A request such as no honest box makes."""
    for command in (
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "k"],
        ["req", "-new", "-key", "k", "-subj", f"/CN={name}", "-out", "r"],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder / "r"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hall", "another box has this name"),
        ("operator", "has rights of its own"),
        ("dashboard", "has rights of its own"),
        ("#", "names are 1 to 32"),
        ("+", "names are"),
        ("a b", "names are"),
        ("Hall", "names are"),
        ("x" * 33, "names are"),
    ],
)
def test_the_authority_signs_no_false_name(
    guarded: Guarded, tmp_path: Path, name: str, words: str
) -> None:
    """P13: a request cannot ask for rights, or for another box's name."""
    done = authority("sign", guarded.authority, request(tmp_path, name))
    assert done.returncode == 78
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_box_takes_no_certificate_of_another(guarded: Guarded) -> None:
    """P13: provisioning refuses what is not for this box's key, name and authority."""
    root = guarded.folder / "box-gate"
    before = (root / "etc/edge/credentials/device.crt").read_bytes()
    done = provision(root, "--certificate", guarded.authority / "hall.crt")
    assert done.returncode == 65
    assert "is not for this box's key" in done.stderr
    assert (root / "etc/edge/credentials/device.crt").read_bytes() == before
    again = authority("sign", guarded.authority, root / "etc/edge/device.csr")
    assert again.returncode == 0, "the same key may have a new certificate"
    shutil.copy(guarded.authority / "gate.crt", guarded.folder / "renewed.crt")
    assert provision(root, "--certificate", guarded.folder / "renewed.crt").returncode == 0
