"""The report of a fleet as one self-contained page."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, List, Mapping, Sequence

from tools.landing.report import Report, table

MOST_ROWS = 200  # of a table on the page
OPEN_ROWS = 15  # a longer table is folded
WORDS = {"median_stay_s": "median stay, s", "long_stay_s": "9 of 10 stay less than, s"}
STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1c2733;
  --quiet: #66717f; --mark: #2f6fb3; --alarm: #c62828 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12161b; --card: #1d242c; --ink: #e6ebf0; --quiet: #97a3b0; --mark: #6aa5e0;
    --alarm: #ef6f6c } }
body { margin: 0 auto; max-width: 1180px; padding: 28px; background: var(--ground);
  color: var(--ink); font: 16px/1.45 system-ui, sans-serif }
h1 { font-size: 28px; margin: 0 } h2 { font-size: 19px; margin: 0 0 10px }
p { color: var(--quiet); margin: 4px 0 18px }
section { background: var(--card); border-radius: 12px; padding: 18px 20px; margin: 16px 0;
  overflow-x: auto }
dl { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 }
dl div { background: var(--card); border-radius: 12px; padding: 12px 18px; min-width: 96px }
dt { color: var(--quiet); font-size: 13px } dd { margin: 0; font-size: 26px; font-weight: 600 }
table { border-collapse: collapse; width: 100%; font-size: 14px;
  font-variant-numeric: tabular-nums }
th { text-align: left; color: var(--quiet); font-weight: 500 }
th, td { padding: 5px 12px 5px 0; border-bottom: 1px solid #8882; white-space: nowrap }
td.wide { white-space: normal }
summary { cursor: pointer; color: var(--mark) }
svg { width: 100%; display: block } text { fill: var(--quiet); font-size: 11px }
figure { display: inline-block; width: 260px; margin: 0 16px 12px 0 }
figcaption { font-size: 13px; color: var(--quiet) }
"""


def html(report: Report, title: str, note: str) -> str:
    """The page."""
    sections = [
        _tiles(report.overview),
        _section("Days", _bars([(r["day"], r["events"], r["alarms"]) for r in report.days])),
        _section("Hours of the day", _hours(report.hours)),
        _section("Where people stood", _heat(report.heat)) if report.heat else "",
        _section("Latest alarms", _table(report.alarms)) if report.alarms else "",
        _section("Places", _table(report.places)),
        _section("Zones", _table(report.zones)) if report.zones else "",
        _section("Kinds of events", _table(report.kinds)),
        _section("Boxes that were silent", _table(report.silences)) if report.silences else "",
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1><p>{escape(note)}</p>{''.join(sections)}</html>\n"
    )


def _tiles(overview: Mapping[str, Any]) -> str:
    shown = ("events", "alarms", "warnings", "falls", "devices", "cameras", "late")
    tiles = "".join(f"<div><dt>{n}</dt><dd>{overview[n]:,}</dd></div>" for n in shown)
    return f"<dl>{tiles}</dl>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(rows: List[Dict[str, Any]]) -> str:
    head, body = table(rows[:MOST_ROWS])
    heads = "".join(f"<th>{escape(WORDS.get(n, n.replace('_', ' ')))}</th>" for n in head)
    lines = "".join(f"<tr>{''.join(_cell(v) for v in row)}</tr>" for row in body)
    rest = len(rows) - MOST_ROWS
    more = f"<p>{rest} more rows are in the JSON</p>" if rest > 0 else ""
    whole = f"<table><tr>{heads}</tr>{lines}</table>{more}"
    if len(rows) <= OPEN_ROWS:
        return whole
    return f"<details><summary>{len(rows)} rows</summary>{whole}</details>"


def _cell(value: Any) -> str:
    text = "-" if value is None else f"{value:,}" if isinstance(value, (int, float)) else str(value)
    return f'<td class="wide">{escape(text)}</td>' if len(text) > 40 else f"<td>{escape(text)}</td>"


def _bars(bars: Sequence[Any]) -> str:
    """Events of each day as bars, the alarms in them."""
    most = max((events for _, events, _ in bars), default=1) or 1
    wide = 1100 / max(len(bars), 14)
    drawn = []
    for i, (day, events, alarms) in enumerate(bars):
        x, tall, low = 20 + i * wide, 120 * events / most, 120 * alarms / most
        tip = f"<title>{escape(day)}: {events:,} events, {alarms:,} alarms</title>"
        drawn.append(_rect(x, 130 - tall, wide * 0.8, tall, "var(--mark)", tip))
        drawn.append(_rect(x, 130 - low, wide * 0.8, low, "var(--alarm)", tip))
        if len(bars) <= 14 or i % (len(bars) // 7) == 0:
            drawn.append(f'<text x="{x:.1f}" y="148">{escape(day[5:])}</text>')
    return f'<svg viewBox="0 0 1140 155" role="img">{"".join(drawn)}</svg>'


def _hours(rows: Sequence[Mapping[str, Any]]) -> str:
    """A lane of 24 cells for each box: darker with more events."""
    devices = sorted({row["device"] for row in rows})[:60]
    most = max((row["events"] for row in rows), default=1) or 1
    found = {(row["device"], row["hour"]): row["events"] for row in rows}
    drawn = [f'<text x="{150 + 40 * h}" y="12">{h:02d}</text>' for h in range(0, 24, 2)]
    for lane, device in enumerate(devices):
        y = 20 + 18 * lane
        drawn.append(f'<text x="4" y="{y + 12}">{escape(device)}</text>')
        for hour in range(24):
            events = found.get((device, hour), 0)
            tip = f"<title>{escape(device)}, {hour:02d} h: {events:,} events</title>"
            shade = 0.04 + 0.96 * events / most
            drawn.append(
                f'<g opacity="{shade:.2f}">'
                f"{_rect(146 + 40 * hour, y, 38, 16, 'var(--mark)', tip)}</g>"
            )
    return f'<svg viewBox="0 0 1120 {24 + 18 * len(devices)}" role="img">{"".join(drawn)}</svg>'


def _heat(heat: Mapping[str, List[List[float]]]) -> str:
    figures = []
    for name, grid in heat.items():
        most = max(max(row) for row in grid) or 1.0
        cells = "".join(
            f'<rect x="{x}" y="{y}" width="1" height="1" fill="#e65100" '
            f'opacity="{(seconds / most) ** 0.5:.2f}"/>'
            for y, row in enumerate(grid)
            for x, seconds in enumerate(row)
            if seconds
        )
        figures.append(
            f'<figure><svg viewBox="0 0 {len(grid[0])} {len(grid)}" role="img">'
            f'<rect width="100%" height="100%" fill="#8882"/>{cells}</svg>'
            f"<figcaption>{escape(name)}: at most {most:,.0f} s in a cell</figcaption></figure>"
        )
    return "".join(figures)


def _rect(x: float, y: float, wide: float, tall: float, fill: str, tip: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="2" '
        f'fill="{fill}">{tip}</rect>'
    )
