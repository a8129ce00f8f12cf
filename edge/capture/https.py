"""Cameras that serve pictures over TLS: https://HOST/video, with the options of http://."""

from __future__ import annotations

from edge.capture.http import kind, open_source

__all__ = ["kind", "open_source"]
