"""ByteTrack, OC-SORT and SORT of the package trackers over boxes in a file.

Runs in its own environment.
"""

import json
import os
import sys

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the libraries print to standard output

import numpy as np  # noqa: E402
import supervision  # noqa: E402
from trackers import ByteTrackTracker, OCSORTTracker, SORTTracker  # noqa: E402

KINDS = {"bytetrack": ByteTrackTracker, "ocsort": OCSORTTracker, "sort": SORTTracker}


def ids_of(kind, options, frames, hz):
    """Ids of each frame's boxes, -1 = none."""
    tracker = KINDS[kind](frame_rate=hz, **options)
    for boxes, scores in frames:
        seen = supervision.Detections(
            xyxy=boxes,
            confidence=scores,
            class_id=np.zeros(len(boxes), int),
            data={"mark": np.arange(len(boxes))},
        )
        found = tracker.update(seen)
        ids = np.full(len(boxes), -1)
        if len(found) and found.tracker_id is not None:
            ids[found.data["mark"]] = found.tracker_id
        yield ids.tolist()


for line in sys.stdin:
    asked = json.loads(line)
    held = np.load(asked["file"])
    ends = np.cumsum(held["counts"])[:-1]
    frames = list(zip(np.split(held["boxes"], ends), np.split(held["scores"], ends)))
    ids = list(ids_of(asked["tracker"], asked["options"], frames, asked["hz"]))
    answers.write(json.dumps({"ids": ids}) + "\n")
    answers.flush()
