"""How right poses are: labelled data in, predictions in, figures and one page out.

    read/         labelled data of other programs -> truth.Truth
    found/        predictions: a result file, recordings, a run of the networks -> record.Found
    figures/      computed from both: accuracy, precision, identities, motion, rig, intervals
    page/         the result as one HTML file
    point_sets    keypoint sets of labelled data, and what a prediction can say of them

Arrays are float64. Letters: P pictures, G labelled people, N found people, K keypoints.
"""
