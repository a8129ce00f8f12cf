"""Indices that map points of BlazePose, the face mesh and the hand network to COCO-WholeBody 133.

The order of BlazePose's 33 points, of the face mesh's 468 and of a hand's 21 is given by the
published networks (google-ai-edge/mediapipe: pose_landmark, face_landmark, hand_landmark).
"""

from __future__ import annotations

import numpy as np

SKELETON = "wholebody133"
KEYPOINTS = 133

# BlazePose: 33 points, then auxiliary points.
RAW_POINTS = 39
HEAD = slice(0, 11)
RIGHT_EYE, LEFT_EYE = 5, 2
# Left hand, right hand.
WRISTS, LITTLE_FINGERS, FOREFINGERS = [15, 16], [17, 18], [19, 20]

# BlazePose point of each keypoint of body and feet. The small toes have none: they stay missing.
SMALL_TOES = [18, 21]
BODY_FEET_SOURCE = np.array(
    [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 31, 31, 29, 32, 32, 30]
)

# COCO-WholeBody.
NOSE, SHOULDERS, HIPS = 0, [5, 6], [11, 12]
BODY = slice(0, 17)
BODY_FEET = slice(0, 23)  # from the body network
PARTS = slice(23, 133)  # from the networks of hands and faces
FACE = slice(23, 91)
HANDS = (slice(91, 112), slice(112, 133))  # left, right
HAND_POINTS = 21
MESH_POINTS = 468
# Mesh point of each of the 68 face points: contour from the person's right ear over the chin to the
# left ear (evenly spaced, as annotated in 300-W), brows, nose, eyes, outer and inner mouth.
MESH_68 = np.array(
    [127, 234, 132, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 361, 454, 356]
    + [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
    + [168, 197, 5, 4, 98, 97, 2, 326, 327]
    + [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
    + [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181]
    + [78, 81, 13, 311, 308, 402, 14, 178]
)
# Indices in the 68 face points: outer corners of the eyes, tip of the nose.
FACE_RIGHT_EYE, FACE_LEFT_EYE, MESH_NOSE = 36, 45, 30
# Indices in the 21 points of a hand: the palm with the wrist and first joints; knuckles.
PALM = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
KNUCKLES = np.array([5, 9, 13])
KNUCKLE_WEIGHTS = np.array([0.25, 0.5, 0.25], np.float32)
