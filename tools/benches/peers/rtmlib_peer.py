"""rtmlib's RTMPose over the same network, frames and boxes. Runs in its own environment."""

import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import numpy as np  # noqa: E402
from rtmlib import RTMPose  # noqa: E402

backend, network, width, height, frames_file, boxes_file, out_file = sys.argv[1:]
frames = np.load(frames_file)  # [T,H,W,3] u8 BGR
boxes = np.load(boxes_file)  # [T,N,4] px
size = (int(width), int(height))
pose = RTMPose(network, model_input_size=size, to_openpose=False, backend=backend)
for _ in sys.stdin:
    results = []
    start, cpu = time.perf_counter(), time.process_time()
    for frame, people in zip(frames, boxes):
        results.append(pose(frame, people)[0])
    passed_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    np.save(out_file, np.stack(results))
    took = {"ms": passed_s * 1e3 / len(frames), "cpu_ms": cpu_s * 1e3 / len(frames)}
    answers.write(json.dumps(took) + "\n")
    answers.flush()
