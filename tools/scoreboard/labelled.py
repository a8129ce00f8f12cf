"""Labelled data through the networks: pictures and rendered people."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

from edge.settings import config
from tools.evaluation import judge, request
from tools.evaluation.found import networks
from tools.evaluation.page import sheet
from tools.evaluation.page.tables import number
from tools.evaluation.read import open_truth
from tools.evaluation.truth import Truth
from tools.fetch.by_name import ensure_model
from tools.scoreboard.table import Table


class Setup(NamedTuple):
    """A detector and a pose model."""

    detect: str
    pose: str


SETUPS = (
    Setup(config.Detect().model, config.Pose().model),
    Setup("hybrid", "blazepose-heavy"),
    Setup("none", "movenet-multipose"),
    Setup("yolov4-tiny", "blazepose"),
)
MOST = 80
HEAD = (
    "data, models",
    "people",
    "found",
    "false",
    "OKS body",
    "AP",
    "AR",
    "PCK .1",
    "feet",
    "face",
    "hands",
)
NOTE = (
    "Each picture is shown as a still of 12 frames, the last is scored; a clip is played. OKS is "
    "the mean of all labelled people, 0 for those who were not found; feet, face and hands alike. "
    "Of the six points of the feet, blazepose has no small toes; they count 0, so that .667 is the "
    f"most. Of a set the first {MOST} pictures or frames are taken."
)


def settings_of(setup: Setup, models: Optional[Path]) -> config.Config:
    """The daemon's defaults with these models, fetched if they are not there."""
    folder = models
    for name in setup:
        if name != "none":
            folder = ensure_model(name, models).parent
    return request.configured(config.Config(), *setup, str(folder))


def table(
    title: str,
    paths: Sequence[Path],
    models: Optional[Path],
    out: Path,
    setups: Sequence[Setup] = SETUPS,
) -> Table:
    """A row for each data set and setup; pages and figures go to `out`."""
    rows: List[Tuple[str, ...]] = []
    for path in paths:
        truth = limited(open_truth(path))
        for setup in setups:
            found = networks.run(settings_of(setup, models), truth, networks.FRAMES, False)
            result = judge.judge(truth, found)
            name = f"{path.stem}, {found.name}"
            rows.append(_row(name, result.figures))
            folder = out / f"{path.stem}-{'-'.join(setup)}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "figures.json").write_text(json.dumps(result.figures, indent=1), "utf-8")
            page = sheet.page(result, None, ["edge-tools accuracy"])
            (folder / "page.html").write_text(page, "utf-8")
    return Table(title, NOTE, HEAD, list(rows))


def _row(name: str, figures: judge.Figures) -> Tuple[str, ...]:
    people, oks = figures["people"], figures["oks"]
    precision = figures["precision"].get("body", {})
    return (
        name,
        str(people["labelled"]),
        str(people["found"]),
        str(people["false"]),
        number(judge.mean(figures)),
        number(precision.get("AP")),
        number(precision.get("AR")),
        number(figures["pck"].get("body", {}).get("0.1")),
        *(number(oks.get(part, {}).get("mean")) for part in ("feet", "face", "hands")),
    )


def limited(truth: Truth, most: int = MOST) -> Truth:
    """The first pictures of a data set; of videos as many frames in all, from the first on."""
    return dataclasses.replace(truth, pictures=truth.pictures[:most])
