"""Signed commands that come over a broker; off by default."""
