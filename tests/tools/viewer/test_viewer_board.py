"""What browsers are told: the newest message of each topic, events once, in bounded memory."""

from __future__ import annotations

import json
import threading
from typing import Any, Dict

import numpy as np
import pytest

from edge import codec
from edge.messages import Builder
from edge.structures import PoseEvent
from tests.tools.viewer.moving import frame, lines, people, received, state, topics
from tools.mqtt.subscriber import Received
from tools.viewer import board as board_module
from tools.viewer.board import Board, Cursor


def event(n: int, topic: str = "poses/v1/hall/door/event/zone") -> Received:
    record = {"boot_id": "0" * 16, "seq": n, "kind": "zone", "data": {}}
    return Received(topic, json.dumps(record).encode())


def news(board: Board, cursor: Cursor) -> Dict[str, Any]:
    return {topic: json.loads(body) for topic, body in lines(board.news(cursor, 0))}


@pytest.mark.parametrize("codec_name", ["json", "cbor"])
@pytest.mark.parametrize("skeleton", ["wholebody133", "halpe136", "coco17"])
def test_the_newest_frame_of_each_camera_wins(codec_name: str, skeleton: str) -> None:
    board, builder, cursor = Board(), Builder("hall", codec_name), Cursor()
    for i in range(5):
        for camera in ("door", "yard"):
            poses = people(2, i / 5, skeleton)
            board.take(received(builder.frame(frame(camera, i + 1), poses)))
    told = news(board, cursor)
    assert sorted(told) == ["poses/v1/hall/door/frame", "poses/v1/hall/yard/frame"]
    for record in told.values():
        assert (record["seq"], record["skeleton"], len(record["people"])) == (4, skeleton, 2)
    ours = codec.to_json(builder.frame(frame("door", 5), people(2, 4 / 5, skeleton)).payload)
    theirs = told["poses/v1/hall/door/frame"]["people"]
    np.testing.assert_array_equal(
        theirs[1]["keypoints"], json.loads(ours)["people"][1]["keypoints"]
    )
    assert news(board, cursor) == {}, "told once"
    board.take(received(builder.frame(frame("yard", 9), people(1))))
    assert list(news(board, cursor)) == ["poses/v1/hall/yard/frame"]


def test_each_browser_has_its_own_place() -> None:
    board, quick, slow = Board(), Cursor(), Cursor()
    for n in range(3):
        board.take(event(n))
        assert len(topics(board.news(quick, 0))) == 1
    assert len(topics(board.news(slow, 0))) == 3


def test_an_event_that_comes_twice_is_told_once() -> None:
    board, cursor = Board(), Cursor()
    for n in (0, 1, 1, 0):
        board.take(event(n))
    board.take(event(1, "poses/v1/hall/yard/event/zone"))
    assert len(topics(board.news(cursor, 0))) == 3


def test_poses_before_an_event_are_left_out() -> None:
    board, builder = Board(), Builder("hall")
    one = PoseEvent("fall", "door", 1, 1, 0.9, {"action": "fall"})
    message = builder.event(one)
    message.payload["preroll"] = [{"people": []}] * 1000
    board.take(received(message))
    (told,) = news(board, Cursor()).values()
    assert "preroll" not in told
    assert told["kind"] == "fall"


def test_memory_is_bounded_whatever_comes(monkeypatch: Any) -> None:
    monkeypatch.setattr(board_module, "MAX_TOPICS", 10)
    board = Board(max_events=20)
    for n in range(100):
        board.take(event(n))
        board.take(Received(f"poses/v1/hall/cam{n}/frame", b'{"people":[]}'))
        board.take(Received("poses/v1/hall/cam0/frame", b'{"people":%s}' % (b"[" * n)))
    told = topics(board.news(Cursor(), 0))
    assert sum("/event/" in topic for topic in told) == 20
    assert sum("/frame" in topic for topic in told) == 10
    assert board.unreadable == 90
    assert len(board._events.seen) <= 80 + 1


@pytest.mark.parametrize(
    "message",
    [
        Received("poses/v1/hall/door/frame", b"\x00" * (board_module.MAX_BYTES + 1)),
        Received("poses/v1/hall/do or/frame", b"{}"),
        Received("poses/v1/hall/door\n/frame", b"{}"),
        Received("poses/v1/hall/door/frame", b"\xff\xfe"),
        Received("poses/v1/hall/door/event/zone", b"{}"),
        Received("poses/v1/hall/door/event/zone", b"nonsense"),
        Received("poses/v1/hall/door/event/z z", b'{"boot_id":"a","seq":1}'),
        Received("poses/v1/hall/door/event/zone", b'{"boot_id":"","seq":1,"x":"%070000d"}' % 1),
    ],
)
def test_what_cannot_be_shown_is_counted_and_nothing_breaks(message: Received) -> None:
    board, cursor = Board(), Cursor()
    board.take(message)
    board.take(event(7))
    assert topics(board.news(cursor, 0)) == ["poses/v1/hall/door/event/zone"]
    assert board.unreadable == 1


def test_a_line_end_in_a_message_does_not_end_the_line() -> None:
    """Otherwise a message could write the next one."""
    board = Board()
    board.take(Received("poses/v1/hall/door/frame", b'{"people":\r\n\r\n[]}'))
    assert board.news(Cursor(), 0) == b'data: poses/v1/hall/door/frame {"people":[]}\n\n'


def test_foreign_messages_and_commands_are_ignored() -> None:
    board = Board()
    for topic in ("poses/v1/hall/cmd/restart", "poses/v1/hall/ack", "else", "poses/v1/hall/a/b/c"):
        board.take(Received(topic, b"{}"))
    assert board.news(Cursor(), 0) == b""


def test_a_deleted_state_is_told_as_null() -> None:
    board, builder, cursor = Board(), Builder("hall"), Cursor()
    message = builder.state(state("door"), 0)
    board.take(Received(message.topic, b""))
    assert news(board, cursor) == {}, "nothing was known of it"
    board.take(received(message))
    board.take(Received(message.topic, b""))
    assert news(board, cursor) == {message.topic: None}


def test_a_waiting_browser_is_woken() -> None:
    board, told = Board(), []
    waiting = threading.Thread(target=lambda: told.append(board.news(Cursor(), 600)))
    waiting.start()
    board.put("hello", {"mode": "live"})
    waiting.join()
    assert told == [b'data: hello {"mode":"live"}\n\n']
