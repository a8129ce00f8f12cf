"""Ask an ONVIF camera for the addresses of its streams (ONVIF Core and Media, SOAP over HTTP).

The login is a digest of the password with a nonce and the camera's own time (WS-Security
UsernameToken, section 3.1), sent to the address that answered the probe and nowhere else. Every
answer is bounded in size and time; redirects are not followed.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import http.client
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import List, Optional, Tuple
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from edge.doctor._onvif import xml
from edge.errors import DataError, EdgeError, TempError

TIMEOUT_S, WHOLE_S = 3.0, 10.0
MOST_PROFILES = 8
_DEVICE, _MEDIA = "http://www.onvif.org/ver10/device/wsdl", "http://www.onvif.org/ver10/media/wsdl"
_SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><s:Envelope '
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:t="http://www.onvif.org/ver10/schema">'
    "<s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
)


@dataclass(frozen=True)
class Login:
    """A user of the cameras."""

    user: str
    password: str


@dataclass(frozen=True)
class Stream:
    """A stream of a camera."""

    uri: str  # rtsp://HOST..., without a login
    width: int  # px; 0 = not told
    height: int


class Camera:
    """One camera that answered a probe.

    Args:
        service: URL of its device service.
        login: None = without.
    """

    def __init__(self, service: str, login: Optional[Login]) -> None:
        self._service, self._login = service, login
        self._host = urlsplit(service).hostname or ""
        self._end_s = time.monotonic() + WHOLE_S
        self._ahead = datetime.timedelta()  # of the camera's clock before ours

    def streams(self) -> List[Stream]:
        """Its streams, the largest first.

        Raises:
            TempError: it does not answer, or refuses. DataError: it answers nonsense.
        """
        with contextlib.suppress(EdgeError):  # a camera without a clock may still know its streams
            self._ahead = self._clock() - _now()
        media = self._media()
        profiles = self._ask(media, f'<GetProfiles xmlns="{_MEDIA}"/>')
        found = [self._stream(media, p) for p in list(profiles.all("Profiles"))[:MOST_PROFILES]]
        streams = {s.uri: s for s in found if s is not None}
        return sorted(streams.values(), key=lambda s: -s.width * s.height)

    def _clock(self) -> datetime.datetime:
        answer = self._ask(self._service, f'<GetSystemDateAndTime xmlns="{_DEVICE}"/>', False)
        parts = [("Date", n) for n in ("Year", "Month", "Day")]
        parts += [("Time", n) for n in ("Hour", "Minute", "Second")]
        try:
            numbers = [int(answer.first("UTCDateTime", *names)) for names in parts]
            return datetime.datetime(*numbers, tzinfo=datetime.timezone.utc)  # type: ignore[arg-type,misc]
        except (ValueError, OverflowError) as error:
            raise DataError("it tells no time") from error

    def _media(self) -> str:
        ask = f'<GetCapabilities xmlns="{_DEVICE}"><Category>Media</Category></GetCapabilities>'
        url = self._ask(self._service, ask).first("Media", "XAddr")
        return url if _host(url) == self._host else self._service

    def _stream(self, media: str, profile: xml.Element) -> Optional[Stream]:
        token = escape(profile.attributes.get("token", ""), {'"': "&quot;"})
        ask = (
            f'<GetStreamUri xmlns="{_MEDIA}"><StreamSetup><t:Stream>RTP-Unicast</t:Stream>'
            "<t:Transport><t:Protocol>RTSP</t:Protocol></t:Transport></StreamSetup>"
            f"<ProfileToken>{token}</ProfileToken></GetStreamUri>"
        )
        uri = self._ask(media, ask).first("MediaUri", "Uri")
        if _host(uri) != self._host or not uri.startswith(("rtsp://", "rtsps://")):
            return None
        size = [_number(profile.first("Resolution", side)) for side in ("Width", "Height")]
        return Stream(_without_login(uri), *size)

    def _ask(self, url: str, body: str, with_login: bool = True) -> xml.Element:
        header = self._token() if self._login is not None and with_login else ""
        data = ENVELOPE.format(header=header, body=body).encode()
        status, answer = self._post(url, data)
        if status in (401, 403) or b"NotAuthorized" in answer:
            raise TempError("it wants a login: --login USER --password-file F")
        if status != 200:
            raise TempError(f"it answers {status}")
        return xml.parse(answer)

    def _post(self, url: str, data: bytes) -> Tuple[int, bytes]:
        parts = urlsplit(url)
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TempError(f"it does not answer within {WHOLE_S:g} s")
        limit_s = max(0.1, min(TIMEOUT_S, left_s))
        if parts.scheme == "https":  # cameras sign their own certificates; the login is a digest
            context = ssl._create_unverified_context()
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                self._host, parts.port, timeout=limit_s, context=context
            )
        else:
            made = http.client.HTTPConnection(self._host, parts.port, timeout=limit_s)
        try:
            made.connect()
            # Each wait is limited, but a camera that sends byte after byte would never end.
            watch = threading.Timer(left_s, _cut, [made.sock])
            watch.daemon = True
            watch.start()
            try:
                head = {"Content-Type": "application/soap+xml"}
                made.request("POST", parts.path or "/", data, head)
                answer = made.getresponse()
                return answer.status, answer.read(xml.MOST_BYTES + 1)
            finally:
                watch.cancel()
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise TempError(f"it does not answer: {why}") from error
        finally:
            made.close()

    def _token(self) -> str:
        """The header of a login."""
        assert self._login is not None
        nonce, created = (
            secrets.token_bytes(16),
            (_now() + self._ahead).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        # SHA-1 is what the specification asks for.
        signed = hashlib.sha1(nonce + created.encode() + self._login.password.encode()).digest()
        return (
            f'<Security xmlns="{_SECURITY}wssecurity-secext-1.0.xsd" s:mustUnderstand="1">'
            f"<UsernameToken><Username>{escape(self._login.user)}</Username>"
            f'<Password Type="{_SECURITY}username-token-profile-1.0#PasswordDigest">'
            f"{base64.b64encode(signed).decode()}</Password>"
            f'<Nonce EncodingType="{_SECURITY}soap-message-security-1.0#Base64Binary">'
            f"{base64.b64encode(nonce).decode()}</Nonce>"
            f'<Created xmlns="{_SECURITY}wssecurity-utility-1.0.xsd">{created}</Created>'
            "</UsernameToken></Security>"
        )


def _cut(raw: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(raw, socket.SHUT_RDWR)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _without_login(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    place, slash, path = rest.partition("/")
    clean = "".join(c for c in f"{scheme}://{place.rpartition('@')[2]}{slash}{path}" if c > " ")
    return clean if clean.isprintable() else ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 6 else 0
