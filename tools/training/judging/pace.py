"""Milliseconds of networks in one run, in turns, so that a busy machine slows all of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np
import onnxruntime

ROUNDS = 30


def milliseconds(
    files: Mapping[str, Sequence[Tuple[Path, int]]], rounds: int = ROUNDS
) -> Dict[str, float]:
    """Median CPU time of a look at one person.

    Args:
        files: name -> ONNX files of one image input, each with the number of images of a look.
        rounds: of all, in turns.
    """
    return {name: float(np.median(v)) for name, v in each_round_ms(files, rounds).items()}


def each_round_ms(
    files: Mapping[str, Sequence[Tuple[Path, int]]], rounds: int = ROUNDS
) -> Dict[str, List[float]]:
    """As `milliseconds`: CPU times of all rounds, whose numbers are those of one moment."""
    ready = {name: [_opened(*one) for one in some] for name, some in files.items()}
    spent: Dict[str, List[float]] = {name: [] for name in files}
    for round_number in range(rounds + 1):
        for name, some in ready.items():
            start_s = time.process_time()
            for session, given in some:
                session.run(None, given)
            if round_number:  # the first warms up
                spent[name].append((time.process_time() - start_s) * 1e3)
    return spent


def _opened(path: Path, images: int) -> Tuple[onnxruntime.InferenceSession, Dict[str, np.ndarray]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    node = session.get_inputs()[0]
    shape = [images, *(int(d) for d in node.shape[1:])]
    rng = np.random.default_rng(0)
    return session, {node.name: rng.uniform(0, 1, shape).astype(np.float32)}
