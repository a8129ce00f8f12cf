"""Make a model of the step that all rounds of Flower made together.

    /srv/edge-pose/.venv/bin/python model_of.py step.npy --name together

It runs on the Python of this project, not on Flower's. `edge-tools verify together` goes on.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from site_train import NETWORK, head_of

from edge.recipe import load_recipe
from tools import places
from tools.federated import model, weights


def main():
    """Add the step to the base's head."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", type=Path, help="what the ServerApp wrote")
    parser.add_argument("--name", required=True, help="of the new model")
    parser.add_argument("--base", default="blazepose", help="model that all sites began with")
    parser.add_argument("--models", type=Path, default=places.models())
    known = parser.parse_args()
    base, target = known.models / known.base, known.models / known.name
    if target.exists():
        sys.exit(f"{target}: exists; choose another --name")
    file = weights.file_of(load_recipe(base), NETWORK)
    network, _ = weights.load(base / file)
    names, step = head_of(base / file), np.load(known.step, allow_pickle=False)
    count = sum(int(np.prod(weights.shapes_of(network)[name])) for name in names)
    if step.shape != (count,) or not np.isfinite(step).all():
        sys.exit(f"{known.step}: holds {step.shape}, not {count} numbers: is --base another one?")
    weights.add(network, names, step)
    model.write(base, target, NETWORK, network.SerializeToString())
    print(f"{target}; next: edge-tools verify {known.name}, quantize, bundle make")


if __name__ == "__main__":
    main()
