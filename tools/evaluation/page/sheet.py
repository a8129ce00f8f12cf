"""The whole page of an evaluation."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from tools.evaluation.figures.accuracy import parts_of
from tools.evaluation.judge import Result
from tools.evaluation.page import pictures, plots, tables
from tools.evaluation.page.style import MEANINGS, STYLE
from tools.evaluation.page.tables import number


def page(result: Result, compared: Optional[Dict[str, Any]], made_by: Sequence[str]) -> str:
    """The HTML text.

    Args:
        result: of the predictions.
        compared: against others, or None.
        made_by: lines that say how the page was made.
    """
    figures = result.figures
    people = figures["people"]
    title = f"{figures['predictions']} on {figures['data']}"
    blocks = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(_sentence(figures))}</p>",
        _tiles(figures),
        _against(compared),
        "<h2>Body parts</h2>",
        tables.parts(figures),
        f'<p class="small">Sigmas: {escape(figures["sigmas"])}.</p>',
        plots.bars({name: row["mean"] for name, row in figures["oks"].items()}),
        tables.nme(figures),
        _video(figures.get("video")),
        "<h2>How far off keypoints are</h2>",
        "<p>Share of the labelled keypoints that are nearer than a distance. What a curve lacks at "
        "the right edge is further away or missing.</p>",
        _distances(result),
        "<h2>Keypoints</h2><p>Share nearer than a tenth of the person's box (PCK .1).</p>",
        _joints(figures),
        _histogram(result),
        _worst(result),
        "<h2>What the figures mean</h2><dl>",
        *(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in MEANINGS.items()),
        "</dl>",
        _notes(figures, made_by),
    ]
    assert people
    return document(title, blocks)


def document(title: str, blocks: Sequence[str]) -> str:
    """A self-contained HTML document."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>{''.join(blocks)}</html>\n"
    )


def _sentence(figures: Dict[str, Any]) -> str:
    people = figures["people"]
    return (
        f"{people['pictures']} pictures with {people['labelled']} labelled people "
        f"({figures['format']}, {figures['keypoints']}): {people['found']} were found, "
        f"{people['missed']} missed, and {people['false']} found people are nobody."
    )


def _tiles(figures: Dict[str, Any]) -> str:
    people, body = figures["people"], figures["oks"].get("body", {})
    precision = figures["precision"].get("body", {})
    tiles = [
        ("mean OKS, missing = 0", number(body.get("mean"))),
        ("AP of the body", number(precision.get("AP"))),
        ("people found", f"{people['found']} of {people['labelled']}"),
        ("false people", str(people["false"])),
        ("PCKh .5", number(figures["pckh"]["value"])),
    ]
    video = figures.get("video")
    if video:
        tiles += [
            ("HOTA", number(video["identities"]["HOTA"])),
            ("switches of ids", str(video["identities"]["switches"])),
        ]
    text = "".join(f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in tiles)
    return f'<div class="tiles">{text}</div>'


def _against(compared: Optional[Dict[str, Any]]) -> str:
    if compared is None:
        return ""
    text = (
        f"A figure is worse if ours is more than {compared['margin']:g} below. The interval is a "
        "bootstrap over the pictures: a difference whose interval has both signs may be chance."
    )
    return f"<h2>Against {escape(compared['against'])}</h2>{tables.comparison(compared)}<p>{text}"


def _video(video: Optional[Dict[str, Any]]) -> str:
    if not video:
        return ""
    ids, motion = video["identities"], video["motion"]
    rows: List[List[Any]] = [
        ["HOTA", ids["HOTA"]],
        ["detection (DetA)", ids["DetA"]],
        ["association (AssA)", ids["AssA"]],
        ["IDF1", ids["IDF1"]],
        ["MOTA", ids["MOTA"]],
        ["switches of ids", ids["switches"]],
        ["jitter, heights", number(motion["jitter_h"], 4)],
        ["poses with a jump", motion["jump_share"]],
        ["lag, frames", number(motion["lag_frames"], 2)],
    ]
    return f"<h2>Video: {video['videos']} clips, {ids['frames']} frames</h2>" + tables.table(
        ["", "value"], rows
    )


def _distances(result: Result) -> str:
    pairs, points = result.pairs, result.truth.points
    size = np.maximum((pairs.boxes[:, 2:] - pairs.boxes[:, :2]).max(1), 1e-9)
    step = pairs.found - pairs.truth
    near = np.nan_to_num(np.hypot(step[..., 0], step[..., 1]), nan=np.inf) / size[:, None]
    x = np.linspace(0, 0.25, 51)
    lines = {}
    for name, which in parts_of(points).items():
        some = np.sort(near[:, which][pairs.counted[:, which]])
        if len(some):
            lines[name] = (x, np.searchsorted(some, x, side="right") / len(some))
    return plots.curves(lines, "distance over the longer side of the box", "share of keypoints")


def _joints(figures: Dict[str, Any]) -> str:
    rows = {name: row["pck"] for name, row in figures["joints"].items()}
    if len(rows) <= 40:
        return plots.bars(rows)
    # Of face and hands a curve each would be a wall of bars: the worst thirty.
    ranked = sorted(rows.items(), key=lambda row: row[1])[:30]
    return "<p>The worst thirty.</p>" + plots.bars(dict(ranked))


def _histogram(result: Result) -> str:
    values = [v for row in result.figures["pictures"] for v in row["oks"] if v is not None]
    counts, edges = np.histogram(values, np.linspace(0, 1, 11))
    rows = {f"{a:.1f} to {b:.1f}": float(n) for a, b, n in zip(edges, edges[1:], counts)}
    most = max([*rows.values(), 1.0])
    return "<h2>People by OKS of the body</h2>" + plots.bars(dict(rows), most, 0)


def _worst(result: Result) -> str:
    found = pictures.worst(result)
    if not found:
        return ""
    figures = "".join(
        f'<figure><img alt="{escape(p.file)}" src="data:image/jpeg;base64,{p.jpeg}">'
        f"<figcaption>{escape(p.file)}: {escape(p.text)}</figcaption></figure>"
        for p in found
    )
    return f"<h2>The worst pictures</h2><p>Labels left, predictions right.</p>{figures}"


def _notes(figures: Dict[str, Any], made_by: Sequence[str]) -> str:
    lines = [*figures["notes"], *made_by]
    if figures["left_out"]:
        lines.insert(0, f"labels that such predictions lack: {', '.join(figures['left_out'])}")
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>How this was made</h2><ul>{items}</ul>"
