"""Filters of keypoints: of the body as a whole, of single points, and two named presets."""
