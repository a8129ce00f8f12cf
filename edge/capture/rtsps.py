"""Network cameras over TLS: rtsps://HOST/path, with the options of rtsp://."""

from __future__ import annotations

from edge.capture.rtsp import open_source

__all__ = ["open_source"]
