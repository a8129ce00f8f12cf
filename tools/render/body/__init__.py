"""The body: a mesh with a skeleton, its shapes, clothes, hair and keypoints."""
