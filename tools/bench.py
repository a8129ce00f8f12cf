"""`edge-tools bench`: compare our speed with peers and with the bare networks, in one run."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import pkgutil
import platform
from pathlib import Path
from typing import Any, Dict, List

from edge.errors import ConfigError
from tools import benches, places
from tools.benches import Row
from tools.progress import track

HELP = "measure speed, smoothing, tracking and falls beside peers; writes JSON and a plot"
PARTS = ("memory", "peer", "peers")  # modules of tools/benches that are not benches


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("names", nargs="*", help="benches to run; default: all")
    parser.add_argument("--list", action="store_true", help="print their names")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/bench"),
        help="folder for the results (default: %(default)s)",
    )
    parser.add_argument("--models", type=Path, default=places.models(), help="models folder")
    parser.add_argument("--sets", type=Path, default=places.sets(), help="media folder")
    parser.add_argument(
        "--rounds", type=int, default=11, help="rounds of each side (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the benches in order. The exit code is 1 if a goal was missed."""
    there = names()
    if arguments.list:
        print("\n".join(there))
        return 0
    chosen = arguments.names or there
    for name in chosen:
        if name not in there:
            raise ConfigError(f"no bench called {name!r}; known: {', '.join(there)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: List[Row] = []
    for name in track(chosen, "benches", quiet=arguments.json):
        bench = importlib.import_module(f"tools.benches.{name}")
        rows += bench.run(arguments.models, arguments.sets, arguments.rounds)
    result = {"machine": machine(), "rows": [_as_dict(r) for r in rows]}
    (arguments.out / "bench.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    plot(rows, arguments.out / "bench.png")
    plot_scaling(rows, arguments.out / "scaling.png")
    print(json.dumps(result, indent=1) if arguments.json else table(rows))
    return 1 if any(r.met is False for r in rows) else 0


def names() -> List[str]:
    """The names of all benches."""
    found = (m.name for m in pkgutil.iter_modules(benches.__path__))
    return sorted(n for n in found if n not in PARTS and not n.startswith("_"))


def machine() -> Dict[str, Any]:
    """The machine and the versions of the libraries."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def _as_dict(one: Row) -> Dict[str, Any]:
    return {**dataclasses.asdict(one), "met": one.met}


def table(rows: List[Row]) -> str:
    """The rows as lines of text: median, spread, goal."""
    width = max(len(r.name) for r in rows)
    return "\n".join(_line(r, width) for r in rows)


def _line(one: Row, width: int) -> str:
    goal = "" if one.goal is None else f"   goal {one.goal:g}: {'met' if one.met else 'MISSED'}"
    spread = f"{one.low:.3g} to {one.high:.3g}"
    return f"{one.name:<{width}}  {one.value:8.3g} {one.unit:<4} ({spread}){goal}"


def plot_scaling(rows: List[Row], path: Path) -> None:
    """Plot time over the number of people, of the bench `records`; nothing without its rows."""
    crowds = [r for r in rows if r.name.startswith("records: ") and "people" in r.detail]
    if not crowds:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    people, times = [r.detail["people"] for r in crowds], [r.value for r in crowds]
    spread = [[r.value - r.low for r in crowds], [r.high - r.value for r in crowds]]
    axes.errorbar(people, times, yerr=spread, fmt="o-")
    axes.set(xscale="log", yscale="log", xlabel="people", ylabel=f"{crowds[0].unit} a frame")
    axes.set_title("track and smooth, 133 keypoints each, one core")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def plot(rows: List[Row], path: Path) -> None:
    """Plot the ratios as bars with their spread and goals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [r for r in rows if r.unit == "x"]
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.5 * max(len(shown), 1)))
    for i, one in enumerate(shown):
        spread = [[one.value - one.low], [one.high - one.value]]
        colour = "tab:red" if one.met is False else "tab:green"
        axes.barh(i, one.value, xerr=spread, color=colour, height=0.6)
        if one.goal is not None:
            axes.plot([one.goal] * 2, [i - 0.4, i + 0.4], color="black")
    axes.set_yticks(range(len(shown)), [r.name for r in shown])
    axes.set_xlabel("ratio; black line = goal, whisker = 10th to 90th percentile of the rounds")
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
