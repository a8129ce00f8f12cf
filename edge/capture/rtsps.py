"""Network cameras over TLS: rtsps://HOST/path, with the options of rtsp://."""

from __future__ import annotations

from edge.capture.rtsp import kind, open_source

__all__ = ["kind", "open_source"]
