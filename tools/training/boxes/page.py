"""The page before and after of a detector: one self-contained HTML file."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import cv2
import numpy as np

from tools.evaluation.page.drawing import embedded
from tools.evaluation.page.sheet import document
from tools.evaluation.page.tables import number, table
from tools.training.boxes.judging import SURE, Boxes, Judged
from tools.training.boxes.samples import Labelled
from tools.training.data import frames
from tools.training.judging.page import curve_of

_SHOWN = 8  # pictures
_LABEL_BGR, _SURE_BGR, _TILE_PX = (220, 190, 60), (60, 60, 255), 480


def page(
    name: str,
    verdict: Dict[str, Any],
    held_out: Judged,
    reference: Optional[Judged],
    curve: Path,
    notes: Sequence[str],
) -> str:
    """The HTML text.

    Args:
        name: of the model.
        verdict: of judging.verdict.
        held_out: on the held-out recordings.
        reference: on the reference pictures.
        curve: PNG of the run.
        notes: how it was made.
    """
    refused = verdict["refused"]
    head = f"refused: {refused}" if refused else "accepted"
    blocks = [
        f"<h1>{escape(name)}: before and after</h1>",
        f'<p class="{"worse" if refused else ""}">{escape(head)}</p>',
        "<h2>Held-out recordings</h2><p>No picture of them was seen in training. A person is found "
        f"if a box of score {SURE} or more covers the label by half (IoU).</p>",
        _totals(held_out),
        "<h2>Reference</h2>",
        "<p>None was given, so what was lost is not known.</p>"
        if reference is None
        else f"<p>{escape(_names(reference))}</p>{_totals(reference)}",
        curve_of(curve),
        _pictures(held_out),
        "<h2>How this was made</h2><ul>",
        *(f"<li>{escape(note)}</li>" for note in notes),
        "</ul>",
    ]
    return document(f"{name}: before and after", blocks)


def _names(judged: Judged) -> str:
    return ", ".join(
        dict.fromkeys(f"{s.truth.name} ({s.truth.kind})" for s, _, _ in judged.pictures)
    )


def _totals(judged: Judged) -> str:
    names = {
        "ap": "AP",
        "ap50": "AP50",
        "people": "people",
        "right": "people found",
        "recall": "recall",
        "false": "false boxes",
        "false_per_picture": "false boxes a picture",
    }
    before = judged.before or {}
    rows = [[text, _text(before.get(k)), _text(judged.after[k])] for k, text in names.items()]
    return table(["", "before", "after"], rows)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, int) else number(value)


def _pictures(judged: Judged) -> str:
    """Pictures where the number of sure boxes is furthest from the number of labels."""
    order = sorted(
        judged.pictures, key=lambda row: -abs(len(row[0].boxes) - int((row[2][1] >= SURE).sum()))
    )
    shown: List[str] = []
    for sample, before, after in order[:_SHOWN]:
        for picture, image in frames.each(sample.truth, [sample.picture]):
            sides = [_drawn(image, sample, None), _drawn(image, sample, before)]
            jpeg = embedded([*sides, _drawn(image, sample, after)])
            text = f"{picture.file}: labels, before, after"
            shown.append(
                f'<figure><img alt="{escape(text)}" src="data:image/jpeg;base64,{jpeg}">'
                f"<figcaption>{escape(text)}</figcaption></figure>"
            )
    return "<h2>What is furthest from the labels</h2>" + "".join(shown) if shown else ""


def _drawn(image: np.ndarray, sample: Labelled, boxes: Optional[Boxes]) -> np.ndarray:
    """A small copy with the labels, or with the sure boxes."""
    scale = min(1.0, _TILE_PX / max(image.shape[:2]))
    small = np.ascontiguousarray(cv2.resize(image, None, fx=scale, fy=scale))
    rows = sample.boxes if boxes is None else boxes[0][boxes[1] >= SURE]
    colour = _LABEL_BGR if boxes is None else _SURE_BGR
    for x1, y1, x2, y2 in np.round(rows * scale).astype(int).tolist():
        cv2.rectangle(small, (x1, y1), (x2, y2), colour, 2)
    return small
