"""https://HOST/PATH: events, states and the status, each POSTed to a webhook and signed.

They wait in an outbox until the receiver has answered 2xx, so none is lost in an outage. Frames and
metrics are not sent. The receiver is not told when the box vanishes: there is no last will.
"""

from __future__ import annotations

import queue
from typing import Any

from edge.messages import Message
from edge.publish import SinkOptions
from edge.publish._event_sink import EventSink
from edge.publish._fallback_outbox import outbox_file
from edge.publish._webhook.connection import HttpsConnection, Pause
from edge.publish._webhook.target import Target, parse

KINDS = ("event", "state", "status")


def open_sink(uri: str, options: SinkOptions) -> HttpsSink:
    """Start to connect.

    Raises:
        ConfigError, NoInputError, DataError: the address or a file of it cannot be used.
    """
    return HttpsSink(check(uri, options), options)


def check(uri: str, options: SinkOptions) -> Target:
    """Check an address and return the receiver; raises what `open_sink` raises."""
    return parse(uri, options.webhook)


class HttpsSink(EventSink):
    """Sends messages to one receiver of webhooks.

    Args:
        target: a checked address.
        options: see SinkOptions.
    """

    def __init__(self, target: Target, options: SinkOptions) -> None:
        pause = Pause()

        def dial(inbox: queue.Queue[Any]) -> HttpsConnection:
            return HttpsConnection(target, inbox, pause)

        super().__init__(
            target.name,
            options,
            outbox_file(target.name, target.outbox_name, options),
            dial,
            target.settings.retry_max_s,
            target.settings.timeout_s,
            peer="receiver",
        )

    def __call__(self, message: Message) -> None:
        """Take a message; never blocks."""
        if message.kind in KINDS:
            super().__call__(message)
