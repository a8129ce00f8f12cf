"""An evaluation as text for a terminal."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from tools.evaluation.page.tables import number

_COUNTS = ("visible", "person_found", "given", "right")  # of hands and faces in a band of size


def text(figures: Dict[str, Any], compared: Optional[Dict[str, Any]] = None) -> str:
    """All figures, some lines."""
    people = figures["people"]
    lines = [
        f"{figures['predictions']} on {figures['data']} ({figures['format']}, "
        f"{figures['keypoints']}; sigmas: {figures['sigmas']})",
        f"{people['pictures']} pictures, {people['labelled']} people: {people['found']} found, "
        f"{people['missed']} missed, {people['false']} false",
    ]
    head = ["", "OKS", "median", "people", "given", "AP", "AP50", "AR", "PCK.1"]
    rows: List[Sequence[str]] = [head, *(_part(figures, name) for name in figures["oks"])]
    lines += aligned(rows)
    if figures["pckh"]["people"]:
        value = number(figures["pckh"]["value"])
        lines.append(f"PCKh .5 of the body: {value} of {figures['pckh']['people']} people")
    for name, row in figures["nme"].items():
        lines.append(
            f"NME of {name}: median {number(row['median'])}, mean {number(row['mean'])}; "
            f"{row['given']} of {row['labelled']} found"
        )
    lines += _sizes(figures.get("sizes", {}))
    if "video" in figures:
        lines += _video(figures["video"])
    if figures["left_out"]:
        lines.append(f"not counted, such predictions lack it: {', '.join(figures['left_out'])}")
    lines += figures["notes"]
    if compared is not None:
        lines += ["", *_compared(compared)]
    return "\n".join(lines)


def _part(figures: Dict[str, Any], name: str) -> List[str]:
    oks, precision = figures["oks"][name], figures["precision"].get(name, {})
    return [
        name,
        number(oks["mean"]),
        number(oks["median"]),
        str(oks["people"]),
        str(oks["given"]),
        *(number(precision.get(key)) for key in ("AP", "AP50", "AR")),
        number(figures["pck"][name]["0.1"]),
    ]


def _sizes(sizes: Dict[str, List[Dict[str, Any]]]) -> List[str]:
    rows: List[Sequence[str]] = [
        [f"{name} from {row['least_px']} px", *(str(row[key]) for key in _COUNTS)]
        for name, bands in sizes.items()
        for row in bands
    ]
    head = ["", *(name.replace("_", " ") for name in _COUNTS)]
    return aligned([head, *rows]) if rows else []


def _video(video: Dict[str, Any]) -> List[str]:
    ids, motion = video["identities"], video["motion"]
    return [
        f"{video['videos']} videos, {ids['frames']} frames: HOTA {number(ids['HOTA'])}, IDF1 "
        f"{number(ids['IDF1'])}, MOTA {number(ids['MOTA'])}, {ids['switches']} switches",
        f"jitter {number(motion['jitter_h'], 4)} H, poses with a jump "
        f"{number(motion['jump_share'])}, lag {number(motion['lag_frames'], 2)} frames",
    ]


def _compared(compared: Dict[str, Any]) -> List[str]:
    rows: List[Sequence[str]] = [
        ["ours - theirs", "ours", "theirs", "diff", f"{compared['level']} % interval", ""]
    ]
    for name, row in compared["rows"].items():
        span = f"{row['low']:+.3f} to {row['high']:+.3f}"
        mark = "worse" if name in compared["worse"] else ""
        values = (number(row["ours"]), number(row["theirs"]), f"{row['difference']:+.3f}")
        rows.append([name, *values, span, mark])
    verdict = "worse by more than" if compared["worse"] else "nothing is worse by more than"
    return [
        *aligned(rows),
        f"against {compared['against']}: {verdict} {compared['margin']:g}",
    ]


def aligned(rows: Sequence[Sequence[str]]) -> List[str]:
    """Columns as wide as their widest cell; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]
        ).rstrip()
        for row in rows
    ]
