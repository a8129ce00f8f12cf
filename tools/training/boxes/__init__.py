"""Training of person detectors: pictures and boxes instead of people and keypoints.

    samples.py, store.py      labelled pictures, and their shrunk copies on disk
    augment.py, batches.py    training pictures by one warp; several pictures in one
    assign.py, losses.py      which cell answers for whom, and what is wrong with its answer
    detector.py, start.py     the networks, and the weights that they begin with
    judging.py, page.py       before and after: AP, people found, false boxes
    session.py                all of it

Letters: N cells, G people, I ignored boxes, B of a batch.
"""
