"""The part of the command line that says where labels are, and `--check` itself."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError
from tools.evaluation.truth import Truth
from tools.training.check import leaks, page, pictures, poses
from tools.training.check.faults import KINDS, MILD, Fault
from tools.training.data import samples
from tools.training.data.sources import open_all, recordings_of

FOUND = 1
_FEW = 5
_DOUBTFUL_SIDES = 0.1  # of the people compared: rendered wards of right labels have .05


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare labels, recordings and `--check`."""
    parser.add_argument(
        "--check", action="store_true", help="only look for mistakes in the labels; OUT/check.html"
    )
    parser.add_argument(
        "--test", nargs="+", type=Path, default=[], metavar="LABELS", help="held-out recordings"
    )
    parser.add_argument(
        "--hold-out", nargs="+", default=[], metavar="NAME", help="recordings of LABELS to hold out"
    )
    parser.add_argument(
        "--recording",
        metavar="REGEX",
        help="the recording in a picture's file name (default: folder, or name without number)",
    )
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder of the pictures")
    parser.add_argument("--keypoints", default="", metavar="SET", help="the labelled keypoints")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the run (out/train/NAME)"
    )


def check(arguments: argparse.Namespace) -> int:
    """Look for mistakes in labels; the exit code is 1 if a serious one was found."""
    pattern = _pattern(arguments.recording)
    truths = open_all(arguments.labels, arguments.pictures, arguments.keypoints)
    tests = open_all(arguments.test, None, arguments.keypoints)
    model: Optional[Path] = arguments.models / arguments.model
    if arguments.model == "none":
        model = None
    found: List[Fault] = []
    looked_at, seen = 0, pictures.Seen()
    for truth in [*truths, *tests]:
        found += pictures.faults(truth, seen, arguments.json)
        if model is not None:
            more, people = poses.faults(truth, model, arguments.json)
            found, looked_at = found + more, looked_at + people
    found += _of_recordings(truths, tests, pattern)
    figures = _figures(truths, tests, found, looked_at, pattern)
    out = arguments.out or Path("out/train") / (arguments.name or "check")
    out.mkdir(parents=True, exist_ok=True)
    text = page.page(figures, found)
    write_whole(out / "check.html", text.encode(), READABLE)
    write_whole(out / "check.json", json.dumps(figures, indent=1).encode(), READABLE)
    print(json.dumps(figures) if arguments.json else _text(figures, found, out))
    return FOUND if _is_serious(found, looked_at) else 0


def _is_serious(found: List[Fault], looked_at: int) -> bool:
    """Whether it would be wrong to train; a few doubtful sides may be the model's mistakes."""
    sides = sum(f.kind == "sides" for f in found)
    others = any(f.kind not in (*MILD, "sides") for f in found)
    return others or sides > _DOUBTFUL_SIDES * looked_at


def _pattern(text: Optional[str]) -> Any:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ConfigError(f"--recording {text}: is no regular expression: {error}") from None


def _of_recordings(truths: List[Truth], tests: List[Truth], pattern: Any) -> List[Fault]:
    """Leaks, and recordings that hardly count."""
    found: List[Fault] = []
    train = [s for t in truths for s in samples.gather([t], t.points, pattern)]
    test = [s for t in tests for s in samples.gather([t], t.points, pattern)]
    if test:
        first = tests[0]
        texts = leaks.shared(train, test)
        found += [Fault("leak", text, first, first.pictures[0]) for text in texts]
    counts: Dict[str, int] = {}
    where = {}
    for sample in train:
        counts[sample.recording] = counts.get(sample.recording, 0) + 1
        where[sample.recording] = sample
    for name, count in counts.items():
        if count < _FEW:
            one = where[name]
            text = f"{name} has {count}"
            found.append(Fault("few", text, one.truth, one.picture))
    return found


def _figures(
    truths: List[Truth], tests: List[Truth], found: List[Fault], looked_at: int, pattern: Any
) -> Dict[str, Any]:
    rows = []
    for part, group in (("train", truths), ("test", tests)):
        for truth in group:
            people: Dict[str, int] = {}
            for picture, name in zip(truth.pictures, recordings_of(truth, pattern)):
                people[name] = people.get(name, 0) + int((~picture.people.crowd).sum())
            rows.append(
                {
                    "data": truth.name,
                    "format": truth.kind,
                    "keypoints": truth.points.name,
                    "part": part,
                    "pictures": len(truth.pictures),
                    "people": truth.people,
                    "recordings": {n: c for n, c in people.items() if c},
                    "labelled": _labelled(truth),
                    "notes": truth.notes,
                }
            )
    counts = {kind: sum(f.kind == kind for f in found) for kind in KINDS}
    return {
        "data": rows,
        "people_compared": looked_at,
        "counts": {kind: count for kind, count in counts.items() if count},
        "faults": [{"kind": f.kind, "where": f.where, "text": f.text} for f in found],
    }


def _labelled(truth: Truth) -> Dict[str, float]:
    """Share of the people of whom each point is labelled; body and feet, or all of a small set."""
    total, count = np.zeros(len(truth.points)), 0
    for picture in truth.pictures:
        rows = picture.people.labelled[~picture.people.crowd]
        total, count = total + rows.sum(0), count + len(rows)
    shares = [float(v) for v in (total / max(count, 1)).tolist()]
    parts = truth.points.parts
    some = [*parts["body"].tolist(), *parts["feet"].tolist()] or range(len(shares))
    return {truth.points.names[i]: round(shares[i], 3) for i in some}


def _text(figures: Dict[str, Any], found: List[Fault], out: Path) -> str:
    lines = []
    for row in figures["data"]:
        lines.append(
            f"{row['data']} ({row['format']}, {row['keypoints']}, {row['part']}): {row['people']} "
            f"people in {row['pictures']} pictures of {len(row['recordings'])} recordings"
        )
    for kind, count in figures["counts"].items():
        first = next(f for f in found if f.kind == kind)
        lines.append(f"{kind}: {count}, first {first.where}: {first.text}")
    if not found:
        lines.append("nothing is wrong")
    return "\n".join([*lines, f"page: {out / 'check.html'}"])
