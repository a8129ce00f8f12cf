"""One page with the moments that matter to a guard: a picture and a reason for each event."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

import cv2
import numpy as np

from edge.service.annotate import draw
from edge.structures import Poses

PICTURE_PX = 400  # width
MOST_PICTURES = 60
COLOURS = {"alarm": "#c62828", "warning": "#ef8f00", "info": "#5b7ea6"}
_JPEG_QUALITY = 82
_LANE_PX, _CHART_PX = 26, 860

STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff;
  --ink: #1c2733; --quiet: #66717f }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12161b; --card: #1d242c; --ink: #e6ebf0; --quiet: #97a3b0 } }
body { margin: 0 auto; max-width: 1320px; padding: 24px; background: var(--ground);
  color: var(--ink); font: 16px/1.45 system-ui, sans-serif }
h1 { font-size: 26px; margin: 0 } p { margin: 4px 0; color: var(--quiet) }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 16px;
  margin-top: 20px }
article { background: var(--card); border-radius: 10px; overflow: hidden;
  border-top: 5px solid var(--level) }
article img { display: block; width: 100% } article div { padding: 10px 14px 14px }
article b { font-size: 18px } article i { float: right; font-style: normal; color: var(--level) }
svg { width: 100%; margin-top: 16px; background: var(--card); border-radius: 10px }
text { fill: var(--ink); font-size: 12px }
"""


@dataclass
class Told:
    """An event, and the number of its frame in the camera's clip."""

    camera: str
    frame: int
    at_s: float
    event: Mapping[str, Any]


def write(path: Path, messages: Path, clips: Mapping[str, Path], title: str, note: str) -> int:
    """Write the page; returns the number of events on it.

    Args:
        path: of the page.
        messages: the file of a `jsonl:` sink.
        clips: the video of each camera, of which every frame was told.
        title: heading.
        note: what is drawn of it, and what it is not.
    """
    told, lengths_s = _events(messages)
    shown = _most_urgent(told)
    pictures = _pictures(shown, messages, clips)
    cards = "".join(_card(one, pictures.get(id(one), "")) for one in shown)
    counts = ", ".join(f"{n} {level}" for level, n in _counts(told).items())
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1><p>{escape(counts or 'no events')}</p><p>{escape(note)}</p>"
        f"{_chart(told, lengths_s)}<main>{cards}</main></html>\n",
        "utf-8",
    )
    return len(told)


def _messages(path: Path) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """The last part of each topic of a camera, or of its event, and the message."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            parts = one["topic"].split("/")
            if len(parts) > 4 and parts[3] != "scene":
                yield parts[4], one["payload"]


def _events(path: Path) -> Tuple[List[Told], Dict[str, float]]:
    """All events in the order of their time, and the length of each camera's clip in s."""
    first: Dict[str, int] = {}
    last: Dict[str, int] = {}
    times: List[Tuple[str, int]] = []
    events = []
    for what, message in _messages(path):
        if what == "frame":
            camera, t_ns = message["camera"], message["t_mono_ns"]
            first.setdefault(camera, t_ns)
            last[camera] = t_ns
            times.append((camera, t_ns))
        elif what == "event":
            events.append(message)
    numbers = _numbered(times)
    told = [
        Told(
            e["camera"],
            numbers[e["camera"], e["t_mono_ns"]],
            (e["t_mono_ns"] - first[e["camera"]]) * 1e-9,
            e,
        )
        for e in events
        if (e["camera"], e["t_mono_ns"]) in numbers
    ]
    lengths_s = {camera: (last[camera] - first[camera]) * 1e-9 for camera in first}
    return sorted(told, key=lambda one: one.at_s), lengths_s


def _numbered(times: Sequence[Tuple[str, int]]) -> Dict[Tuple[str, int], int]:
    """The number of each frame among those of its camera, by their times."""
    count: Dict[str, int] = {}
    numbers = {}
    for camera, t_ns in sorted(times):
        numbers[camera, t_ns] = count.get(camera, 0)
        count[camera] = numbers[camera, t_ns] + 1
    return numbers


def _counts(told: Sequence[Told]) -> Dict[str, int]:
    levels = [one.event.get("level", "info") for one in told]
    return {level: levels.count(level) for level in COLOURS if level in levels}


def _most_urgent(told: Sequence[Told]) -> List[Told]:
    """At most `MOST_PICTURES` of them, alarms first kept, in the order of their time."""
    order = list(COLOURS)
    ranked = sorted(told, key=lambda one: order.index(one.event.get("level", "info")))
    return sorted(ranked[:MOST_PICTURES], key=lambda one: one.at_s)


def _pictures(shown: Sequence[Told], messages: Path, clips: Mapping[str, Path]) -> Dict[int, str]:
    """The frame of each event with its skeletons, as the text of a JPEG."""
    wanted = {(one.camera, one.event["t_mono_ns"]) for one in shown}
    people = {
        (message["camera"], message["t_mono_ns"]): message
        for what, message in _messages(messages)
        if what == "frame" and (message["camera"], message["t_mono_ns"]) in wanted
    }
    found = {}
    for camera, clip in clips.items():
        video = cv2.VideoCapture(str(clip))
        for one in shown:
            if one.camera == camera:
                video.set(cv2.CAP_PROP_POS_FRAMES, one.frame)
                good, picture = video.read()
                if good:
                    found[id(one)] = _jpeg(picture, people[camera, one.event["t_mono_ns"]])
        video.release()
    return found


def _jpeg(picture: np.ndarray, message: Mapping[str, Any]) -> str:
    scale = PICTURE_PX / picture.shape[1]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    draw(small, poses_of(message), scale)
    good, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return base64.b64encode(data.tobytes()).decode() if good else ""


def poses_of(message: Mapping[str, Any]) -> Poses:
    """The people of a frame's message (JSON)."""
    people = message["people"]
    count = len(people[0]["keypoints"]) // 3 if people else 0
    points = np.array([p["keypoints"] for p in people], np.float32).reshape(len(people), count, 3)
    return Poses(
        points[..., :2] / 10,
        points[..., 2] / 100,
        np.array([p["box"] for p in people], np.float32).reshape(-1, 4) / 10,
        np.array([p["id"] for p in people], np.int64),
        np.array([p["score"] for p in people], np.float32) / 100,
        message["skeleton"],
    )


def _card(one: Told, jpeg: str) -> str:
    level = one.event.get("level", "info")
    action = one.event["data"].get("action", "")
    what = (
        one.event["kind"] if action in ("", one.event["kind"]) else f"{one.event['kind']}: {action}"
    )
    who = f"person {one.event['person']}" if one.event["person"] >= 0 else "everybody"
    picture = f'<img alt="" src="data:image/jpeg;base64,{jpeg}">' if jpeg else ""
    return (
        f'<article style="--level:{COLOURS[level]}">{picture}<div>'
        f"<i>{level}</i><b>{escape(what)}</b>"
        f"<p>{escape(one.camera)}, {one.at_s:.1f} s, {who}</p>"
        f"<p>{escape(one.event.get('why', ''))}</p></div></article>"
    )


def _chart(told: Sequence[Told], lengths_s: Mapping[str, float]) -> str:
    """A lane for each camera, with a mark for each event."""
    longest_s = max(lengths_s.values(), default=0.0) or 1.0
    left, height = 130, _LANE_PX * len(lengths_s) + 8
    rows = []
    for lane, (camera, length_s) in enumerate(sorted(lengths_s.items())):
        middle = 4 + _LANE_PX * (lane + 0.5)
        end = left + (_CHART_PX - left - 20) * length_s / longest_s
        rows.append(f'<text x="12" y="{middle + 4:.0f}">{escape(camera)}</text>')
        rows.append(f'<path d="M{left} {middle:.0f}H{end:.0f}" stroke="#8884" stroke-width="10"/>')
        for one in told:
            if one.camera == camera:
                x = left + (_CHART_PX - left - 20) * one.at_s / longest_s
                colour = COLOURS[one.event.get("level", "info")]
                title = f"<title>{escape(one.event['kind'])}, {one.at_s:.1f} s</title>"
                rows.append(
                    f'<circle cx="{x:.0f}" cy="{middle:.0f}" r="6" fill="{colour}">{title}</circle>'
                )
    return f'<svg viewBox="0 0 {_CHART_PX} {height:.0f}" role="img">{"".join(rows)}</svg>'
