"""Signed model bundles: one file with a models folder, installed in one of two slots."""
