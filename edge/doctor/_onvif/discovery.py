"""Find ONVIF cameras in the local network: a probe of WS-Discovery, and who answers it.

The probe goes by multicast through each interface (WS-Discovery 1.1, section 2.4; ONVIF Core, 7.3).
An answer is believed in one thing only: that a camera is at the address from which it came.
Addresses of services at other hosts are dropped, because a login would be sent there.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import struct
import time
import uuid
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple
from urllib.parse import unquote, urlsplit

from edge.doctor._onvif import xml
from edge.errors import DataError

GROUP = ("239.255.255.250", 3702)
LISTEN_S, AGAIN_S = 3.0, 0.5
MOST_CAMERAS, MOST_BYTES = 64, 65535
LONGEST_WORD = 80
_SIOCGIFADDR = 0x8915
_SCOPES = "onvif://www.onvif.org/"
PROBE = """<?xml version="1.0" encoding="UTF-8"?>
<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"
 xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><e:Header>
<w:MessageID>{id}</w:MessageID>
<w:To e:mustUnderstand="true">urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>
<w:Action e:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action>
</e:Header><e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body>
</e:Envelope>"""


@dataclass(frozen=True)
class Found:
    """A camera that answered."""

    host: str  # its IPv4 address
    service: str  # URL of its device service, at that address; empty = it names none
    name: str  # as the camera calls itself; may be empty
    model: str


def find(listen_s: float = LISTEN_S, to: Tuple[str, int] = GROUP) -> List[Found]:
    """Ask once more after AGAIN_S, because UDP loses packets, and listen.

    Args:
        listen_s: for so long.
        to: where the probe goes.

    Returns:
        The cameras by their addresses, MOST_CAMERAS at most.
    """
    identity = f"uuid:{uuid.uuid4()}"
    found: Dict[str, Found] = {}
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(s) for s in map(_socket, _addresses()) if s is not None]
        end_s, again_s = time.monotonic() + listen_s, 0.0
        while time.monotonic() < end_s and len(found) < MOST_CAMERAS and sockets:
            if time.monotonic() >= again_s:
                _send(sockets, PROBE.format(id=identity).encode(), to)
                again_s = end_s if again_s else time.monotonic() + AGAIN_S
            until_s = min(end_s, max(again_s, time.monotonic()))
            ready, _, _ = select.select(sockets, [], [], max(0.0, until_s - time.monotonic()))
            for one in ready:
                data, (host, _) = one.recvfrom(MOST_BYTES)
                answer = read(data, host, identity)
                if answer is not None:
                    found[host] = answer
    return sorted(found.values(), key=lambda f: socket.inet_aton(f.host))


def read(data: bytes, host: str, identity: str) -> Optional[Found]:
    """The camera of an answer; None if it is no answer to this probe.

    Args:
        data: the datagram; it may be anything.
        host: from where it came.
        identity: of the probe.
    """
    try:
        envelope = xml.parse(data)
    except DataError:
        return None
    match = next(envelope.all("ProbeMatch"), None)
    if match is None or envelope.first("RelatesTo") != identity:
        return None
    scopes = match.first("Scopes").split()
    return Found(host, _own(match.first("XAddrs"), host), *(_scope(scopes, k) for k in _KINDS))


_KINDS = ("name", "hardware")


def _own(addresses: str, host: str) -> str:
    """The first HTTP address at the host that answered."""
    for url in addresses.split():
        with contextlib.suppress(ValueError):
            parts = urlsplit(url)
            if parts.scheme in ("http", "https") and parts.hostname == host:
                return url if parts.port is None or parts.port > 0 else ""
    return ""


def _scope(scopes: Sequence[str], kind: str) -> str:
    start = f"{_SCOPES}{kind}/"
    text = next((unquote(s[len(start) :]) for s in scopes if s.startswith(start)), "")
    return "".join(c for c in text if c.isprintable())[:LONGEST_WORD]


def _addresses() -> List[str]:
    """The IPv4 address of each interface that has one."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(any_socket.fileno(), _SIOCGIFADDR, request)
                found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _socket(address: str) -> Optional[socket.socket]:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        made.bind((address, 0))
        made.setblocking(False)
    except OSError:
        made.close()
        return None
    return made


def _send(sockets: Sequence[socket.socket], data: bytes, to: Tuple[str, int]) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):  # an interface without multicast
            one.sendto(data, to)
