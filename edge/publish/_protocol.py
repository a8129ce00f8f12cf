"""Which version of MQTT a connection speaks.

With `mqtt.protocol = "auto"` MQTT 5 is tried first. Some brokers of MQTT 3.1.1 refuse it by a
reason code, others close the connection without an answer. A broker that is starting also closes.
So after a close the broker is asked with 3.1.1; if it accepts, it is asked once more with 5, and
only if it closes again 3.1.1 is used. Every later connection tries 5 first.
"""

from __future__ import annotations

from typing import Tuple

UNSUPPORTED = 0x84  # CONNACK reason code of MQTT 5, section 3.2.2.2
PORT = "is the port one for TLS (mqtts://) or websockets?"
CLOSED = "the broker closed the connection before it answered"
WITHOUT_5 = (
    "the broker speaks MQTT 3.1.1 only: late frames do not expire, messages have no content type, "
    "and the broker cannot say that nobody has subscribed or that a topic is forbidden"
)


class ProtocolChoice:
    """The version of the next connection, and what a close before the answer may mean.

    Args:
        configured: `mqtt.protocol`.
        needs_5: events are acknowledged by a consumer, which 3.1.1 cannot do.
    """

    def __init__(self, configured: str, needs_5: bool = False) -> None:
        self._auto = configured == "auto" and not needs_5
        self.next = "5" if configured == "auto" else configured
        self._fixed = self.next
        self._accepts_3 = False  # 3.1.1 was accepted, so a close of 5 shows that it is not spoken
        self._only_3 = self._told = False

    def to_tell(self, version: str) -> str:
        """Return a line about the version that is used; "" = there is none, or it was told."""
        if not self._auto or self._told or version == "5":
            return ""
        self._told = True
        return WITHOUT_5

    def accepted(self, version: str) -> str:
        """The broker has accepted a connection.

        Returns:
            Why this connection is not used and the next one follows at once; "" = it is used.
        """
        if not self._auto:
            return ""
        self.next = "5"
        used = version == "5" or self._only_3
        self._accepts_3, self._only_3 = version != "5", False
        return "" if used else "the broker accepts MQTT 3.1.1; asking once more with MQTT 5"

    def refused(self, version: str, code: int) -> str:
        """The broker has refused a connection; returns what is tried at once, "" = nothing else."""
        if not self._auto or version != "5" or code != UNSUPPORTED:
            return ""
        self.next, self._only_3 = "3.1.1", True
        return "the broker refuses MQTT 5; asking with MQTT 3.1.1"

    def unanswered(self, version: str) -> Tuple[str, bool]:
        """The connection has ended without an answer.

        Returns:
            Why that may be, and whether another version is tried at once.
        """
        if not self._auto:
            other = "3.1.1" if self._fixed == "5" else "5"
            return (
                f'{CLOSED}: does it speak MQTT {other} only (mqtt.protocol = "{other}"), or {PORT}',
                False,
            )
        if version == "5":
            self.next, self._only_3 = "3.1.1", self._accepts_3
            return f"{CLOSED} MQTT 5; asking with MQTT 3.1.1", True
        self.next, self._accepts_3, self._only_3 = "5", False, False
        why = "does it refuse this address or client name, or"
        return f"{CLOSED} MQTT 5 and MQTT 3.1.1: {why} {PORT}", False
