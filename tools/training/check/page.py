"""The page of `--check`: counts, recordings, and pictures of each kind of mistake."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, List, Sequence

import numpy as np

from edge.errors import EdgeError
from tools.evaluation.page import plots
from tools.evaluation.page.drawing import drawn, embedded
from tools.evaluation.page.sheet import document
from tools.evaluation.page.tables import table
from tools.training.check.faults import KINDS, Fault
from tools.training.data import frames

_SHOWN, _LISTED = 6, 40  # pictures and lines of each kind


def page(figures: Dict[str, Any], found: Sequence[Fault]) -> str:
    """The HTML text.

    Args:
        figures: JSON values of the command.
        found: the mistakes.
    """
    rows = [
        [d["data"], d["part"], d["format"], d["keypoints"], d["pictures"], d["people"]]
        for d in figures["data"]
    ]
    head = ["data", "part", "format", "keypoints", "pictures", "people"]
    blocks = [
        "<h1>Labels, checked</h1>",
        f"<p>{len(found)} mistakes. {figures['people_compared']} people were compared with the "
        "model's poses.</p>",
        table(head, rows),
        table(["mistake", "count"], list(figures["counts"].items())) if found else "",
    ]
    for kind, meaning in KINDS.items():
        some = [f for f in found if f.kind == kind]
        if some:
            blocks += [f"<h2>{kind}: {len(some)}</h2><p>{escape(meaning)}</p>", _pictures(some)]
            blocks.append(_list(some))
    for row in figures["data"]:
        blocks.append(f"<h2>{escape(row['data'])}</h2>")
        blocks.append(table(["recording", "people"], list(row["recordings"].items())))
        blocks.append("<p>Share of the people of whom a point is labelled.</p>")
        blocks.append(plots.bars(row["labelled"]))
        blocks += [f"<p>{escape(note)}</p>" for note in row["notes"]]
    return document("Labels, checked", blocks)


def _list(found: Sequence[Fault]) -> str:
    lines = [f"{f.where}: {f.text}" for f in found[:_LISTED]]
    if len(found) > _LISTED:
        lines.append(f"and {len(found) - _LISTED} more, see check.json")
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _pictures(found: Sequence[Fault]) -> str:
    texts: List[str] = []
    for fault in found[:_SHOWN]:
        jpeg = _jpeg(fault)
        if jpeg:
            caption = escape(f"{fault.where}: {fault.text}")
            texts.append(
                f'<figure><img alt="{caption}" src="data:image/jpeg;base64,{jpeg}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
    return "".join(texts)


def _jpeg(fault: Fault) -> str:
    """The picture with everybody's labels, and beside it the person alone, if there is one."""
    try:
        _, image = next(iter(frames.each(fault.truth, [fault.picture])))
    except (EdgeError, StopIteration):  # the picture may be what is wrong
        return ""
    people, points = fault.picture.people, fault.truth.points
    shown = [drawn(image, people.keypoints, people.labelled, points, 0)]
    if fault.person >= 0:
        box = people.boxes[fault.person]
        long = max(float((box[2:] - box[:2]).max()), 8.0)
        low = np.clip((box[:2] + box[2:]) / 2 - long * 0.8, 0, None).astype(int)
        part = image[low[1] : low[1] + int(1.6 * long), low[0] : low[0] + int(1.6 * long)]
        if part.size:
            row = slice(fault.person, fault.person + 1)
            near = drawn(part, people.keypoints[row] - low, people.labelled[row], points, 1)
            shown.append(_same_height(near, shown[0].shape[0]))
    return embedded(shown)


def _same_height(image: np.ndarray, height: int) -> np.ndarray:
    """Cut off or filled up with black to a height."""
    out = np.zeros((height, image.shape[1], 3), np.uint8)
    some = min(height, len(image))
    out[:some] = image[:some]
    return out
