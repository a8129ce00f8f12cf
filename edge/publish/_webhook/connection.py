"""One connection to a receiver of webhooks: POST after POST, in the order of sending.

It fits into `edge.publish._sender` in place of a broker's connection. What an answer means:

- 2xx: delivered.
- 400, 413, 414, 415, 422, 431: this message is wrong in itself. An event is set aside and tried
  again from time to time.
- 429, or any status with `Retry-After`: nothing is sent until then.
- 3xx: redirects are refused, because the message would go to somebody who is not configured.
- Anything else (401, 404, 5xx ...): an event waits, and the events of its topic with it; for a
  state the connection counts as lost, and the next try comes after a pause that doubles.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import json
import queue
import socket
import ssl
import threading
import time
from typing import Any, Optional, Tuple
from urllib.parse import urlsplit

import edge
from edge.publish import _tls
from edge.publish._connection import SUCCESS, Packet
from edge.publish._inbox import Acknowledged, Connected, Disconnected
from edge.publish._webhook.target import Target

WINDOW = 8  # messages on their way to the thread
MAX_BYTES = 2**24
WRONG, UNAVAILABLE = 0x99, 0x80  # MQTT 5's codes for the sender: never, and not now
FINAL = (400, 413, 414, 415, 422, 431)
MOST_ANSWER_BYTES = 65536
MOST_PAUSE_S = 3600.0
CLOSE_S = 1.0


class _Refused(Exception):
    """The receiver's answer ends the connection; no message is the cause."""


class Pause:
    """Until when the receiver wants nothing; shared by its connections."""

    def __init__(self) -> None:
        self._until_s = 0.0  # monotonic

    @property
    def left_s(self) -> float:
        """Seconds that are left; 0 = it may be asked."""
        return max(0.0, self._until_s - time.monotonic())

    def begin(self, seconds: float) -> None:
        """Ask for nothing for so long."""
        self._until_s = time.monotonic() + min(max(seconds, 0.0), MOST_PAUSE_S)


class HttpsConnection:
    """One connection with a thread of its own; the contract is `_connection.Connection`.

    Args:
        target: the receiver.
        inbox: of the sender.
        pause: what earlier connections were asked for.
    """

    def __init__(self, target: Target, inbox: queue.Queue[Any], pause: Pause) -> None:
        self._target, self._inbox, self._pause = target, inbox, pause
        self._packets: queue.Queue[Optional[Tuple[int, Packet]]] = queue.Queue()
        self._number = 0
        self._ended = threading.Event()
        self._http: Optional[http.client.HTTPSConnection] = None
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def open(self) -> None:
        """Connect in the thread.

        Raises:
            OSError: the receiver asked to wait, and the time is not over.
        """
        if self._pause.left_s:
            raise OSError("the receiver asked to wait (Retry-After)")
        self._thread.start()

    def publish(self, packet: Packet) -> int:
        """Queue a message; returns its number."""
        self._number += 1
        self._packets.put((self._number, packet))
        return self._number

    def disconnect(self) -> None:
        """Send what is queued, then close."""
        self._packets.put(None)
        self._thread.join(CLOSE_S)
        self.abort()

    def abort(self) -> None:
        """Close under the thread, which then ends."""
        self._ended.set()
        self._packets.put(None)
        raw = self._http.sock if self._http is not None else None
        if raw is not None:
            with contextlib.suppress(OSError):  # closed already
                socket.socket.shutdown(raw, socket.SHUT_RDWR)

    # The thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._connect()
            self._inbox.put(Connected(self, WINDOW, MAX_BYTES, "HTTPS"))
            while True:
                item = self._packets.get()
                if item is None or self._ended.is_set():
                    return
                self._send(*item)
        except _Refused as refusal:
            self._inbox.put(Disconnected(self, str(refusal), blameless=True))
        except (OSError, http.client.HTTPException) as error:
            self._inbox.put(Disconnected(self, self._why(error)))
        finally:
            if self._http is not None:
                self._http.close()

    def _connect(self) -> None:
        target = self._target
        self._http = http.client.HTTPSConnection(
            target.host, target.port, timeout=target.settings.timeout_s, context=target.tls
        )
        self._http.connect()

    def _send(self, number: int, packet: Packet) -> None:
        status, retry_after, to = self._post_twice(packet)
        if 200 <= status < 300:
            self._inbox.put(Acknowledged(self, number, SUCCESS))
        elif status in FINAL:
            self._inbox.put(Acknowledged(self, number, WRONG, f"the receiver answers {status}"))
        elif retry_after is not None or status == 429:
            self._pause.begin(1.0 if retry_after is None else retry_after)
            raise _Refused(f"the receiver answers {status} and wants a pause")
        elif 300 <= status < 400:
            raise _Refused(f"the receiver answers {status}, a redirect{to}; use the final address")
        elif packet.retain:
            raise _Refused(f"the receiver answers {status}{_hint(status)}")
        else:
            why = f"the receiver answers {status}{_hint(status)}"
            self._inbox.put(Acknowledged(self, number, UNAVAILABLE, why))

    def _post_twice(self, packet: Packet) -> Tuple[int, Optional[float], str]:
        """POST; once more on a new connection if the receiver has closed the idle one."""
        try:
            return self._post(packet)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if self._ended.is_set() or self._http is None:
                raise
            self._http.close()
            self._connect()
            return self._post(packet)

    def _post(self, packet: Packet) -> Tuple[int, Optional[float], str]:
        """The status, for how long to wait, and where a redirect leads."""
        assert self._http is not None
        body = line(packet)
        stamp_s = int(time.time())
        self._http.request(
            "POST",
            self._target.path,
            body,
            {
                "Content-Type": "application/json",
                "User-Agent": f"edge-pose/{edge.__version__}",
                "webhook-id": message_id(packet),
                "webhook-timestamp": str(stamp_s),
                "webhook-signature": self._target.signer.header(message_id(packet), stamp_s, body),
            },
        )
        answer = self._http.getresponse()
        if len(answer.read(MOST_ANSWER_BYTES + 1)) > MOST_ANSWER_BYTES or answer.will_close:
            answer.close()
            self._http.close()  # the next request connects again
        return answer.status, _seconds(answer.getheader("Retry-After")), _where(answer)

    def _why(self, error: Exception) -> str:
        """Why the connection is over, for people."""
        if isinstance(error, ssl.SSLError):
            return _tls.explain(error, self._target.host, self._target.settings, "receiver")
        if isinstance(error, socket.timeout):
            return f"the receiver does not answer within {self._target.settings.timeout_s:g} s"
        return str(getattr(error, "strerror", None) or error or type(error).__name__)


def line(packet: Packet) -> bytes:
    """The body of a POST: the same JSON object as a line of the sink jsonl."""
    return b'{"topic": ' + json.dumps(packet.topic).encode() + b', "payload": ' + packet.body + b"}"


def message_id(packet: Packet) -> str:
    """The same for every try of a message: made of topic, boot_id and seq."""
    try:
        payload = json.loads(packet.body)
        about = (packet.topic, payload["boot_id"], payload.get("seq", "last"))
    except (ValueError, KeyError, TypeError, RecursionError):
        about = (packet.topic, hashlib.sha256(packet.body).hexdigest(), "")
    return "msg_" + hashlib.sha256("\n".join(map(str, about)).encode()).hexdigest()[:32]


def _hint(status: int) -> str:
    hints = {
        401: ": does it know this box's secret?",
        403: ": does it know this box's secret?",
        404: ": is the path right?",
        405: ": is the path right? it takes no POST",
        410: ": it wants no messages any more; remove the sink",
    }
    return hints.get(status, "")


def _seconds(retry_after: Optional[str]) -> Optional[float]:
    """The seconds of a Retry-After (RFC 9110, 10.2.3); None if there is none that is valid."""
    text = (retry_after or "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0.0, moment.timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _where(answer: http.client.HTTPResponse) -> str:
    try:
        host = urlsplit(answer.getheader("Location") or "").hostname
    except ValueError:
        host = None
    return f" to {host!a}" if host else ""
