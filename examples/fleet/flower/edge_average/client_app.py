"""What a site's workstation does in a round: run its own training command.

The command is chosen by the site, not by the server: `train` of the node's configuration. It is
called with two files: the step of all sites so far, which it reads, and the site's own move, which
it writes (NumPy, float32 [P]). It prints the number of its examples as its last line.
"""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train from the step of all sites; answer with that step plus this site's move."""
    (step,) = message.content["arrays"].to_numpy_ndarrays()
    with tempfile.TemporaryDirectory() as folder:
        given, moved = Path(folder, "step.npy"), Path(folder, "moved.npy")
        np.save(given, step)
        command = [*shlex.split(str(context.node_config["train"])), str(given), str(moved)]
        done = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ},
            encoding="utf-8",
        )
        move = np.load(moved, allow_pickle=False)
    if move.shape != step.shape or not np.isfinite(move).all():
        raise ValueError(f"the site's command wrote {move.shape}, not finite {step.shape}")
    examples = int(done.stdout.split()[-1])
    content = RecordDict(
        {
            "arrays": ArrayRecord([(step + move).astype(np.float32)]),
            "metrics": MetricRecord({"num-examples": examples}),
        }
    )
    return Message(content=content, reply_to=message)
