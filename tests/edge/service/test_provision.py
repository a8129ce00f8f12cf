"""`edge provision` on the files of a box; the authority's side is in tests/promises (P13)."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, List

import pytest

from edge.durable import save
from edge.errors import ConfigError, DataError, EdgeError, NoInputError, TempError
from edge.keys.own_key import certificate_problem, is_request
from edge.service.provision import Box, Order, derived_name, provision
from edge.settings import config, toml_edit
from edge.settings.credentials import FOLDER, path_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    made.folder.mkdir(parents=True)
    made.config.write_text(
        (ROOT / "systemd/edge.toml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    made.machine_id.write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    return made


def run(box: Box, systemd: int = 252, **order: Any) -> List[str]:
    return provision(Order(root=box.folder.parents[1], **order), systemd)


def request(box: Box) -> x509.CertificateSigningRequest:
    return x509.load_pem_x509_csr(box.request.read_bytes())


def test_a_first_boot_makes_name_key_and_request(box: Box) -> None:
    lines = run(box)
    settings = config.load(box.config)
    assert re.fullmatch(r"edge-[0-9a-f]{8}", settings.device)
    assert "0123456789abcdef" not in settings.device, "the machine id stays a secret"
    own = serialization.load_pem_private_key(box.key.read_bytes(), None)
    made = request(box)
    assert made.is_signature_valid
    assert made.public_key() == own.public_key()
    assert made.subject.rfc4514_string() == f"CN={settings.device}"
    assert stat.S_IMODE(box.key.stat().st_mode) == 0o600
    assert lines[-1] == "next: edge provision --broker mqtts://HOST --ca ca.crt"
    assert settings.mqtt.key_file == "", "a key without a certificate opens nothing"


def test_said_again_it_changes_nothing(box: Box) -> None:
    run(box, device="hall", broker="broker.local")
    before = {p: p.read_bytes() for p in box.folder.rglob("*") if p.is_file()}
    lines = run(box)
    assert len(lines) == 1
    assert lines[0].startswith("next: have ")
    assert {p: p.read_bytes() for p in box.folder.rglob("*") if p.is_file()} == before


def test_another_name_asks_again_with_the_same_key(box: Box) -> None:
    run(box, device="hall")
    key = box.key.read_bytes()
    run(box, device="gate")
    assert request(box).subject.rfc4514_string() == "CN=gate"
    assert box.key.read_bytes() == key
    assert config.load(box.config).device == "gate"
    run(box, new_key=True)
    assert box.key.read_bytes() != key
    assert config.load(box.config).device == "gate"


def test_comments_and_what_a_person_wrote_stay(box: Box) -> None:
    mine = (
        "# my own words\n"
        + box.config.read_text(encoding="utf-8")
        + "\n[smooth]\nq = 4.0  # mine\n"
    )
    box.config.write_text(mine, encoding="utf-8")
    run(box, device="hall", broker="mqtts://broker.local:8884")
    text = box.config.read_text(encoding="utf-8")
    assert text.startswith("# my own words\n")
    assert text.endswith("[smooth]\nq = 4.0  # mine\n")
    settings = config.load(box.config)
    assert settings.publish.sinks == ["mqtts://broker.local:8884"]
    assert settings.smooth.q == 4.0
    changed = [b for a, b in zip(mine.splitlines(), text.splitlines()) if a != b]
    assert len(changed) == 2


def test_answers_given_beforehand(box: Box) -> None:
    (box.folder / "provision.toml").write_text('broker = "mqtts://b.local"\n', encoding="utf-8")
    run(box)
    assert config.load(box.config).publish.sinks == ["mqtts://b.local"]
    run(box, broker="other.local")
    assert config.load(box.config).publish.sinks == ["mqtts://other.local"], "a person counts more"
    run(box)
    assert config.load(box.config).publish.sinks == ["mqtts://other.local"]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"device": "a/b"}, "--device 'a/b': use 1 to 32"),
        ({"device": "Hall"}, "use 1 to 32"),
        ({"broker": "http://x"}, "use mqtts://HOST"),
        ({"broker": "mqtts://"}, "mqtts://"),
        ({"broker": "mqtts://bob:secret@x"}, "password"),
        ({"ca": Path("/nowhere/ca.crt")}, "/nowhere/ca.crt"),
        ({"certificate": Path("/nowhere/x.crt")}, "/nowhere/x.crt"),
    ],
)
def test_mistakes_name_the_fix_and_touch_no_settings(box: Box, order: Any, words: str) -> None:
    before = box.config.read_bytes()
    with pytest.raises(EdgeError) as error:
        run(box, **order)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
    assert box.config.read_bytes() == before


def test_a_broken_answer_file_is_named(box: Box) -> None:
    (box.folder / "provision.toml").write_text('brokr = "x"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"provision.toml: brokr: unknown key; did you mean"):
        run(box)


def test_a_folder_that_cannot_be_written_is_one_line(box: Box) -> None:
    """As for a person who is not root; root is stopped only by a file in the folder's place."""
    box.credentials.touch()
    with pytest.raises(TempError, match=f"{box.credentials}: File exists; run this as root"):
        run(box)


def test_settings_that_are_no_text_are_named(box: Box) -> None:
    box.config.write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match="not text in UTF-8"):
        run(box)


def test_a_machine_id_that_is_no_text_counts_as_none(box: Box) -> None:
    box.machine_id.write_bytes(b"\xff" * 33)
    run(box)
    assert re.fullmatch(r"edge-[0-9a-f]{8}", config.load(box.config).device)


def test_without_an_installation_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="make install"):
        provision(Order(root=tmp_path))


@pytest.mark.parametrize(
    ("was", "written"),
    [
        ("sinks = []", 'sinks = [\n  "jsonl:-",\n]'),
        ("[publish]", "[ publish ]"),
        ("[publish]\n", "  [publish]\n  "),
        ('device = "edge"', "device = '''edge'''  # a name"),
        ("\n", "\r\n"),
    ],
)
def test_however_a_person_writes_toml(box: Box, was: str, written: str) -> None:
    before = box.config.read_text(encoding="utf-8").replace(was, written)
    box.config.write_bytes(before.encode())
    run(box, device="hall", broker="b.local")
    settings, after = config.load(box.config), box.config.read_bytes().decode()
    assert (settings.device, settings.publish.sinks) == ("hall", ["mqtts://b.local"])
    assert after.count("\r\n") == before.count("\r\n")
    comments = [line for line in before.splitlines() if line.startswith("#")]
    assert [line for line in after.splitlines() if line.startswith("#")] == comments


@pytest.mark.parametrize(
    "made", ['device = "hall"\n', 'device = "hall"\n[mqtt]\nprotocol = "3.1.1"\n', "not TOML"]
)
def test_an_edit_that_changes_more_is_refused(box: Box, monkeypatch: Any, made: str) -> None:
    monkeypatch.setattr(toml_edit, "set_key", lambda *edit: made)
    before = box.config.read_bytes()
    with pytest.raises(ConfigError, match=r"edge.toml: cannot be edited .*set device by hand"):
        run(box, device="hall")
    assert box.config.read_bytes() == before


def test_no_certificate_is_no_certificate(box: Box, tmp_path: Path) -> None:
    (tmp_path / "x.crt").write_text("nonsense", encoding="utf-8")
    for name in ("ca", "certificate"):
        with pytest.raises(DataError, match="is not a certificate in PEM form"):
            run(box, **{name: tmp_path / "x.crt"})


def signed(box: Box, tmp_path: Path) -> Path:
    """A certificate such as an authority would give, signed by the box itself."""
    import datetime

    made, key = request(box), serialization.load_pem_private_key(box.key.read_bytes(), None)
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(made.subject).issuer_name(made.subject)
    builder = builder.public_key(made.public_key()).serial_number(7).not_valid_before(now)
    builder = builder.not_valid_after(now + datetime.timedelta(days=9))
    path = tmp_path / "own.crt"
    pem = serialization.Encoding.PEM
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    return path


def test_systemd_hands_credentials_where_it_can(box: Box, tmp_path: Path) -> None:
    run(box, device="hall")
    run(box, certificate=signed(box, tmp_path))
    text = box.drop_in.read_text(encoding="utf-8")
    assert "LoadCredential=device.key:/etc/edge/credentials/device.key\n" in text
    assert "LoadCredential=device.crt:" in text
    settings = config.read_toml(box.config)["mqtt"]
    assert settings["key_file"] == "credential:device.key"
    assert "ca_file" not in settings, "there is none"


def test_jetpack_5_keeps_files_for_the_group(box: Box, tmp_path: Path) -> None:
    run(box, systemd=245, device="hall")
    run(box, systemd=245, certificate=signed(box, tmp_path))
    assert not box.drop_in.exists()
    assert stat.S_IMODE(box.key.stat().st_mode) == 0o640


def test_a_certificate_of_the_old_name_goes_with_it(box: Box, tmp_path: Path) -> None:
    run(box, device="hall")
    run(box, certificate=signed(box, tmp_path))
    lines = run(box, device="gate")
    assert any("removed, because it is for 'hall', not for 'gate'" in line for line in lines)
    settings = config.read_toml(box.config)["mqtt"]
    assert settings["cert_file"] == settings["key_file"] == ""


def test_names_without_a_machine_id_differ(tmp_path: Path) -> None:
    assert derived_name(tmp_path / "none") != derived_name(tmp_path / "none")


class PowerCut(BaseException):
    """The machine is off: nothing after it is done."""


@pytest.mark.parametrize(
    "order", [{"device": "gate"}, {"new_key": True}, {"device": "gate", "new_key": True}]
)
def test_a_power_cut_between_two_steps_heals_at_the_next_boot(
    box: Box, tmp_path: Path, monkeypatch: Any, order: Any
) -> None:
    """A box with a certificate; the power goes before each change of the disk in turn."""
    run(box, device="hall")
    run(box, certificate=signed(box, tmp_path))
    whole = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    healed = 0
    for left in range(100):
        for path in [*box.folder.rglob("*"), box.drop_in]:
            path.unlink() if path.is_file() else None
        for path, data in whole.items():
            path.write_bytes(data)
        try:
            with monkeypatch.context() as patch:
                _cut_after(left, patch)
                run(box, **order)
        except PowerCut:
            healed += box.unfinished.exists()
            run(box) if box.unfinished.exists() else None
            _agrees(box)
            continue
        break
    assert not box.unfinished.exists()
    assert healed >= 4


def _cut_after(left: int, patch: Any) -> None:
    """Raise PowerCut instead of the change after so many."""

    def counted(change: Any) -> Any:
        def maybe(*words: Any, **more: Any) -> Any:
            nonlocal left
            if not left:
                raise PowerCut
            left -= 1
            return change(*words, **more)

        return maybe

    patch.setattr("edge.service.provision.save", counted(save))
    for name in ("unlink", "chmod"):
        patch.setattr(Path, name, counted(getattr(Path, name)))


def _agrees(box: Box) -> None:
    """Settings, credentials and request belong together, and systemd finds what it gives."""
    settings = config.load(box.config)
    assert is_request(box.request, box.key, settings.device)
    for line in box.drop_in.read_text(encoding="utf-8").splitlines():
        if line.startswith("LoadCredential="):
            assert (box.credentials / line.rpartition("/")[2]).is_file(), line
    named = settings.mqtt.cert_file != ""
    assert named == box.certificate.is_file()
    if named:
        assert not certificate_problem(box.certificate, box.key, settings.device, box.authority)


def test_the_command_line(box: Box) -> None:
    command = [sys.executable, "-m", "edge", "provision", "--root", str(box.folder.parents[1])]
    done = subprocess.run(
        [*command, "--device", "hall"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("next: ")
    done = subprocess.run(
        [*command, "--device", "#"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 78
    assert done.stderr.startswith("edge: --device '#': use 1 to 32")
    assert "Traceback" not in done.stderr


def test_credentials_are_found_where_systemd_put_them(tmp_path: Path) -> None:
    (tmp_path / "device.key").touch()
    there = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert path_of("credential:device.key", "k", there) == str(tmp_path / "device.key")
    assert path_of("credential:other", "k", there) == str(FOLDER / "other")
    assert path_of("credential:device.key", "k", {}) == str(FOLDER / "device.key")
    assert path_of("/a/b", "k", there) == "/a/b"
    assert path_of("", "k", there) == ""
    for bad in ("credential:", "credential:../x", "credential:a/b", "credential:.."):
        with pytest.raises(ConfigError, match=r"mqtt.key_file: .*plain file name"):
            path_of(bad, "mqtt.key_file", there)


def test_a_configuration_names_credentials(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text('[mqtt]\nca_file = "credential:ca.crt"\n', encoding="utf-8")
    assert config.load(path).mqtt.ca_file == str(FOLDER / "ca.crt")
    path.write_text('[mqtt]\nca_file = "credential:../ca.crt"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"edge.toml: mqtt.ca_file"):
        config.load(path)


def test_a_credential_that_may_not_be_looked_at_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd hides the credentials from `edge check` in ExecReload; no traceback of ours."""

    def hidden(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", hidden)
    there = {"CREDENTIALS_DIRECTORY": "/run/credentials/edge.service"}
    assert path_of("credential:ca.crt", "k", there) == "/run/credentials/edge.service/ca.crt"
