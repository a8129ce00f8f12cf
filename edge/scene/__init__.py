"""Several calibrated cameras: who is who between them, and where people are in metres.

Pure: records in, records out; time is an argument. C is the number of cameras, M of people in all
cameras together, G of people in the room, K of keypoints. Lengths are metres.
"""
