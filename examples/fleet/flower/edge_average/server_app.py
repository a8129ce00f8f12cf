"""What the server does: rounds of FedAvg over moves, begun at the base, weighted by examples."""

from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all rounds, and write the step from the base to the average."""
    config = context.run_config
    sites, rounds = int(config["sites"]), int(config["rounds"])
    strategy = FedAvg(
        fraction_train=1.0,
        fraction_evaluate=0.0,
        min_train_nodes=sites,
        min_available_nodes=sites,
    )
    start = ArrayRecord([np.zeros(int(config["weights"]), np.float32)])
    # A site may be slow: the wait of a round is long, and nobody is asked a second time.
    result = strategy.start(grid, start, rounds, timeout=float(config["wait-s"]))
    answered = result.train_metrics_clientapp
    if len(answered) != rounds:
        raise RuntimeError(f"{len(answered)} of {rounds} rounds had answers")
    (step,) = result.arrays.to_numpy_ndarrays()
    out = Path(str(config["out"]))
    new = out.with_name(f".{out.name}.new.npy")
    np.save(new, step)
    new.replace(out)
