"""`edge check`: the first mistake, with its key and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.service.check import check


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("rtmp://h/x", "cameras[1].source: rtmp://h/x: RTMP is not read; use the camera's rtsp://"),
        ("rstp://h/x", "cameras[1].source: no capture plug called 'rstp'; did you mean 'rtsp'?"),
        ("rtsp://h/x?flip=H", "cameras[1].source: rtsp://h/x?flip=***: flip=H: use h, v"),
        ("/dev/video3", "cameras[1].source: source '/dev/video3': did you mean v4l2:///dev/video3"),
    ],
)
def test_a_wrong_source_is_told_with_its_key_and_the_way_out(
    tmp_path: Path, source: str, line: str
) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(
        f'[[cameras]]\nsource = "csi://0"\n[[cameras]]\nsource = "{source}"\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        check(file)
    assert line in str(caught.value)
