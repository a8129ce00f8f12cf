"""Poses on disk, in a ring of bounded size. Pixels are never recorded."""
