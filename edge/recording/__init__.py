"""Recordings of poses on disk, bounded in size. Pixels are never recorded."""
