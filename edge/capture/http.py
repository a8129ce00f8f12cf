"""Cameras and phones that serve pictures over HTTP: http://USER:PASSWORD@HOST:8080/video.

The address gives an MJPEG stream (multipart/x-mixed-replace), or a single JPEG that is asked for
again and again. Options, removed before the camera receives the address: poll_hz=5 (how often a
single JPEG is asked for); for https:// tls_sha256=HEX (the SHA-256 of the camera's own certificate:
only that one is accepted) or tls_verify=0 (any is accepted). By default the certificate must be
signed for this host by an authority that this machine trusts. All other parts of the query go to
the camera. Special characters of a password are written %40 for @, %2F for /, %23 for #, %3F for ?.
"""

from __future__ import annotations

import re
from typing import List
from urllib.parse import urlsplit

from edge.capture import _query
from edge.capture._decoder.http_tls import ANY_AUTHORITY
from edge.capture._decoder.video import RemoteVideo, too_large
from edge.capture._source import CAMERA, Address, CaptureOptions
from edge.capture._stream import Stream
from edge.errors import ConfigError, TempError

OURS = ("poll_hz", "tls_verify", "tls_sha256")
_SHA256 = re.compile("[0-9a-f]{64}")
ADVICE = "is the camera on and in reach?"


def open_source(address: Address, options: CaptureOptions) -> Stream:
    """Connect to a camera.

    Raises:
        ConfigError: a wrong option or address. TempError: no picture came; says why.
        DataError: the address gives something else, or a picture that is too large.
    """
    kind(address)
    asked = {
        "url": _checked(address),
        "timeout_s": options.timeout_s,
        "poll_hz": _query.number(address, "poll_hz", 5.0, 1.0, 60.0),
        "trust": _trust(address),
        "max_pixels": options.max_megapixels * 1e6,
    }
    video = RemoteVideo(address.uri, options)
    try:
        if not video.open({"http": asked}, options.timeout_s + options.grace_s):
            raise TempError(f"{address.uri}: no picture in time; {ADVICE}")
        too_large(address.uri, *video.coded_size, options)
    except BaseException:
        video.close()
        raise
    return Stream(video, address.uri, options.timeout_s, ADVICE)


def kind(address: Address) -> str:
    """CAMERA; checks the options.

    Raises:
        ConfigError: a wrong option or address.
    """
    _checked(address)
    _query.number(address, "poll_hz", 5.0, 1.0, 60.0)
    _trust(address)
    if address.path.lower().endswith((".m3u8", ".mpd")):
        raise ConfigError(
            f"{address.uri}: HLS and DASH are not read, because they are seconds late; use the "
            "camera's rtsp:// address, or its MJPEG address"
        )
    return CAMERA


def _trust(address: Address) -> str:
    """Whose certificate of https is accepted; see `http_request.Request`."""
    verify = _query.choice(address, "tls_verify", ("1", "0"))
    given = address.query.get("tls_sha256", "")
    pinned = given.replace(":", "").replace("%3A", "").lower()
    if "tls_sha256" in address.query and not _SHA256.fullmatch(pinned):
        raise ConfigError(
            f"{address.uri}: tls_sha256: expected 64 hexadecimal digits, as "
            "`openssl x509 -noout -fingerprint -sha256` prints them"
        )
    if pinned and verify == "0":
        raise ConfigError(f"{address.uri}: tls_sha256 and tls_verify=0 contradict each other")
    return pinned or ("" if verify == "0" else ANY_AUTHORITY)


def _checked(address: Address) -> str:
    """The URL for the camera, without our options."""
    path, mark, query = address.secret_uri.partition("?")
    rest: List[str] = [p for p in query.split("&") if p.partition("=")[0] not in OURS]
    url = path + mark + "&".join(rest) if any(rest) else path
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # its text may contain a part of the password
        host = None
    if not host or not url.isprintable() or " " in url:
        raise ConfigError(
            f"{address.uri}: expected {address.scheme}://HOST:8080/PATH; special characters of a "
            "password are written %40 for @, %2F for /, %23 for #, %3F for ?, and %20 for a blank"
        )
    return url
