"""Offline half: models in, proven engines out."""
