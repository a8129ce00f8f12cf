"""`edge-tools occlusion`: how many keypoints stay right while body parts are covered."""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import zlib
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.settings import config
from tools.evaluation import judge, request
from tools.evaluation.figures import occlusion as counting
from tools.evaluation.figures.pairing import pair
from tools.evaluation.found import networks
from tools.evaluation.found.record import Found
from tools.evaluation.occluders import PARTS, cover
from tools.evaluation.point_sets import names as set_names
from tools.evaluation.truth import Picture, Truth

HELP = "how many keypoints stay right while 0 to 60 % of each body part is covered; JSON and plot"
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
MOST = 40
HEAD = ("part", "covered", "people found", "OKS", "right", "hidden", "hidden right", "clear right")

Curves = Dict[str, List[Dict[str, Any]]]  # body part -> figures of each share


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "labels", type=Path, nargs="+", metavar="LABELS", help="as `edge-tools evaluate` reads"
    )
    parser.add_argument(
        "--shares", type=float, nargs="+", default=list(SHARES), metavar="X", help="covered, 0..1"
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), metavar="P", choices=list(PARTS))
    parser.add_argument(
        "--most", type=int, default=MOST, metavar="N", help=f"take the first N pictures ({MOST})"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sides and the noise")
    parser.add_argument(
        "--frames", type=int, default=networks.FRAMES, help="frames that a picture is shown for"
    )
    parser.add_argument("--config", type=Path, metavar="F.toml", help="configuration to run with")
    parser.add_argument("--detect", default="", metavar="MODEL", help="detector to run; or none")
    parser.add_argument("--pose", default="", metavar="MODEL", help="pose model to run")
    parser.add_argument("--models", type=Path, metavar="DIR", help="models folder")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder of the pictures")
    parser.add_argument(
        "--keypoints", default="", metavar="SET", help=f"labelled: {', '.join(set_names())}"
    )
    parser.add_argument("--sigmas", type=Path, metavar="F.json", help="other OKS sigmas")
    parser.add_argument(
        "--out", type=Path, default=Path("out/occlusion"), metavar="DIR", help="JSON and plot"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Cover, run the networks, and print the curves."""
    if not all(0 <= share < 1 for share in arguments.shares):
        raise ConfigError("--shares: each must be 0 or more, and below 1")
    if arguments.most < 1 or arguments.frames < 1:
        raise ConfigError("--most and --frames: must be 1 or more")
    settings = request.settings_of(arguments)
    sets, names, pictures = [], [], 0
    for path in arguments.labels:
        truth, predictions, of_set = _played(path, settings, arguments)
        sets.append(of_set)
        names.append(truth.name)
        pictures += len({p.key.split("/", 2)[2] for p in truth.pictures})
    curves = _joined(sets)
    result = {
        "data": names,
        "predictions": predictions,
        "pictures": pictures,
        "seed": arguments.seed,
        "right": f"nearer than {counting.RIGHT_SHARE} of the longer side of the person's box",
        "curves": curves,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "occlusion.json").write_text(json.dumps(result, indent=1), "utf-8")
    _plot(curves, f"{', '.join(names)}: {predictions}", arguments.out / "occlusion.png")
    print(json.dumps(result) if arguments.json else f"{_text(curves)}\n{arguments.out}")
    return 0


def _played(
    path: Path, settings: config.Config, arguments: argparse.Namespace
) -> Tuple[Truth, str, Curves]:
    """Cover the pictures of one data set and run the networks; gives counts, not yet shares."""
    truth = request.truth_of(argparse.Namespace(**{**vars(arguments), "truth": path}))
    pictures = [p for p in truth.pictures if p.path and len(p.people)][: arguments.most]
    if not pictures:
        raise ConfigError(f"{path}: has no picture with people")
    with tempfile.TemporaryDirectory() as folder:
        covered, hidden = _covered(truth, pictures, arguments, Path(folder))
        found = networks.run(settings, covered, arguments.frames, arguments.json)
    return covered, found.name, _curves(covered, found, hidden, arguments)


def _joined(sets: Sequence[Curves]) -> Curves:
    """The shares of all data sets together."""
    joined: Curves = {}
    for part, rows in sets[0].items():
        for i, row in enumerate(rows):
            together = counting.shares([one[part][i]["counts"] for one in sets])
            joined.setdefault(part, []).append({"covered": row["covered"], **together})
    return joined


def _prefix(part: str, share: float) -> str:
    """How the names of these pictures begin; without an occluder all parts share one."""
    return f"{part if share else ''}/{share:g}/"


def _covered(
    truth: Truth, pictures: Sequence[Picture], arguments: argparse.Namespace, folder: Path
) -> Tuple[Truth, Dict[str, np.ndarray]]:
    """Every picture with every occluder, written to a folder; and what is hidden [G,K] in each."""
    hidden: Dict[str, np.ndarray] = {}
    made: List[Picture] = []
    for picture in pictures:
        image = networks.read_picture(picture)
        for part in arguments.parts:
            for share in arguments.shares:
                key = _prefix(part, share) + picture.key
                if key in hidden:
                    continue
                seed = zlib.crc32(f"{arguments.seed} {part} {picture.key}".encode())
                shown, hidden[key] = cover(image, picture.people, truth.points, part, share, seed)
                path = folder / f"{len(made)}.png"
                cv2.imwrite(str(path), shown, [cv2.IMWRITE_PNG_COMPRESSION, 1])
                size = (shown.shape[1], shown.shape[0])
                made.append(
                    dataclasses.replace(picture, key=key, path=path, size=size, sequence="")
                )
    return dataclasses.replace(truth, pictures=made, videos={}), hidden


def _curves(
    truth: Truth, found: Found, hidden: Dict[str, np.ndarray], arguments: argparse.Namespace
) -> Curves:
    """The counts of each part and share."""
    curves: Curves = {}
    body = judge.body_of(truth)
    for part in arguments.parts:
        for share in sorted(set(arguments.shares)):
            some = [p for p in truth.pictures if p.key.startswith(_prefix(part, share))]
            pairs = pair(dataclasses.replace(truth, pictures=some), found)
            under = [hidden[some[i].key][row] for i, row in zip(pairs.pictures, pairs.rows)]
            oks = pairs.oks(truth.points.sigmas, body)
            row = counting.counts(pairs, np.array(under), body, oks)
            curves.setdefault(part, []).append({"covered": share, "counts": row})
    return curves


def _text(curves: Curves) -> str:
    """The curves as a table in Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "| --- |" + " ---: |" * (len(HEAD) - 1)]
    for part, rows in curves.items():
        for row in rows:
            cells = [part, f"{row['covered']:.0%}".replace("%", " %")]
            cells += [_number(row[name]) for name in ("people_found", "oks", "right")]
            cells += [str(row["hidden"])]
            cells += [_number(row[name]) for name in ("hidden_right", "clear_right")]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}".replace("0.", ".", 1)


def _plot(curves: Curves, title: str, path: Path) -> None:
    """Share of right keypoints over the covered share, a line a part: all, and the hidden ones."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, name, words in zip(axes, ("right", "hidden_right"), ("all keypoints", "hidden ones")):
        for part, rows in curves.items():
            shown = [(r["covered"], r[name]) for r in rows if r[name] is not None]
            if shown:
                axis.plot(*zip(*shown), marker="o", label=part)
        axis.set_xlabel("covered share of the part")
        axis.set_title(words)
        axis.set_ylim(0, 1)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("right (PCK .1)")
    axes[0].legend()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
