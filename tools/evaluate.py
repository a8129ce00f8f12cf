"""`edge-tools evaluate`: how right poses are, against labels or against other cameras."""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from edge import __version__
from edge.errors import ConfigError
from tools.evaluation import judge, request, rig_run, text_report
from tools.evaluation.figures import rig
from tools.evaluation.found import networks, results_file
from tools.evaluation.page import rig_sheet, sheet
from tools.evaluation.point_sets import names as set_names
from tools.evaluation.read import KINDS

HELP = "how right poses are: against labels, or where calibrated cameras disagree; one HTML page"
WORSE = 1

EXAMPLES = """\
labels: COCO, COCO-WholeBody, Halpe, CrowdPose, OCHuman (JSON), a Labelme folder, CVAT's
        annotations.xml (skeletons); for images or for video
  edge-tools evaluate labels.json                        runs the networks over the pictures
  edge-tools evaluate labels.json --pose movenet-multipose --detect none
  edge-tools evaluate labels.json found.json             a COCO result file
  edge-tools evaluate clip.json recordings/              what [record] of the daemon kept
  edge-tools evaluate labels.json --against old.json     exit code 1 if a figure got worse
no labels, but a calibration of Qualisys beside one video a camera:
  edge-tools evaluate calibration/multiperson --detect yolov4-tiny-tall
results: OUT/page.html (open it in a browser), OUT/figures.json, OUT/found.json (for --against)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("truth", type=Path, metavar="LABELS", help=f"{KINDS}; or a calibration")
    parser.add_argument(
        "found",
        type=Path,
        nargs="?",
        metavar="FOUND",
        help="result file (.json), recording, or configuration (.toml); left out: the networks run",
    )
    _add_run(parser)
    _add_labels(parser)
    parser.add_argument(
        "--against",
        type=Path,
        metavar="OTHER",
        help="compare with other predictions (as FOUND), with bootstrap intervals",
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=0.02,
        metavar="X",
        help="exit with 1 if mean OKS, AP or the share of people found is more than X below "
        "OTHER's (.02)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluate"), metavar="DIR", help="folder for results"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _add_run(parser: argparse.ArgumentParser) -> None:
    """Declare how the networks run."""
    parser.add_argument("--config", type=Path, metavar="F.toml", help="configuration to run with")
    parser.add_argument("--detect", default="", metavar="MODEL", help="detector to run; or none")
    parser.add_argument("--pose", default="", metavar="MODEL", help="pose model to run")
    parser.add_argument("--models", type=Path, metavar="DIR", help="models folder")
    parser.add_argument(
        "--frames",
        type=int,
        default=networks.FRAMES,
        metavar="N",
        help=f"a picture is shown as a still of N frames, the last is scored ({networks.FRAMES})",
    )


def _add_labels(parser: argparse.ArgumentParser) -> None:
    """Declare how labels are read."""
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder of the pictures")
    parser.add_argument(
        "--keypoints",
        default="",
        metavar="SET",
        help=f"the labelled keypoints, if the labels do not name them: {', '.join(set_names())}",
    )
    parser.add_argument(
        "--sigmas", type=Path, metavar="F.json", help="other OKS sigmas: a list, one a keypoint"
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; the exit code is 1 if something is worse than --against."""
    if arguments.frames < 1:
        raise ConfigError(f"--frames {arguments.frames}: must be 1 or more")
    if not 0 <= arguments.margin <= 1:
        raise ConfigError(f"--margin {arguments.margin}: must be 0 to 1")
    if rig_run.is_rig(arguments.truth):
        return _rig(arguments)
    truth = request.truth_of(arguments)
    if arguments.found is None:
        settings = request.settings_of(arguments)
        found = networks.run(settings, truth, arguments.frames, arguments.json)
    else:
        found = request.predictions(arguments.found, truth, arguments, "FOUND")
    result = judge.judge(truth, found)
    compared: Optional[Dict[str, Any]] = None
    if arguments.against:
        other = request.predictions(arguments.against, truth, arguments, "--against")
        compared = judge.compared(result, judge.judge(truth, other), arguments.margin)
    written = _write(arguments.out, result, compared)
    figures = result.figures if compared is None else {**result.figures, "compared": compared}
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(text_report.text(result.figures, compared))
        print(f"page: {written}")
    return WORSE if compared and compared["worse"] else 0


def _write(out: Path, result: judge.Result, compared: Optional[Dict[str, Any]]) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    figures = result.figures if compared is None else {**result.figures, "compared": compared}
    (out / "figures.json").write_text(json.dumps(figures, indent=1), "utf-8")
    rows = results_file.rows_of(result.found, result.truth)
    (out / "found.json").write_text(json.dumps(rows), "utf-8")
    page = out / "page.html"
    page.write_text(sheet.page(result, compared, _made_by()), "utf-8")
    return page


def _rig(arguments: argparse.Namespace) -> int:
    path = rig_run.calibration_of(arguments.truth)
    if arguments.against:
        raise ConfigError("--against: needs labels; a calibration alone has none")
    views = rig.read_rig(path)
    clips = rig_run.clips_of(path, len(views))
    names = [clip.stem for clip in clips]
    if arguments.found is None:
        name, moments = rig_run.played(request.settings_of(arguments), clips, arguments.json)
    else:
        name, moments = rig_run.recorded(arguments.found, names)
    figures = rig_run.figures(views, names, moments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    page = arguments.out / "page.html"
    page.write_text(rig_sheet.page(name, figures, _made_by()), "utf-8")
    (arguments.out / "figures.json").write_text(json.dumps(figures, indent=1), "utf-8")
    print(json.dumps(figures) if arguments.json else rig_run.text(name, figures))
    if not arguments.json:
        print(f"page: {page}")
    return 0


def _made_by() -> List[str]:
    command = " ".join(shlex.quote(word) for word in ["edge-tools", *sys.argv[1:]])
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    return [f"edge-tools {__version__}, {today}: {command}"]
