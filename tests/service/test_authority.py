"""The broker's authority: whom it signs, and that who is revoked is out, whatever was signed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parents[2] / "systemd/broker/authority.sh"


def authority(*words: Any) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


def openssl(*words: Any) -> subprocess.CompletedProcess[str]:
    command = ["openssl", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


def request(folder: Path, subject: str) -> Path:
    key, file = folder / "box.key", folder / "box.csr"
    curve = ("-name", "prime256v1", "-genkey", "-noout")
    assert openssl("ecparam", *curve, "-out", key).returncode == 0
    assert openssl("req", "-new", "-key", key, "-subj", subject, "-out", file).returncode == 0
    return file


def is_valid(place: Path, certificate: Path) -> bool:
    lists = ("-CAfile", place / "ca.crt", "-CRLfile", place / "ca.crl", "-crl_check")
    return openssl("verify", *lists, certificate).returncode == 0


def test_a_request_with_two_names_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "an authority"
    assert authority("init", place).returncode == 0
    done = authority("sign", place, request(tmp_path, "/CN=dashboard/CN=hall"))
    assert done.returncode == 78
    assert "names are" in done.stderr
    assert not list((place / "issued").iterdir())


def test_revoked_is_every_certificate_of_a_name(tmp_path: Path) -> None:
    place = tmp_path / "an authority"
    authority("init", place)
    asked = request(tmp_path, "/CN=hall")
    assert authority("sign", place, asked).returncode == 0
    first = (place / "hall.crt").rename(tmp_path / "first.crt")
    assert authority("sign", place, asked).returncode == 0
    assert is_valid(place, first)
    assert is_valid(place, place / "hall.crt")
    assert authority("revoke", place, "hall").returncode == 0
    assert not is_valid(place, first)
    assert not is_valid(place, place / "hall.crt")


def test_revoking_can_be_said_again_and_nobody_is_told(tmp_path: Path) -> None:
    place = tmp_path / "authority"
    authority("init", place)
    assert authority("sign", place, request(tmp_path, "/CN=hall")).returncode == 0
    assert authority("revoke", place, "hall").returncode == 0
    (place / "ca.crl").unlink()  # as if it had been killed before the list was written
    again = authority("revoke", place, "hall")
    assert again.returncode == 0
    assert "restart it" in again.stdout, "mosquitto's reload keeps connections that are there"
    assert not is_valid(place, place / "hall.crt")
    done = authority("revoke", place, "all")
    assert done.returncode == 78
    assert "nobody of this name" in done.stderr
