"""trackeval's own figures of sequences; runs in an environment of its own, see the test."""

import contextlib
import io
import json
import sys

import numpy as np

with contextlib.redirect_stdout(io.StringIO()):
    from trackeval.metrics import CLEAR, HOTA, Identity


def judged(frames):
    none = [np.zeros(0, int)]
    truth, found = (np.unique(np.concatenate(none + [f[k] for f in frames])) for k in (0, 1))
    data = {
        "num_timesteps": len(frames),
        "num_gt_ids": len(truth),
        "num_tracker_ids": len(found),
        "num_gt_dets": sum(len(f[0]) for f in frames),
        "num_tracker_dets": sum(len(f[1]) for f in frames),
        "gt_ids": [np.searchsorted(truth, f[0]) for f in frames],
        "tracker_ids": [np.searchsorted(found, f[1]) for f in frames],
        "similarity_scores": [f[2] for f in frames],
    }
    quiet = {"PRINT_CONFIG": False}
    return [HOTA().eval_sequence(data), *(m(quiet).eval_sequence(data) for m in (CLEAR, Identity))]


def figures(sequences):
    each = [judged(frames) for frames in sequences]
    quiet = {"PRINT_CONFIG": False}
    metrics = [HOTA(), CLEAR(quiet), Identity(quiet)]
    hota, clear, identity = (
        m.combine_sequences({str(i): e[k] for i, e in enumerate(each)})
        for k, m in enumerate(metrics)
    )
    return {
        "HOTA": float(np.mean(hota["HOTA"])),
        "DetA": float(np.mean(hota["DetA"])),
        "AssA": float(np.mean(hota["AssA"])),
        "IDF1": float(identity["IDF1"]),
        "MOTA": float(clear["MOTA"]),
        "switches": int(clear["IDSW"]),
        "missed": int(clear["CLR_FN"]),
        "false": int(clear["CLR_FP"]),
    }


def read(frame):
    truth, found, alike = frame
    shape = (len(truth), len(found))
    return np.array(truth, int), np.array(found, int), np.array(alike, float).reshape(shape)


with contextlib.redirect_stdout(io.StringIO()):
    cases = json.loads(sys.stdin.read())
    answers = [figures([[read(f) for f in seq] for seq in case]) for case in cases]
sys.stdout.write(json.dumps(answers))
