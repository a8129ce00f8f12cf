"""Figures computed from labels and predictions. Pure: arrays in, figures out."""
