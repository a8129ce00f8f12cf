"""What people type as a source, and the address that the answer gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.capture import CaptureOptions, kind, open_source, parse
from edge.capture._addresses import FOREIGN, meant
from edge.errors import ConfigError, EdgeError, NoInputError


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("0", "v4l2:///dev/video0"),
        ("12", "v4l2:///dev/video12"),
        ("/dev/video2", "v4l2:///dev/video2"),
        ("dev/video2", "v4l2:///dev/video2"),
        ("video1", "v4l2:///dev/video1"),
        ("/dev/v4l/by-id/usb-cam", "v4l2:///dev/v4l/by-id/usb-cam"),
        ("webcam", "v4l2:///dev/video0"),
        ("v4l2:/dev/video1", "v4l2:///dev/video1"),
        ("v4l2:0", "v4l2:///dev/video0"),
        ("csi:0", "csi://0"),
        ("file:/no/clip.mp4", "file:///no/clip.mp4"),
        ("file:clip.mp4", "file://clip.mp4"),
        ("rtsp:/10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("rtsp:10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("RTSP::10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("10.0.0.5", "rtsp://10.0.0.5"),
        ("10.0.0.5:554/live?ch=1", "rtsp://10.0.0.5:554/live?ch=1"),
        ("user:pw@10.0.0.5/live", "rtsp://user:pw@10.0.0.5/live"),
        ("10.0.0.5:8080/video", "http://10.0.0.5:8080/video"),
        ("camera.local/live", "rtsp://camera.local/live"),
        ("/no/such/clip.mp4", "file:///no/such/clip.mp4"),
        ('"0"', "v4l2:///dev/video0"),
        ("C:\\clips\\a.mp4", ""),
        ("nonsense", ""),
        ("", ""),
        ("a\0b", ""),
        ("a" * 5000, ""),
    ],
)
def test_the_address_to_type(typed: str, address: str) -> None:
    assert meant(typed) == address
    if address:
        assert parse(address).scheme == address.partition(":")[0]


def test_paths_that_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = tmp_path / "who is it? 100%.mp4"
    clip.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for typed in (str(clip), clip.name, f"./{clip.name}", f"~/{clip.name}"):
        assert parse(meant(typed)).path == str(clip)
    assert meant(str(tmp_path)) == f"file://{tmp_path}"


def test_the_answer_hides_a_password() -> None:
    with pytest.raises(ConfigError, match=r"did you mean rtsp://\S+@10\.0\.0\.5/live") as caught:
        parse("user:s3cret@10.0.0.5/live")
    assert "s3cret" not in str(caught.value)


def test_two_slashes_before_an_absolute_path(tmp_path: Path) -> None:
    clip = tmp_path / "x.mp4"
    clip.touch()
    typed = f"file:/{clip}"
    assert typed.count("/") == str(clip).count("/") + 1
    with pytest.raises(NoInputError, match=f"did you mean file://{clip} "):
        open_source(typed, CaptureOptions())
    with pytest.raises(EdgeError, match=r"did you mean v4l2:///dev/null "):
        open_source("v4l2://dev/null", CaptureOptions())


@pytest.mark.parametrize("scheme", sorted(FOREIGN))
def test_a_scheme_that_is_not_read_names_the_way_out(scheme: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(f"{scheme}://host/x")
    told = str(caught.value)
    assert "did you mean" not in told
    assert any(way in told for way in ("rtsp://", "file:///", "v4l2:///", "csi://0"))
