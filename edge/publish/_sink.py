"""What a sink is, and what it may need beside its address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Mapping, Optional, Protocol

from edge.messages import Incoming, Message
from edge.publish._counters import Counters
from edge.settings.publishing import Mqtt, Outbox, Webhook
from edge.structures import PoseEvent


def discard_event(event: PoseEvent) -> None:
    """Ignore an event of a sink that no Publisher owns."""


def never_stop() -> bool:
    """Return False: the run is not stopped."""
    return False


@dataclass(frozen=True)
class SinkOptions:
    """What a sink may need beside its address."""

    device: str = "edge"
    will: Optional[Message] = None  # published by the broker if the connection breaks
    mqtt: Mqtt = field(default_factory=Mqtt)
    lossless: bool = False  # wait instead of dropping, because every source is a recording
    stop: Callable[[], bool] = never_stop  # true = do not wait any longer
    outbox: Outbox = field(default_factory=Outbox)
    state_dir: str = ""  # `state.dir` of the configuration
    first_outbox: bool = True  # the sinks before this one have no outbox
    run: str = ""  # names this run of the program
    publish_event: Callable[[PoseEvent], None] = discard_event  # for events about the sink itself
    # Topic filters to subscribe to, each with a callback; it is called in the sink's thread.
    listen: Mapping[str, Callable[[Incoming], None]] = field(default_factory=dict)
    webhook: Webhook = field(default_factory=Webhook)


class Sink(Protocol):
    """Takes messages. It is called by one thread at a time."""

    name: str  # the address without user and options, for people
    counters: Counters

    reader_left: bool  # permanently: no further message will be read

    @property
    def ok(self) -> bool:
        """Whether messages get through at present."""

    @property
    def waiting(self) -> int:
        """Number of messages taken and not sent yet."""

    def __call__(self, message: Message) -> None:
        """Take a message; blocks only with SinkOptions.lossless."""

    def close(self, timeout_s: float) -> None:
        """Send waiting messages for at most this long, then close; may be called twice."""
