"""The page of `edge-tools draw` in Chromium, with a mouse: what is drawn stands in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import cv2
import numpy as np

from edge.settings import config
from tests.foreign.browsing import Chromium, Page

WIDTH, HEIGHT = 640, 480  # higher than the page has room for: bars beside the picture
IMAGE = "#picture image"
SAID = "document.querySelector('#said').textContent"
ZONE = [[64, 300], [300, 290], [320, 460], [80, 470]]
LINE = [[400, 100], [600, 420]]


def shares(points: List[List[int]]) -> List[List[float]]:
    return [[x / WIDTH, y / HEIGHT] for x, y in points]


def rules(path: Path) -> Dict[str, Any]:
    table = config.read_toml(path, Path.read_bytes)
    return {rule["name"]: rule.get("polygon", rule.get("line")) for rule in table["rules"]}


def test_shapes_drawn_with_the_mouse_stand_in_the_file(browser: Chromium, tmp_path: Path) -> None:
    still, path = tmp_path / "hall.png", tmp_path / "edge.toml"
    cv2.imwrite(str(still), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    page = Page("draw", str(still), "--config", str(path))
    browser.do(open=page.link)
    browser.do(wait=f"{SAID}.endsWith('0 shapes.')")
    browser.do(clicks=[IMAGE, shares(ZONE), 2])  # the double click finishes
    browser.do(wait=f"{SAID}.startsWith('zone is drawn')")
    browser.do(click="input[value=line]")
    browser.do(clicks=[IMAGE, shares(LINE[:1])])
    browser.do(click="#save")
    browser.do(wait=f"{SAID}.startsWith('Not saved: a line needs 2 points')")
    assert not path.exists()
    browser.do(clicks=[IMAGE, shares(LINE[1:])])
    browser.do(click="#save")  # finishes the line, too
    browser.do(wait=f"{SAID}.startsWith('Saved in')")
    drawn = rules(path)
    np.testing.assert_allclose(drawn["zone-1"], ZONE, atol=1)
    np.testing.assert_allclose(drawn["line-1"], LINE, atol=1)
    box = browser.do(eval=f"document.querySelector('{IMAGE}').getBoundingClientRect().width")
    by = 100 * box / WIDTH
    browser.do(drag=[IMAGE, by, -by, *shares(ZONE)[1]])
    browser.do(click="#save")
    browser.do(wait=f"{SAID}.startsWith('Saved in')")
    moved = [ZONE[0], [400, 190], *ZONE[2:]]
    np.testing.assert_allclose(rules(path)["zone-1"], moved, atol=1)
    assert browser.do(axe=None) == []
    stills = [url for url in browser.do(asked=None) if url.endswith("still.jpg")]
    assert len(stills) == 1, "the picture is fetched once"
    page.close()
