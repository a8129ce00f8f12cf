"""From a broker to the board; the connection comes back by itself."""

from __future__ import annotations

from typing import Any

from edge.messages import ROOT
from edge.publish._address import Broker
from tools.mqtt.subscriber import Listener, Received
from tools.viewer.board import Board


class Live(Listener):
    """A subscription that keeps a board up to date; a context manager.

    Args:
        broker: a checked address.
        device: the name of one box; "+" = every box.
        board: gets the messages, and the state of the connection under the name `link`.

    Raises:
        UnavailableError: on entering: the broker cannot be reached, or refuses.
    """

    def __init__(self, broker: Broker, device: str, board: Board) -> None:
        super().__init__(broker, [f"{ROOT}/{device}/#"])
        self._board = board

    def received(self, message: Any) -> None:
        """Give a message to the board, in paho's thread."""
        kind = getattr(getattr(message, "properties", None), "ContentType", None)
        self._board.take(Received(message.topic, message.payload, kind))

    def linked(self, problem: str) -> None:
        """Tell the page whether the broker can be heard."""
        self._board.put("link", {"up": not problem, "why": problem})
