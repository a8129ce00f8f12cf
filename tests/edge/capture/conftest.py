from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

import pytest

from tests.edge.capture.fake_opencv import capture
from tests.edge.capture.fake_plug import fake
from tests.waiting import until

__all__ = ["capture", "eventually", "fake"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate that a camera signed for itself."""
    where = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=camera"]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(where / "key"), "-out", str(where / "cert")]
    subprocess.run(command, check=True, capture_output=True)
    pem = where / "own.pem"
    pem.write_text(
        (where / "key").read_text(encoding="utf-8") + (where / "cert").read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    return pem


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until something is true; fails after a generous while."""

    def wait(true: Callable[[], object]) -> None:
        until(true, every_s=0.005)

    return wait
