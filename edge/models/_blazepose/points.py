"""Where BlazePose, the face mesh and the hand network keep the points of COCO-WholeBody 133.

The order of BlazePose's 33 points, of the 468 of the face mesh and of the 21 of a hand are facts of
the published networks (google-ai-edge/mediapipe: pose_landmark, face_landmark, hand_landmark).
"""

from __future__ import annotations

import numpy as np

SKELETON = "wholebody133"
KEYPOINTS = 133
TRUNK = 23  # keypoints of body and feet, which come from the body network

# BlazePose: 33 points, then auxiliary ones.
RAW_POINTS = 39
HEAD = slice(0, 11)
RIGHT_EYE, LEFT_EYE = 5, 2
# Left hand, right hand.
WRISTS, LITTLE_FINGERS, FOREFINGERS = [15, 16], [17, 18], [19, 20]

# COCO-WholeBody 0..22 <- BlazePose. The small toes have no source and stay missing.
SMALL_TOES = [18, 21]
TRUNK_SOURCE = np.array(
    [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 31, 31, 29, 32, 32, 30]
)

# COCO-WholeBody.
NOSE, SHOULDERS, HIPS = 0, [5, 6], [11, 12]
BODY = slice(0, 17)
FACE = slice(23, 91)
HANDS = (slice(91, 112), slice(112, 133))  # left, right
HAND_POINTS = 21
MESH_POINTS = 468
# The 68 of the face: contour from the person's right ear over the chin to the left (evenly spaced,
# as the annotators of 300-W did), brows, nose, eyes, mouth outside and inside.
MESH_68 = np.array(
    [127, 234, 132, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 361, 454, 356]
    + [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
    + [168, 197, 5, 4, 98, 97, 2, 326, 327]
    + [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
    + [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181]
    + [78, 81, 13, 311, 308, 402, 14, 178]
)
# Among those 68: outer corners of the eyes, tip of the nose.
FACE_RIGHT_EYE, FACE_LEFT_EYE, MESH_NOSE = 36, 45, 30
# Among the 21 of a hand: the palm with the first joints, wrist, knuckles.
PALM = np.array([0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18])
KNUCKLES = np.array([5, 9, 13])
KNUCKLE_WEIGHTS = np.array([0.25, 0.5, 0.25], np.float32)
