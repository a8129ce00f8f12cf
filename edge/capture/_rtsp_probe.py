"""Finds out why an RTSP address gives no video; OpenCV gives no reason."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit, urlunsplit

PORTS = {"rtsp": 554, "rtsps": 322}  # RFC 7826, section 21.7
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
        answer = link.recv(64).split(b" ")
    if not answer[0].startswith(b"RTSP/") or len(answer) < 2:
        return f"{where} is no RTSP server; check the port"
    code = answer[1][:3].decode("ascii", "replace")
    if code == "401":
        return (
            "it refuses the user or the password"
            if "@" in parts.netloc
            else "it wants a login: write USER:PASSWORD@ before its host"
        )
    return _ANSWERS.get(
        code,
        f"it answers with RTSP status {code}"
        if code.isdigit()
        else f"{where} is no RTSP server; check the port",
    )
