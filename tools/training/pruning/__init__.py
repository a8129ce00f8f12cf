"""Structured pruning: channels that are taken out, and weights that make up for them."""
