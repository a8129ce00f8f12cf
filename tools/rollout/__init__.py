"""Boxes that run: what they say of themselves, and how a new bundle reaches them in stages."""
