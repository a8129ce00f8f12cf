"""Finds out why an RTSP address gives no video; OpenCV gives no reason."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from urllib.parse import urlsplit, urlunsplit

PORTS = {"rtsp": 554, "rtsps": 322}  # RFC 7826, section 21.7
_MAX_HEAD = 65536
_BODY_S = 0.5
_USUAL = ("H264", "H265", "JPEG", "MP4V-ES", "MPV", "VP8", "VP9", "MP2T")  # what builds decode
_ANSWERS = {
    "200": "it answers, but no video came: can OpenCV decode its codec?",
    "403": "it refuses this user; check the user's rights",
    "404": "it has no stream of this path; check the part behind the host",
    "453": "it has no bandwidth left for another viewer",
}


def failure_reason(url: str, timeout_s: float) -> str:
    """The likely reason as one clause; takes at most about twice the time-out.

    Args:
        url: rtsp:// or rtsps:// with a host; its password is neither sent nor shown.
        timeout_s: limit to connect, and again to answer.
    """
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
    try:
        address = (parts.hostname or "", parts.port or PORTS[parts.scheme])
        with socket.create_connection(address, timeout_s) as plain:
            return _ask(plain, url, where)
    except socket.gaierror:
        return f"there is no host {parts.hostname!r}; check the name, or give its address"
    except ConnectionRefusedError:
        return f"nothing listens on {where}; check the port, and that RTSP is switched on there"
    except ssl.SSLError:
        return f"{where} does not speak TLS as expected; is it rtsp:// instead?"
    except socket.timeout:
        return f"no answer from {where}; is it on, and in reach of this machine?"
    except OSError as error:
        return f"{where}: {error.strerror or error}"


def _ask(plain: socket.socket, url: str, where: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    open_url = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    request = f"DESCRIBE {open_url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    link = plain
    if parts.scheme == "rtsps":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        link = context.wrap_socket(plain)
    with link:
        link.sendall(request.encode("utf-8"))
        head = _head(link, plain.gettimeout() or 0.0)
    answer = head.split(b" ", 2)
    if not answer[0].startswith(b"RTSP/") or len(answer) < 2:
        return f"{where} is no RTSP server; check the port"
    code = answer[1][:3].decode("ascii", "replace")
    if code == "401":
        return (
            "it refuses the user or the password"
            if parts.password
            else "it wants a user and a password: write USER:PASSWORD@ before its host"
        )
    odd = _oddity(head, code) or _unknown_codec(head, code)
    if odd:
        return odd
    return _ANSWERS.get(
        code,
        f"it answers with RTSP status {code}"
        if code.isdigit()
        else f"{where} is no RTSP server; check the port",
    )


def _head(link: socket.socket, timeout_s: float) -> bytes:
    """The head of the answer: what comes in time, up to a limit.

    Raises:
        socket.timeout: nothing came.
    """
    end, head = time.monotonic() + timeout_s, b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD:
        link.settimeout(max(0.01, end - time.monotonic()))
        try:
            part = link.recv(4096)
        except socket.timeout:
            if not head:
                raise
            break
        if not part or time.monotonic() > end:
            break
        head += part
    return head + _body(link, head)


def _body(link: socket.socket, head: bytes) -> bytes:
    """What comes of the body within a moment: a session description is short."""
    found = re.search(rb"\ncontent-length:\s*(\d{1,5})\s", head.lower())
    have = len(head.partition(b"\r\n\r\n")[2])
    body = b""
    link.settimeout(_BODY_S)
    with contextlib.suppress(OSError):
        while found and have + len(body) < min(int(found.group(1)), _MAX_HEAD):
            part = link.recv(4096)
            if not part:
                break
            body += part
    return body


def _unknown_codec(head: bytes, code: str) -> str:
    """The video codec in a session description, if it is none of the usual; else "" (RFC 8866)."""
    found = re.search(rb"\nm=video .*?\na=rtpmap:\d+ ([\w.-]{1,32})/", head, re.DOTALL)
    name = found.group(1).decode("ascii") if found and code == "200" else ""
    if not name or name.upper() in _USUAL:
        return ""
    return f"its video is {name}, which this OpenCV cannot decode; set H.264 in the camera"


def _oddity(head: bytes, code: str) -> str:
    """What no camera does; "" = nothing of it."""
    if code[:1] == "3":
        found = re.search(rb"\nlocation:\s*rtsps?://(?:[^@/\s]*@)?([\w.:\[\]-]+)", head.lower())
        host = found.group(1).decode("ascii") if found else "another address"
        return f"it redirects to {host}; use the address that it redirects to"
    if len(head) >= _MAX_HEAD:
        return "its answer has no end; is it a camera?"
    size = re.search(rb"\ncontent-length:\s*(\d{7,18})\s", head.lower())
    if size:
        return f"it announces an answer of {int(size.group(1)) / 1e6:.0f} MB; is it a camera?"
    return ""
