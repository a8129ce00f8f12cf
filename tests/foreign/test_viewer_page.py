"""The page of `edge-tools view` in Chromium, driven by playwright and judged by axe."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge.messages import Builder, Message
from edge.structures import Outline, PoseEvent, RuleSummary
from tests.foreign.browsing import Chromium, Page
from tests.tools.viewer.moving import frame, people, state, write_lines
from tests.waiting import Slowness, until

CAMERAS = ("door", "hall", "stair", "yard")
FPS = 30


class Box:
    """A box with four cameras and three people each, in a thread: 120 messages a second."""

    def __init__(self, port: int) -> None:
        self._build = Builder("ward")
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        raw = self._client.socket()
        assert isinstance(raw, socket.socket)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as a real box does
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.send(self._build.online(version="1", cameras=list(CAMERAS), engines={}, clock={}))
        for camera in CAMERAS:
            self.camera(camera)

    def send(self, message: Message) -> None:
        self._client.publish(message.topic, message.json, message.qos, message.retain)

    def camera(self, name: str, word: str = "ok", detail: str = "") -> None:
        corners = np.array([20 + 300j, 300 + 300j, 400 + 460j, 10 + 460j])
        zone = RuleSummary(
            "mat", "zone", {"people": 2}, {"mat": 2}, outlines=[Outline(corners, "mat: 2")]
        )
        self.send(self._build.state(state(name, word, detail), 3, [zone]))

    def event(self, level: str, why: str) -> None:
        told = {"action": "fall", "down_s": 1.3, "tilt_deg": 71.0, "drop_h": 0.4, "speed_h_s": 0.9}
        when_ns = time.monotonic_ns()
        self.send(
            self._build.event(PoseEvent("fall", "door", 1, when_ns, 0.9, told, level, why=why))
        )

    def room(self, x_mm: int) -> None:
        """One person in metres; the message of a scene by hand."""
        points = np.zeros((133, 4), np.int32)
        points[:17, 3] = 90
        points[:17, 0], points[:17, 2] = x_mm, np.linspace(1700, 0, 17)
        who = {"id": 1, "score": 90, "error": 5, "seen_as": {}, "keypoints": points.ravel()}
        head = self._build._envelope("poses/v1/ward/scene/gym/frame", time.monotonic_ns())
        body = {"scene": "gym", "cameras": list(CAMERAS[:2]), "skeleton": "wholebody133"}
        self.send(
            Message("poses/v1/ward/scene/gym/frame", "scene", {**head, **body, "people": [who]})
        )

    def world(self) -> None:
        """One frame of another camera, with joints in metres from the middle of the hips."""
        message = self._build.frame(frame("lift", time.monotonic_ns()), people(2))
        for n, person in enumerate(message.payload["people"]):
            points = np.full((133, 4), 90, np.int32)
            points[:, :3] = np.random.default_rng(n).integers(-800, 800, (133, 3))
            person["world"] = points.ravel().tolist()
        self.send(message)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        due_s = time.monotonic()
        i = 0
        while not self._ended.wait(max(0.0, due_s - time.monotonic())):
            poses = people(3, abs((i / 60) % 2 - 1))
            for camera in CAMERAS:
                self.send(self._build.frame(frame(camera, time.monotonic_ns(), i), poses))
            i, due_s = i + 1, max(due_s, time.monotonic() - 0.1) + 1 / FPS

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


DRAWN = "Object.values(viewerFigures().drawn)"


def test_four_cameras_are_drawn_live(broker: Any, browser: Chromium, slowness: Slowness) -> None:
    box = Box(broker.port)
    view = Page("view", broker.uri)
    assert browser.do(open=view.link) == view.link.partition("?")[0], "the token left the address"
    box.start()
    browser.do(wait=f"{DRAWN}.length === 4 && {DRAWN}.every((rate) => rate > 0)")
    browser.do(eval="new Promise((done) => setTimeout(done, 2500))")
    figures = browser.do(eval="viewerFigures()")
    assert figures["unreadable"] == 0
    worst = slowness.worst
    assert min(figures["drawn"].values()) >= 25 / worst / worst, figures
    assert figures["delays_ms"]["p95"] < 150 * worst * worst, figures
    assert browser.text(".tile .facts").startswith("3 people")
    assert browser.text(".tile .chips") == "mat · 2"
    assert browser.do(axe=None) == []
    check_alarm(box, browser)
    check_keyboard(browser)
    check_states(box, browser)
    check_room(box, browser)
    browser.do(choose=["#language", "zh"])
    browser.do(choose=["#theme", "light"])
    assert browser.text(".tile .facts").startswith("3 人")
    assert browser.do(eval="document.documentElement.lang") == "zh-CN"
    assert browser.do(axe=None) == [], "in light colours, in Chinese, with events and a room"
    browser.do(size=[360, 740])
    assert browser.do(eval="document.documentElement.scrollWidth") <= 360, "reflow"
    assert browser.do(axe=None) == []
    check_second_tab(browser, view)
    box.close()
    view.close()


def check_alarm(box: Box, browser: Chromium) -> None:
    """Text of others is text: no markup of it becomes part of the page."""
    box.event("alarm", "<img src=http://evil.example/x> fell")
    browser.do(wait="document.querySelector('#events li.alarm')")
    assert "Person 1 fell" in browser.text("#events li.alarm")
    assert "<img" in browser.text("#events li.alarm")
    assert browser.text("#alarm") == "alarm: door, Person 1 fell"


def check_keyboard(browser: Chromium) -> None:
    """A camera is enlarged and left with the keyboard alone; the first Tab skips to the cameras."""
    browser.do(eval="document.activeElement.blur()")
    browser.do(press="Tab")
    assert browser.do(eval="document.activeElement.className") == "skip"
    browser.do(press="Enter")
    assert browser.do(eval="document.activeElement.id") == "stage"
    browser.do(press="Tab")
    assert browser.do(eval="document.activeElement.textContent") == "door"
    browser.do(press="Enter")
    shown = "[...document.querySelectorAll('.tile:not([hidden])')].length"
    browser.do(wait=f"{shown} === 1")
    assert browser.do(axe=None) == [], "one camera with the figures of its rules"
    assert "people" in browser.text(".solo .more")
    browser.do(press="Escape")
    browser.do(wait=f"{shown} === 4")


def check_states(box: Box, browser: Chromium) -> None:
    box.camera("yard", "stalled", "no frame for 8 s")
    words = "[...document.querySelectorAll('.tile')].map((t) => t.innerText).join()"
    browser.do(wait=f"{words}.includes('no frame for 8 s')")
    box.camera("yard")
    browser.do(wait=f"!{words}.includes('no frame for 8 s')")


def check_room(box: Box, browser: Chromium) -> None:
    """The 3-D view turns with the mouse, the keyboard and buttons."""
    box.room(0)
    box.room(2500)
    canvas = ".room canvas"
    browser.do(wait="document.querySelector('.room canvas')")
    browser.do(wait="viewerFigures().drawn['ward/room/gym'] > 0")
    pictures = [browser.picture(canvas)]
    for deed in (
        {"drag": [canvas, 90, 10]},
        {"eval": f"document.querySelector('{canvas}').focus()"},
        {"press": "ArrowLeft"},
        {"press": "+"},
        {"click": ".room .buttons button >> nth=6"},
    ):
        browser.do(**deed)
        if "eval" not in deed:
            until(lambda: browser.picture(canvas) != pictures[-1], f"another picture by {deed}")
            pictures.append(browser.picture(canvas))
    assert len(set(pictures[:4])) == 4
    box.world()
    browser.do(wait="viewerFigures().drawn['ward/world/lift'] > 0")


def check_second_tab(browser: Chromium, view: Page) -> None:
    browser.do(open=view.link.partition("?")[0])
    browser.do(wait=f"{DRAWN}.length >= 5")
    browser.do(close=None)


def test_the_page_lives_through_a_loss_of_the_broker_and_of_a_box(
    broker: Any, browser: Chromium
) -> None:
    box = Box(broker.port)
    view = Page("view", broker.uri)
    browser.do(open=view.link)
    browser.do(wait="document.querySelectorAll('.tile').length === 4")
    broker.stop()
    browser.do(wait="document.querySelector('#banner').textContent.includes('cannot be reached')")
    assert browser.do(eval="document.querySelector('#link').dataset.up") == "false"
    broker.start()
    browser.do(wait="document.querySelector('#banner').textContent === ''")
    box.send(box._build.online(version="1", cameras=["door", "hall"], engines={}, clock={}))
    browser.do(wait="document.querySelectorAll('.tile').length === 2")
    box.send(box._build.offline("lost"))
    browser.do(wait="document.querySelector('.tile .badge').textContent === 'offline'")
    box.start()
    box.close()
    view.close()
    browser.do(wait="document.querySelector('#banner').textContent.includes('viewer has ended')")
    browser.do(eval="0")


@pytest.mark.parametrize("browser", [("zh-CN", "light")], indirect=True)
def test_a_recording_is_played_and_an_event_leads_to_its_moment(
    browser: Chromium, tmp_path: Path
) -> None:
    view = Page("view", "--replay", str(write_lines(tmp_path / "messages.jsonl")))
    browser.do(open=view.link)
    at = "Number(document.querySelector('#transport input').value)"
    shown = "Number(document.querySelector('#transport').dataset.shown)"
    browser.do(wait=f"document.querySelector('.tile') && {shown} > 0.3")
    while "播放" not in browser.text("#transport .play"):  # it may end by itself meanwhile
        browser.do(click="#transport .play")
    browser.do(eval="document.querySelector('#transport input').focus()")
    browser.do(press="End")
    browser.do(wait=f"{shown} > 4.8")
    before = browser.picture(".tile canvas")
    ticks = "document.querySelector('#transport canvas')"
    every = f"getImageData(0, 0, {ticks}.width, {ticks}.height)"
    browser.do(wait=f"{ticks}.getContext('2d').{every}.data.some(Boolean)")
    browser.do(click="#events li button")
    browser.do(wait=f"Math.abs({shown} - 1) < 0.05")
    assert browser.picture(".tile canvas") != before, "another moment"
    assert browser.do(axe=None) == []
    browser.do(eval="document.querySelector('#transport input').focus()")
    browser.do(press="Home")
    browser.do(wait=f"{at} === 0 && {shown} === 0")
    view.close()
    browser.do(wait="document.querySelector('#banner').textContent !== ''")


def test_sixteen_cameras_fit_on_one_screen(broker: Any, browser: Chromium) -> None:
    view = Page("view", broker.uri)
    browser.do(open=view.link)
    said = "document.querySelector('#empty').textContent"
    browser.do(wait=f"{said}.includes('Waiting for cameras')")
    box = Box(broker.port)
    names: List[str] = [f"cam{i:02d}" for i in range(16)]
    box.send(box._build.online(version="1", cameras=names, engines={}, clock={}))
    for name in names:
        box.send(box._build.frame(frame(name, time.monotonic_ns()), people(2)))
    browser.do(wait="document.querySelectorAll('.tile').length === 16")
    low = "document.querySelector('#grid').lastElementChild.getBoundingClientRect().bottom"
    browser.do(wait=f"{low} <= innerHeight")
    box.start()
    box.close()
    view.close()
