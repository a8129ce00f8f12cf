"""The page before and after: one self-contained HTML file."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from tools.evaluation.figures.pairing import pair
from tools.evaluation.page.drawing import drawn, embedded
from tools.evaluation.page.sheet import document
from tools.evaluation.page.tables import number, table
from tools.training.data import frames
from tools.training.judging.figures import change
from tools.training.judging.verdict import Judged

_SHOWN = 8  # pictures


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
        verdict: of verdict.verdict.
        held_out: on the held-out recordings.
        reference: on the reference clips.
        curve: PNG of the run.
        notes: how it was made.
    """
    refused = verdict["refused"]
    head = f"refused: {refused}" if refused else "accepted"
    blocks = [
        f"<h1>{escape(name)}: before and after</h1>",
        f'<p class="{"worse" if refused else ""}">{escape(head)}</p>',
        _tiles(verdict, held_out),
        "<h2>Held-out recordings</h2><p>No frame of them was seen in training. Error: mean "
        "distance of labelled points over the longer side of the box; a missing point counts .5. "
        "px and degrees: of the points and angles that were found.</p>",
        _totals(held_out),
        "<h2>Points, px</h2>",
        _joints(held_out, "px_of", 2),
        "<h2>Joint angles in the picture, degrees</h2>",
        _joints(held_out, "degrees_of", 2),
        _reference(reference),
        curve_of(curve),
        _pictures(held_out),
        "<h2>How this was made</h2><ul>",
        *(f"<li>{escape(note)}</li>" for note in notes),
        "</ul>",
    ]
    return document(f"{name}: before and after", blocks)


def _tiles(verdict: Dict[str, Any], held_out: Judged) -> str:
    gained = verdict["error_change"]
    tiles = [
        ("error, held out", "-" if gained is None else f"{gained:+.1%}"),
        ("OKS lost, reference", f"{verdict['oks_lost']:.1%}"),
        ("people held out", str(held_out.after["people"])),
    ]
    text = "".join(f"<div><b>{escape(v)}</b>{escape(k)}</div>" for k, v in tiles)
    return f'<div class="tiles">{text}</div>'


def _totals(judged: Judged) -> str:
    names = {
        "oks": "OKS, body and feet",
        "error": "error, share of the box",
        "px": "px",
        "degrees": "degrees",
        "found": "people found",
    }
    before = judged.before or {}
    rows = []
    for key, name in names.items():
        was, now = before.get(key), judged.after[key]
        rows.append([name, _text(was), _text(now), _percent(change(was, now))])
    return table(["", "before", "after", "change"], rows)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, int) else number(value)


def _percent(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:+.1%}"


def _joints(judged: Judged, key: str, digits: int) -> str:
    before = (judged.before or {}).get(key, {})
    rows = [
        [
            name,
            number(before.get(name), digits),
            number(now, digits),
            _percent(change(before.get(name), now)),
        ]
        for name, now in judged.after[key].items()
        if now is not None
    ]
    return table(["", "before", "after", "change"], rows)


def _reference(judged: Optional[Judged]) -> str:
    if judged is None:
        return "<h2>Reference clips</h2><p>None were given, so what was lost is not known.</p>"
    sets = ", ".join(f"{t.name} ({t.kind})" for t, _, _ in judged.parts)
    return f"<h2>Reference clips</h2><p>{escape(sets)}</p>{_totals(judged)}"


def curve_of(path: Path) -> str:
    """The picture of the run as HTML; empty if there is none."""
    if not path.is_file():
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<h2>Training</h2><img alt="curve" src="data:image/png;base64,{data}">'


def _pictures(judged: Judged) -> str:
    """Pictures whose people changed most: labels, before, after."""
    shown: List[str] = []
    for truth, before, after in judged.parts:
        if before is None:
            continue
        ours, theirs = pair(truth, after), pair(truth, before)
        points, all_ = truth.points, truth.points.all
        step = np.nan_to_num(ours.oks(points.sigmas, all_) - theirs.oks(points.sigmas, all_))
        order = np.argsort(-np.abs(step), kind="stable")
        places = list(dict.fromkeys(ours.pictures[order].tolist()))[: _SHOWN - len(shown)]
        wanted = [truth.pictures[p] for p in places]
        for picture, image in frames.each(truth, wanted):
            jpeg = embedded(
                [
                    drawn(image, picture.people.keypoints, picture.people.labelled, points, 0),
                    drawn(
                        image,
                        before.of(picture.key).keypoints,
                        before.of(picture.key).scores > 0,
                        points,
                        1,
                    ),
                    drawn(
                        image,
                        after.of(picture.key).keypoints,
                        after.of(picture.key).scores > 0,
                        points,
                        2,
                    ),
                ]
            )
            text = f"{picture.file}: labels, before, after"
            shown.append(
                f'<figure><img alt="{escape(text)}" src="data:image/jpeg;base64,{jpeg}">'
                f"<figcaption>{escape(text)}</figcaption></figure>"
            )
    return "<h2>What changed most</h2>" + "".join(shown) if shown else ""
