"""Bottom-up decoding: finds the keypoints of all people, then groups them to people.

K is the number of keypoints, M of candidates of a keypoint, N of people found. One call decodes one
frame.
"""
