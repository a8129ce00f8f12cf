"""norfair over boxes in a file, by their IoU. Runs in its own environment."""

import json
import os
import sys

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the library prints to standard output

import norfair  # noqa: E402
import numpy as np  # noqa: E402


def ids_of(options, frames):
    """Ids of each frame's boxes, -1 = none."""
    tracker = norfair.Tracker(distance_function="iou", **options)
    for boxes, scores in frames:
        seen = [
            norfair.Detection(box.reshape(2, 2), scores=np.array([score, score]), data=number)
            for number, (box, score) in enumerate(zip(boxes, scores))
        ]
        ids = np.full(len(boxes), -1)
        for found in tracker.update(seen):
            if any(found.last_detection is one for one in seen):
                ids[found.last_detection.data] = found.id
        yield ids.tolist()


for line in sys.stdin:
    asked = json.loads(line)
    held = np.load(asked["file"])
    ends = np.cumsum(held["counts"])[:-1]
    frames = list(zip(np.split(held["boxes"], ends), np.split(held["scores"], ends)))
    answers.write(json.dumps({"ids": list(ids_of(asked["options"], frames))}) + "\n")
    answers.flush()
