"""A site's training command for the app beside it: `edge-tools train`, head only.

    train='/srv/edge-pose/.venv/bin/python /srv/app/site_train.py --labels /srv/labels --steps 200'

It runs on the Python of this project (make setup, and torch), not on Flower's. Pictures and labels
stay where they are; only the .npy file with the site's move goes on.
"""

import argparse
import contextlib
import json
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np
from onnx import numpy_helper

from edge.recipe import load_recipe
from tools import places
from tools.__main__ import main as edge_tools
from tools.federated import model, weights
from tools.training.networks.onnx_graph import OnnxGraph

NETWORK = "body"


def head_of(file):
    """Names of the weights that `train --only-head` moves, in the order of the file."""
    graph = OnnxGraph(file)
    graph.freeze_shared()
    learned = set(graph.learned())
    return [name for name in weights.shapes_of(graph.model) if name in learned]


def flat(network, names):
    """These weights of a network as one vector."""
    found = {w.name: numpy_helper.to_array(w) for w in weights.trained(network)}
    return np.concatenate([found[name].ravel() for name in names])


def main():
    """Train from the step of all sites; write how far this site moves from there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", required=True, nargs="+", help="as of `edge-tools train`")
    parser.add_argument("--base", default="blazepose", help="model that all sites began with")
    parser.add_argument("--models", type=Path, default=places.models())
    parser.add_argument("--steps", default="200")
    parser.add_argument("--more", default="", help="further words for `edge-tools train`")
    parser.add_argument("step", type=Path, help="of all sites so far; read")
    parser.add_argument("moved", type=Path, help="of this site; written")
    known = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models, out = Path(folder, "engines"), Path(folder, "run")
        base = known.models / known.base
        file = weights.file_of(load_recipe(base), NETWORK)
        network, _ = weights.load(base / file)
        names = head_of(base / file)
        weights.add(network, names, np.load(known.step, allow_pickle=False))
        model.write(base, models / "now", NETWORK, network.SerializeToString())
        before = flat(network, names)
        words = ["train", *known.labels, "--model", "now", "--models", str(models), "--only-head"]
        words += ["--name", "own", "--out", str(out), "--steps", known.steps, "--json"]
        words += shlex.split(known.more)
        with contextlib.redirect_stdout(sys.stderr):
            code = edge_tools(words)
        if not (out / "model").is_dir():  # 1: it is made, and refused for this site alone
            sys.exit(code or 1)
        after, _ = weights.load(out / "model" / file)
        np.save(known.moved, flat(after, names) - before)
        audit = json.loads((out / "model" / "trained_on.json").read_text("utf-8"))
    print(sum(audit["people"]["train"].values()))


if __name__ == "__main__":
    main()
