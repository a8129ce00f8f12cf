"""Signed model bundles: a models folder in one file, installed in one of two slots."""
