"""Signed commands that a broker delivers. They are off by default."""
