"""MediaPipe Holistic over frames in memory. Runs in its own environment."""

import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the library prints to standard output

import mediapipe  # noqa: E402
import numpy as np  # noqa: E402

frames = np.load(sys.argv[1])  # [T,H,W,3] u8 RGB
holistic = mediapipe.solutions.holistic.Holistic(model_complexity=1)
for _ in sys.stdin:
    found = {"pose": 0, "face": 0, "left_hand": 0, "right_hand": 0}
    start, cpu = time.perf_counter(), time.process_time()
    for frame in frames:
        result = holistic.process(frame)
        for part in found:
            found[part] += getattr(result, f"{part}_landmarks") is not None
    passed_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    took = {"ms": passed_s * 1e3 / len(frames), "cpu_ms": cpu_s * 1e3 / len(frames)}
    answers.write(json.dumps({**took, "found": found}) + "\n")
    answers.flush()
